"""From images that are decoded when they are needed to arrays in memory, and back."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from jaxtyping import UInt8

from mixup_jax.data.dataset import Dataset, ImageDataset, ImageSplit, Split
from mixup_jax.data.images import decoding
from mixup_jax.data.images.images import Images, from_array
from mixup_jax.data.images.stream import available_processors
from mixup_jax.errors import UsageError

_LARGEST = 8 * 2**30  # bytes of both splits' pixels
_IMAGES_PER_TASK = 256


def in_memory(dataset: Dataset | ImageDataset) -> Dataset:
    """Returns the data set with all its images decoded.

    Raises:
      UsageError: If they are of several sizes, or too many; naming the way out, which
        is to stream them.
    """
    if isinstance(dataset, Dataset):
        return dataset
    sizes = np.concatenate([s.images.sizes for s in (dataset.train, dataset.test)])
    if (sizes != sizes[0]).any():
        low, high = sizes.min(axis=0), sizes.max(axis=0)
        raise UsageError(
            f"{dataset.title}: images are from {low[0]} x {low[1]} to "
            f"{high[0]} x {high[1]} pixels; --image_size=S cuts squares of S pixels out"
        )
    size = int(sizes.prod(axis=1, dtype=np.int64).sum()) * dataset.train.images.channels
    if size > _LARGEST:
        raise UsageError(
            f"{dataset.title}: images take {size / 2**30:.0f} GiB in memory; "
            "--image_size=S streams squares of S pixels instead"
        )
    train, test = (
        Split(_pixels(images), labels)
        for images, labels in (dataset.train, dataset.test)
    )
    return Dataset(
        *(dataset.name, dataset.title, train, test),
        *(dataset.num_classes, dataset.mean, dataset.std),
    )


def streamed(dataset: Dataset | ImageDataset) -> ImageDataset:
    """Returns the data set with its images to be read one by one.

    Raises:
      UsageError: If it holds no images.
    """
    if isinstance(dataset, ImageDataset):
        return dataset
    if dataset.train.inputs.dtype != np.uint8 or dataset.train.inputs.ndim != 4:
        raise UsageError(
            f"image_size is for images, and {dataset.title} has none; set it to 0"
        )
    train, test = (
        ImageSplit(from_array(inputs), labels)
        for inputs, labels in (dataset.train, dataset.test)
    )
    return ImageDataset(
        *(dataset.name, dataset.title, train, test),
        *(dataset.num_classes, dataset.mean, dataset.std),
    )


def _pixels(images: Images) -> UInt8[np.ndarray, "N H W C"]:
    decoding.one_thread_each()
    count = len(images)
    pixels = np.empty((count, *images.sizes[0], images.channels), np.uint8)

    def fill(start: int) -> None:
        for index in range(start, min(start + _IMAGES_PER_TASK, count)):
            pixels[index] = images.pixels(index)

    with ThreadPoolExecutor(available_processors()) as pool:
        list(pool.map(fill, range(0, count, _IMAGES_PER_TASK)))
    return pixels
