"""What every source of data returns: labelled splits, validated once.

Inputs stay as they were stored: a `Dataset` holds arrays, images in bytes, an
`ImageDataset` images that are decoded when they are needed.
`mixup_jax.data.preprocessing` turns both into what a network reads.
"""

import dataclasses
from typing import Any, NamedTuple, TypeVar

import numpy as np
from jaxtyping import Int32, Shaped

from mixup_jax.data.checks import (
    check_alike,
    check_arrays,
    check_classes,
    check_finite,
    check_labels,
    check_statistics,
)
from mixup_jax.data.images.images import Images
from mixup_jax.errors import UsageError


class Split(NamedTuple):
    """Examples and their classes.

    Inputs are uint8 images [N, H, W, C], int16 sounds [N, T, C] or float32 features.
    """

    inputs: Shaped[np.ndarray, "N ..."]
    labels: Int32[np.ndarray, " N"]

    def first(self, count: int) -> "Split":
        """Returns the first examples."""
        return Split(self.inputs[:count], self.labels[:count])


class ImageSplit(NamedTuple):
    """Images, each of its own size, and their classes."""

    images: Images
    labels: Int32[np.ndarray, " N"]

    def first(self, count: int) -> "ImageSplit":
        """Returns the first examples."""
        return ImageSplit(self.images.take(np.arange(count)), self.labels[:count])


# Arrays have no single truth value, so a generated __eq__ would only raise.
@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
    """A data set in memory.

    Attributes:
      name: Its key in `mixup_jax.data.SOURCES`.
      title: What every table and plot calls it, so that nobody mistakes it for another.
      train: What is learned from.
      test: What errors are measured on.
      num_classes: K; labels are 0 to K - 1.
      mean: One per channel (last axis), of images scaled to [0, 1], or of features in
        their own units; of sounds, scaled to [-1, 1].
      std: Likewise, all above 0.
      validation: Where the publishers set apart a third split, to choose with.

    Raises:
      UsageError: If splits are empty, of the wrong dtype or shape, hold labels outside
        0 to K - 1 or non-finite features, or if mean and std do not fit the channels.
    """

    name: str
    title: str
    train: Split
    test: Split
    num_classes: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    validation: Split | None = None

    def __post_init__(self):
        splits = {"train": self.train, "test": self.test}
        if self.validation is not None:
            splits["validation"] = self.validation
        for split, arrays in splits.items():
            check_arrays(f"{self.title}, {split} split", *arrays)
        check_classes(self.title, self.num_classes)
        for split, arrays in splits.items():
            where = f"{self.title}, {split} split"
            check_labels(where, arrays.labels, self.num_classes)
            check_finite(where, arrays.inputs)
            check_alike(self.title, self.train.inputs, split, arrays.inputs)
        check_statistics(self.title, self.train.inputs.shape[-1], self.mean, self.std)


@dataclasses.dataclass(frozen=True, eq=False)
class ImageDataset:
    """A data set of images that are decoded when they are needed.

    Attributes:
      name: As in `Dataset`.
      title: As in `Dataset`.
      train: What is learned from.
      test: What errors are measured on.
      num_classes: K; labels are 0 to K - 1.
      mean: One per channel, of pixels scaled to [0, 1].
      std: Likewise, all above 0.

    Raises:
      UsageError: If splits are empty, images have other numbers of channels or no known
        sizes, labels are outside 0 to K - 1, or mean and std do not fit the channels.
    """

    name: str
    title: str
    train: ImageSplit
    test: ImageSplit
    num_classes: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    validation: None = None

    def __post_init__(self):
        check_classes(self.title, self.num_classes)
        for split, (images, labels) in (("train", self.train), ("test", self.test)):
            where = f"{self.title}, {split} split"
            if not len(images) == len(images.sizes) == len(labels) > 0:
                raise UsageError(
                    f"{where}: {len(images)} images, {len(images.sizes)} known sizes "
                    f"and {len(labels)} labels must be the same number, above 0"
                )
            check_labels(where, labels, self.num_classes)
            if images.channels != self.train.images.channels:
                raise UsageError(
                    f"{self.title}: training images have {self.train.images.channels} "
                    f"channels, {split} ones {images.channels}"
                )
        check_statistics(self.title, self.train.images.channels, self.mean, self.std)


_AnyDataset = TypeVar("_AnyDataset", bound=Dataset | ImageDataset)


def take(dataset: _AnyDataset, *, train: int = 0, test: int = 0) -> _AnyDataset:
    """Returns the first examples of each split, and a title that says so.

    Args:
      dataset: Left as it is.
      train: Training examples to keep; 0 keeps all.
      test: Test examples to keep; 0 keeps all.

    Returns:
      The smaller data set, with the mean and std of the full one.

    Raises:
      UsageError: If a number is negative or more than there are.
    """
    kept_train, train_note = _first(dataset, "train", dataset.train, train)
    kept_test, test_note = _first(dataset, "test", dataset.test, test)
    title = dataset.title + train_note + test_note
    return dataclasses.replace(dataset, title=title, train=kept_train, test=kept_test)


def channel_statistics(
    inputs: Shaped[np.ndarray, "N *dims C"],
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Returns each channel's mean and (population) std, computed in float64.

    Args:
      inputs: uint8 images, read as fractions of 255, or floating-point features in
        their own units.

    Returns:
      mean and std, C numbers each. The std of a constant channel is given as 1, so
      that dividing by it is harmless.
    """
    if inputs.dtype == np.uint8:
        mean, variance = _byte_moments(inputs)
    else:
        rows = inputs.reshape(-1, inputs.shape[-1]).astype(np.float64)
        mean, variance = rows.mean(axis=0), rows.var(axis=0)
    std = np.where(variance > 0, np.sqrt(variance), 1.0)
    return tuple(mean.tolist()), tuple(std.tolist())


def _first(
    dataset: Dataset | ImageDataset, name: str, split: Any, count: int
) -> tuple[Any, str]:
    have = len(split.labels)
    if not 0 <= count <= have:
        raise UsageError(
            f"cannot take {count:,} {name} examples of {dataset.name}: it has {have:,} "
            "(0 takes all)"
        )
    if count in (0, have):
        return split, ""
    note = f", first {count:,} {name} examples"
    return split.first(count), note


def _byte_moments(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    # Counting the 256 values is exact and needs no float64 copy of all the pixels.
    channels = images.shape[-1]
    counts = np.zeros((channels, 256))
    for start in range(0, len(images), 1000):
        block = images[start : start + 1000].reshape(-1, channels)
        for channel in range(channels):
            counts[channel] += np.bincount(block[:, channel], minlength=256)
    share = counts / counts.sum(axis=1, keepdims=True)
    values = np.arange(256) / 255
    mean = share @ values
    return mean, (share * (values - mean[:, None]) ** 2).sum(axis=1)
