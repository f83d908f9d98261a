"""Which part of an image a network sees: a random one to train on, the centre to test.

Boxes are drawn on the host, from numbers that (seed, purpose, step, example) alone
decide; see `mixup_jax.randomness`.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, UInt8

from mixup_jax.data.images import decoding
from mixup_jax.data.images.images import Images
from mixup_jax.randomness import Purpose, host_uniforms

_TRIES = 10
_NUMBERS = 5  # of a try: area, aspect, which way round, row, column
_REDUCTIONS = (8, 4, 2)


class Box(NamedTuple):
    """A rectangle of whole pixels in an image."""

    top: int
    left: int
    height: int
    width: int


class Crop(NamedTuple):
    """How images become squares of one size.

    Attributes:
      size: Pixels of a side.
      shorter_side: Of the test image before the square in its centre is cut out.
      smallest_area: Of a random part of the training image; 1 is as much as fits.
      flip: Whether half of the training images are mirrored.
    """

    size: int = 224
    shorter_side: int = 256
    smallest_area: float = 0.08
    flip: bool = True


def random_box(
    uniforms: Float64[np.ndarray, " 50"],
    height: int,
    width: int,
    *,
    smallest_area: float = 0.08,
) -> Box:
    """Returns a random part of an image, of random shape.

    Args:
      uniforms: 50 numbers from 0 to below 1, five for each of ten tries.
      height: Of the image.
      width: Of the image.
      smallest_area: As a share of the image.

    Returns:
      Area uniform in [smallest_area, 1] of the image's, ratio of the sides uniform in
      [3/4, 4/3] and as often the other way round, position uniform; the first of ten
      tries that fits, or else the largest square in the centre.

    Source: fb.resnet.torch, transforms.lua, RandomSizedCrop, to which Goyal et al.
    (2017), arXiv:1706.02677, section 5.1, point; the paper follows these.
    """
    for try_ in range(_TRIES):
        area, ratio, turned, row, column = uniforms[_NUMBERS * try_ :][:_NUMBERS]
        pixels = (smallest_area + (1 - smallest_area) * area) * height * width
        ratio = 3 / 4 + (4 / 3 - 3 / 4) * ratio
        box = [round((pixels / ratio) ** 0.5), round((pixels * ratio) ** 0.5)]
        tall, wide = box if turned < 0.5 else box[::-1]
        if 0 < tall <= height and 0 < wide <= width:
            top, left = int(row * (height - tall + 1)), int(column * (width - wide + 1))
            return Box(top, left, tall, wide)
    side = min(height, width)
    return Box((height - side) // 2, (width - side) // 2, side, side)


def random_crop(
    images: Images, index: int, crop: Crop, *, seed: int, step: int
) -> UInt8[np.ndarray, "S S C"]:
    """Returns a random part of an image, resized, and mirrored half of the time.

    Args:
      images: Read from; their order is that of the data set.
      index: Of the example.
      crop: What to cut out.
      seed: Of the run.
      step: Of the run.
    """
    count = 1 + _TRIES * _NUMBERS
    numbers = host_uniforms(seed, Purpose.AUGMENT, step, index, count)
    height, width = map(int, images.sizes[index])
    box = random_box(numbers[1:], height, width, smallest_area=crop.smallest_area)
    cut = _cut(images, index, box, crop.size)
    # Mirrored or not is the first number, so that boxes are the same either way.
    return cut[:, ::-1] if crop.flip and numbers[0] < 0.5 else cut


def centre_crop(images: Images, index: int, crop: Crop) -> UInt8[np.ndarray, "S S C"]:
    """Returns the square in the centre of an image resized to a shorter side."""
    height, width = map(int, images.sizes[index])
    scale = crop.shorter_side / min(height, width)
    tall = max(round(scale * height), crop.size)
    wide = max(round(scale * width), crop.size)
    pixels = images.pixels(index, reduce=_reduction(min(height, width), tall, wide))
    pixels = decoding.resize(pixels, tall, wide)
    top, left = (tall - crop.size) // 2, (wide - crop.size) // 2
    return pixels[top : top + crop.size, left : left + crop.size]


def _cut(images: Images, index: int, box: Box, size: int) -> UInt8[np.ndarray, "S S C"]:
    reduce = _reduction(min(box.height, box.width), size, size)
    pixels = images.pixels(index, reduce=reduce)
    if reduce > 1:
        # Where the format allows no reduction, the image comes in full.
        height, width = images.sizes[index]
        box = _scaled(box, pixels.shape[0] / height, pixels.shape[1] / width)
    part = pixels[box.top : box.top + box.height, box.left : box.left + box.width]
    return decoding.resize(part, size, size)


def _reduction(shorter: int, height: int, width: int) -> int:
    """Returns the largest reduction that leaves no fewer pixels than are wanted."""
    wanted = min(height, width)
    return next((r for r in _REDUCTIONS if shorter >= r * wanted), 1)


def _scaled(box: Box, rows: float, columns: float) -> Box:
    top, left = round(box.top * rows), round(box.left * columns)
    bottom = round((box.top + box.height) * rows)
    right = round((box.left + box.width) * columns)
    return Box(top, left, bottom - top, right - left)
