"""Small photographs of no place, as files and as the pixels that went into them."""

import io

import numpy as np
from PIL import Image


def picture(seed, height, width, channels=3):
    """Returns smooth random pixels, uint8 [H, W, C], each channel on its own."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (height // 8 + 2, width // 8 + 2, channels), np.uint8)
    bands = [
        np.asarray(
            Image.fromarray(coarse[..., c]).resize((width, height), Image.BICUBIC)
        )
        for c in range(channels)
    ]
    return np.stack(bands, axis=-1)


def ramp(height, width):
    """Returns an image whose pixels tell where they are: red the row, green the column.

    Both in steps that leave room for interpolation past the ends.
    """
    rows = np.linspace(20, 230, height)[:, None, None]
    columns = np.linspace(20, 230, width)[None, :, None]
    whole = np.ones((height, width, 1))
    return np.concatenate([rows * whole, columns * whole, 128 * whole], -1).astype("u1")


def encode(pixels, kind="JPEG", mode=None, **options):
    """Returns an image file's bytes, written by Pillow."""
    image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    image = image.convert(mode) if mode else image
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def folder(root, counts, *, size=(20, 24), suffix=".jpg"):
    """Writes `counts` images of each class below a folder; returns their pixels.

    No two are the same size, so that sizes tell images apart.
    """
    pixels = {}
    for label, (name, count) in enumerate(counts.items()):
        (root / name).mkdir(parents=True)
        for i in range(count):
            seed = 100 * label + i
            image = picture(seed, size[0] + i, size[1] + label)
            (root / name / f"{i:03}{suffix}").write_bytes(encode(image, quality=95))
            pixels[f"{name}/{i:03}{suffix}"] = image
    return pixels
