"""From encoded bytes to pixels: JPEG, PNG and whatever else OpenCV reads.

Chosen by measurement (docs/data.md): to decode a photograph, cut a random part out and
resize it took OpenCV 1.0 ms of one core, TensorFlow's fused decode-and-crop 1.6 ms,
Pillow 2.3 ms.
"""

from types import ModuleType

import numpy as np
from jaxtyping import UInt8

from mixup_jax.errors import UsageError, install


class Undecodable(ValueError):
    """An image cannot be read; the message says which and why."""


def require() -> ModuleType:
    """Returns OpenCV.

    Raises:
      UsageError: If it is not installed.
    """
    try:
        import cv2
    except ImportError as error:
        raise UsageError(
            "encoded images are read by OpenCV, which is not installed: "
            f"{install('images')} ({error})"
        ) from error
    return cv2


def decode(
    content: bytes | UInt8[np.ndarray, " bytes"], *, channels: int, reduce: int = 1
) -> UInt8[np.ndarray, "H W C"]:
    """Decodes an image as it was stored: rotations noted beside it are not applied.

    Args:
      content: The whole file.
      channels: 3 for red, green and blue, 1 for grey; whatever is stored is converted
        (transparency is dropped).
      reduce: 1, 2, 4 or 8, of which JPEG images are decoded to the fraction of their
        size in a fraction of the time.

    Raises:
      Undecodable: If it is no image, or ends too early.
      UsageError: If OpenCV is not installed.
    """
    cv2 = require()
    colour = "COLOR" if channels == 3 else "GRAYSCALE"
    name = f"IMREAD_REDUCED_{colour}_{reduce}" if reduce > 1 else f"IMREAD_{colour}"
    flags = getattr(cv2, name) | cv2.IMREAD_IGNORE_ORIENTATION
    if not len(content):
        raise Undecodable("the file is empty")
    try:
        pixels = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
    except cv2.error as error:
        raise Undecodable(f"OpenCV: {error.err}") from error
    if pixels is None:
        raise Undecodable("no image that can be read, or cut off before its end")
    if channels == 1:
        return pixels[..., None]
    return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)


def resize(
    pixels: UInt8[np.ndarray, "h w C"], height: int, width: int
) -> UInt8[np.ndarray, "H W C"]:
    """Resizes by cubic interpolation, without smoothing first.

    As fb.resnet.torch, which the paper's schedule is from, and TensorFlow by default;
    Pillow smooths.
    """
    cv2 = require()
    resized = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_CUBIC)
    # OpenCV drops a last axis of 1.
    return resized.reshape(height, width, pixels.shape[-1])


def one_thread_each() -> None:
    """Lets OpenCV work in the calling thread alone, where the caller has many."""
    require().setNumThreads(1)
