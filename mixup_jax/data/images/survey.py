"""A look at every image of a set, once, so that nothing goes wrong hours later.

It finds the images that cannot be read, before any training starts, and learns what is
needed to know in advance: how large each one is, and the mean and std of the pixels.
"""

import dataclasses
import logging
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, TypeVar

import numpy as np
from jaxtyping import Float64, Int, Int32

from mixup_jax.data import array_cache
from mixup_jax.data.images import decoding
from mixup_jax.data.images.decoding import Undecodable
from mixup_jax.data.images.images import EncodedImages, FileImages, PackedImages
from mixup_jax.data.images.stream import available_processors
from mixup_jax.errors import UsageError

_LOG = logging.getLogger(__name__)
_Surveyed = TypeVar("_Surveyed", FileImages, PackedImages)

# Change it when a survey finds other things, and old files are forgotten.
_RULE = "sizes, means and variances by OpenCV, 1"
_SHOWN = 10  # of the images that are named in an error
_IMAGES_PER_TASK = 64


class Survey(NamedTuple):
    """What was found.

    Attributes:
      sizes: Height and width of each image.
      means: Of each image's pixels, scaled to [0, 1], by channel.
      variances: Likewise.
    """

    sizes: Int32[np.ndarray, "N 2"]
    means: Float64[np.ndarray, "N C"]
    variances: Float64[np.ndarray, "N C"]

    def take(self, rows: Int[np.ndarray, " n"]) -> "Survey":
        """Returns what was found of some of the images."""
        return Survey(*(array[rows] for array in self))


def surveyed(
    images: _Surveyed, where: str, *, fingerprint: str, data_dir: str | None
) -> tuple[_Surveyed, Survey]:
    """Returns images with their sizes, looking at each if that was not done before.

    Args:
      images: Of which sizes are not known.
      where: What errors call the set.
      fingerprint: Of the images; others have another.
      data_dir: What was found is kept there, if it can be.

    Raises:
      UsageError: See `survey`.
    """
    path = array_cache.folder("image_surveys", data_dir) / f"{fingerprint[:32]}.npz"
    content = f"{_RULE}; {fingerprint}; {images.channels} channels"
    kept = array_cache.read(path, content, Survey._fields)
    found = Survey(*kept) if kept else survey(images, where)
    if kept is None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            array_cache.write(path, content, found._asdict())
        except OSError as error:
            _LOG.warning("not kept in %s, the next start is slow: %s", path, error)
    return dataclasses.replace(images, sizes=found.sizes), found


def survey(images: EncodedImages, where: str) -> Survey:
    """Decodes every image once, in as many threads as there are processors.

    Args:
      images: Their sizes need not be known.
      where: What errors call the set.

    Raises:
      UsageError: If any cannot be read: it says how many, and names the first ones.
    """
    decoding.one_thread_each()
    count, channels = len(images), images.channels
    found = Survey(
        np.zeros((count, 2), np.int32),
        np.zeros((count, channels)),
        np.zeros((count, channels)),
    )
    bad: dict[int, str] = {}

    def look(start: int) -> None:
        for index in range(start, min(start + _IMAGES_PER_TASK, count)):
            try:
                _note(found, index, images)
            except Undecodable as error:
                bad[index] = str(error)

    _in_threads(look, range(0, count, _IMAGES_PER_TASK), where)
    if bad:
        raise UsageError(_complaint(bad, count, where))
    return found


def pixel_statistics(found: Survey) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Returns each channel's mean and std over the pixels of all images.

    The std of a constant channel is given as 1, so that dividing by it is harmless.
    """
    pixels = found.sizes.prod(axis=1, dtype=np.float64)
    share = pixels / pixels.sum()
    mean = share @ found.means
    variance = share @ (found.variances + found.means**2) - mean**2
    std = np.where(variance > 1e-12, np.sqrt(np.maximum(variance, 0)), 1.0)
    return tuple(mean.tolist()), tuple(std.tolist())


def _note(found: Survey, index: int, images: EncodedImages) -> None:
    pixels = images.pixels(index)
    mean, std = decoding.require().meanStdDev(pixels)
    found.sizes[index] = pixels.shape[:2]
    found.means[index] = mean.ravel() / 255
    found.variances[index] = (std.ravel() / 255) ** 2


def _in_threads(look: Callable[[int], None], starts: range, where: str) -> None:
    from tqdm import tqdm  # comes with tensorflow-datasets

    with ThreadPoolExecutor(available_processors()) as pool:
        done = tqdm(
            pool.map(look, starts),
            f"reading the images of {where}",
            len(starts),
            unit_scale=_IMAGES_PER_TASK,
            unit=" images",
            disable=not sys.stderr.isatty(),
        )
        try:
            for _ in done:
                pass
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _complaint(bad: dict[int, str], count: int, where: str) -> str:
    lines = [f"  {bad[index]}" for index in sorted(bad)[:_SHOWN]]
    if len(bad) > _SHOWN:
        lines.append(f"  and {len(bad) - _SHOWN:,} more")
    return (
        f"{len(bad):,} of the {count:,} images of {where} cannot be read; repair or "
        "remove them, none is left out by itself:\n" + "\n".join(lines)
    )
