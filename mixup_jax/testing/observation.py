"""What a mixing function does, read off its output and taken from nobody's word.

Example j of the batch is an image that is 1 in channel j and 0 elsewhere. Channel j of
a mixed pixel therefore is the weight of example j in it. Every example has a class of
its own, so that the targets are weights of examples as well.
"""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

Mix = Callable[[np.ndarray, np.ndarray], Any]
Labels = Literal["one_hot", "ids"]

# Neither square nor as long as the batch: mistaken axes show.
IMAGE = (6, 10)
# A smaller weight of a partner counts as not mixed; 8-bit images have steps of 0.004.
VISIBLE = 0.01
# Greatest error of a weight that rounding to bytes explains (1 / 255), and a bit more.
ROUNDING = 5e-3
# Greatest error of a weight in float32.
EXACT = 1e-5


class ShapeError(ValueError):
    """What a mixing function returned is not images and weights of classes."""


class Draws(NamedTuple):
    """What the rows of N mixed batches are made of.

    Attributes:
      inputs: Weight of each example (last axis) in each mixed row, mean over pixels.
      targets: Weight of each class; those of examples 0 .. B-1 come first, in order.
      spread: Greatest difference of a weight between two pixels of a row.
      whole: Whether every pixel comes from one example alone.
    """

    inputs: Float[np.ndarray, "N B B"]
    targets: Float[np.ndarray, "N B K"]
    spread: Float[np.ndarray, " N"]
    whole: Bool[np.ndarray, " N"]

    @property
    def own(self) -> Float[np.ndarray, "N B"]:
        """The share of the example itself in each row."""
        return np.diagonal(self.inputs, axis1=1, axis2=2)

    @property
    def others(self) -> Float[np.ndarray, "N B B"]:
        """The shares of the other examples, and 0 for the example itself."""
        return self.inputs * (1 - np.eye(self.inputs.shape[-1]))

    @property
    def partner(self) -> Int[np.ndarray, "N B"]:
        """The other example of greatest share."""
        return self.others.argmax(axis=-1)

    @property
    def mixed(self) -> Bool[np.ndarray, "N B"]:
        """Whether another example is visible; not so if lambda is 1 or in a self-pair.

        A row may show no partner for either reason, and nobody can tell which.
        """
        return (self.others.max(axis=-1) > VISIBLE) & (self.own < 1 - VISIBLE)

    @property
    def cuts(self) -> bool:
        """Whether rows are cut and pasted, as in CutMix, and not blended."""
        return bool(np.any(self.spread > ROUNDING))

    @property
    def smoothing(self) -> float:
        """Label smoothing inside the targets: K times the weight of absent classes."""
        floor = self.targets.min(axis=-1)
        constant = np.ptp(floor) < EXACT and floor.mean() > 10 * EXACT
        return float(floor.mean() * self.targets.shape[-1]) if constant else 0.0

    @property
    def unsmoothed(self) -> Float[np.ndarray, "N B K"]:
        """The targets with the label smoothing taken out again."""
        smoothing = self.smoothing
        if smoothing == 0 or smoothing >= 1:
            return self.targets
        return (self.targets - smoothing / self.targets.shape[-1]) / (1 - smoothing)


def batch_size(num_classes: int) -> int:
    """Returns the size of the batches used: even, 8 if there are as many classes."""
    return min(8, num_classes // 2 * 2)


def classes(num_classes: int) -> Int[np.ndarray, " K"]:
    """Returns the order of the classes: example j has the j-th of them."""
    # Shuffled, so that a row number is not mistaken for a class.
    return np.random.default_rng(0).permutation(num_classes)


def make_batch(
    size: int,
    num_classes: int,
    *,
    labels: Labels = "one_hot",
    image: tuple[int, int] = IMAGE,
) -> tuple[Float[np.ndarray, "B H W B"], np.ndarray]:
    """Returns images that are 1 in their own channel, and labels, all different.

    Args:
      size: Examples, at most `num_classes`.
      num_classes: Length of the targets.
      labels: "one_hot", float32 [B, K]; or "ids", int64 [B].
      image: Height and width in pixels.
    """
    inputs = np.zeros((size, *image, size), np.float32)
    inputs[np.arange(size), :, :, np.arange(size)] = 1
    ids = classes(num_classes)[:size]
    return inputs, ids if labels == "ids" else np.eye(num_classes, dtype=np.float32)[
        ids
    ]


def call(
    mix: Mix, inputs: np.ndarray, labels: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Returns what `mix` makes of copies of the arrays; the originals stay intact."""
    mixed, targets = mix(inputs.copy(), labels.copy())
    return np.asarray(mixed), np.asarray(targets)


def read(mixed: np.ndarray, targets: np.ndarray) -> Draws:
    """Returns what mixed batches of `make_batch` are made of.

    Args:
      mixed: Images of one or more calls, [N, B, H, W, B].
      targets: Their targets, [N, B, K].

    Raises:
      ShapeError: If the shapes are not those of images and soft targets.
    """
    size = mixed.shape[-1]
    if mixed.ndim != 5 or mixed.shape[1] != size:
        raise ShapeError(f"mixed inputs have shape {mixed.shape[1:]}, not [B, H, W, B]")
    if targets.ndim != 3 or targets.shape[1] != size or targets.shape[2] < size:
        raise ShapeError(
            f"targets have shape {targets.shape[1:]}, not [{size}, classes]: they must "
            "be weights of classes"
        )
    pixels = mixed.reshape(len(mixed), size, -1, size)
    whole = (np.abs(pixels) < EXACT) | (np.abs(pixels - 1) < EXACT)
    return Draws(
        pixels.mean(axis=2, dtype=np.float64),
        targets.astype(np.float64)[..., classes(targets.shape[2])],
        np.ptp(pixels, axis=2).max(axis=(1, 2)).astype(np.float64),
        np.asarray(whole.all(axis=(1, 2, 3))),
    )


def call_often(
    mix: Mix, inputs: np.ndarray, labels: np.ndarray, times: int
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the results of several calls, stacked."""
    mixed, targets = zip(
        *(call(mix, inputs, labels) for _ in range(times)), strict=True
    )
    return np.stack(mixed), np.stack(targets)


def observe(
    mix: Mix,
    *,
    num_classes: int = 8,
    labels: Labels = "one_hot",
    size: int | None = None,
    image: tuple[int, int] = IMAGE,
    draws: int = 2000,
) -> Draws:
    """Calls the function many times on one batch and reads off what it did.

    Args:
      mix: Takes float32 images [B, H, W, C] and labels, and returns mixed images and
        targets [B, K] as NumPy arrays; it draws anew at each call.
      num_classes: K, at least 4.
      labels: What `mix` takes: "one_hot", float32 [B, K]; or "ids", int64 [B].
      size: Examples in the batch (there are as many channels); default 8.
      image: Height and width of the images in pixels.
      draws: How many calls.

    Returns:
      What each row is made of; the checks of this package take it.

    Raises:
      ValueError: If K is less than 4, or `mix` returns other shapes.
    """
    if num_classes < 4:
        raise ValueError(f"num_classes must be at least 4, got {num_classes}")
    size = size or batch_size(num_classes)
    batch = make_batch(size, num_classes, labels=labels, image=image)
    # By the hundred: images of all draws at once would need much memory.
    counts = [min(100, draws - start) for start in range(0, draws, 100)]
    seen = [read(*call_often(mix, *batch, count)) for count in counts]
    return Draws(*(np.concatenate(field) for field in zip(*seen, strict=True)))
