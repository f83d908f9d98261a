"""Data sets in NumPy's own files: `NAME_train.npz` and `NAME_test.npz`.

Each holds `labels` [N] and either `inputs`, uint8 images [N, H, W, C] or float32
features [N, C], or `jpeg` and `offsets`: all encoded images one after another as uint8,
and where each begins, [N + 1].
"""

import dataclasses
import hashlib
import zipfile
from pathlib import Path

import numpy as np
from jaxtyping import Int32

from mixup_jax.data.dataset import (
    Dataset,
    ImageDataset,
    ImageSplit,
    Split,
    channel_statistics,
)
from mixup_jax.data.images.conversion import in_memory
from mixup_jax.data.images.images import PackedImages
from mixup_jax.data.images.survey import Survey, pixel_statistics, surveyed
from mixup_jax.errors import UsageError

CIFAR10_JPEG = ("cifar10_jpeg_train.npz", "cifar10_jpeg_test.npz")
_ORDER_SEED = 0
_MOST = 2**31 - 2  # the greatest label whose count of classes is an int32
# facebookresearch/mixup-cifar10's, as for CIFAR-10 itself (see tfds_source).
_CIFAR10 = ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010))


def load(
    path: str, *, data_dir: str | None = None, manual_dir: str | None = None
) -> Dataset | ImageDataset:
    """Returns what lies in `path`_train.npz and `path`_test.npz.

    Args:
      path: Both files' path up to `_train.npz` and `_test.npz`.
      data_dir: What is found by decoding every image once is kept there.
      manual_dir: Not looked into.

    Returns:
      Classes are numbered as in the files, up to the greatest training label. Examples
      are in an order that is random but fixed, for files are often sorted by class.

    Raises:
      UsageError: If a file is missing or damaged, or its arrays are not as they should
        be, or an image cannot be read.
    """
    del manual_dir
    _check_prefix(path)
    train, test = (
        _File(Path(f"{path}_{split}.npz").expanduser()) for split in ("train", "test")
    )
    train.check_classes()
    _check_alike(train, test)
    title = f"{Path(path).name} (npz files)"
    classes = int(train.labels.max()) + 1
    if train.decoded:
        statistics = channel_statistics(train.inputs()[train.order])
        # Checked in the order of the files, for errors name places.
        first, second = (Split(f.inputs(), f.labels) for f in (train, test))
        found = Dataset("npz", title, first, second, classes, *statistics)
        return dataclasses.replace(
            found,
            train=Split(*(array[train.order] for array in first)),
            test=Split(*(array[test.order] for array in second)),
        )
    (images, found), (tested, _) = (file.encoded(data_dir) for file in (train, test))
    statistics = pixel_statistics(found)
    return ImageDataset("npz", title, images, tested, classes, *statistics)


def load_cifar10_jpeg(
    *, data_dir: str | None = None, manual_dir: str | None = None
) -> Dataset:
    """Returns CIFAR-10, each image compressed by JPEG: never to be taken for CIFAR-10.

    Args:
      data_dir: See `load`.
      manual_dir: Where the two files `CIFAR10_JPEG` are.

    Raises:
      UsageError: See `load`.
    """
    if manual_dir is None:
        raise UsageError(
            f"put {' and '.join(CIFAR10_JPEG)} into one folder and name it with "
            "--manual_dir"
        )
    found = in_memory(load(str(Path(manual_dir) / "cifar10_jpeg"), data_dir=data_dir))
    title = "CIFAR-10, JPEG copy"
    return Dataset("cifar10_jpeg", title, found.train, found.test, 10, *_CIFAR10)


class _File:
    """One of the two files.

    Attributes:
      path: Its own.
      arrays: By name.
      labels: In the order of the file.
      order: The fixed random one that examples are put in.
      decoded: Whether it has arrays of inputs.
    """

    def __init__(self, path: Path):
        self.path, self.arrays = path, _arrays(path)
        self.labels = _labels(path, self.arrays)
        self.order = np.random.RandomState(_ORDER_SEED).permutation(len(self.labels))
        self.decoded = "inputs" in self.arrays

    def inputs(self) -> np.ndarray:
        """The examples, decoded already."""
        inputs = self.arrays["inputs"]
        if not inputs.ndim:
            raise UsageError(f"{self.path}: `inputs` must be [N, ...], got shape ()")
        self._check_length(len(inputs))
        return inputs

    def encoded(self, data_dir: str | None) -> tuple[ImageSplit, Survey]:
        """The examples, encoded, in their order, and what they look like."""
        images = _packed(self.path, self.arrays)
        self._check_length(len(images))
        images, found = surveyed(
            images,
            str(self.path),
            fingerprint=hashlib.sha256(images.bytes.data).hexdigest(),
            data_dir=data_dir,
        )
        images = images.take(self.order)
        return ImageSplit(images, self.labels[self.order]), found

    def check_classes(self) -> None:
        """Raises UsageError unless there are labels of two classes."""
        count = len(self.labels)
        if not count or not self.labels.max():
            found = f"all {count:,} labels are 0" if count else "it has no labels"
            raise UsageError(f"{self.path}: {found}; at least two classes are needed")

    def _check_length(self, inputs: int) -> None:
        if inputs != len(self.labels):
            raise UsageError(
                f"{self.path}: {inputs:,} examples but {len(self.labels):,} labels"
            )


def _check_prefix(path: str) -> None:
    for ending in ("_train.npz", "_test.npz", ".npz"):
        if path.endswith(ending):
            raise UsageError(
                "npz:PREFIX stands for PREFIX_train.npz and PREFIX_test.npz; leave out "
                f"{ending}: npz:{path.removesuffix(ending)}"
            )


def _check_alike(train: _File, test: _File) -> None:
    if train.decoded != test.decoded:
        has = [
            f"{file.path} has {'`inputs`' if file.decoded else 'none'}"
            for file in (train, test)
        ]
        raise UsageError(f"{' and '.join(has)}; make both of one kind")


def _labels(path: Path, arrays: dict[str, np.ndarray]) -> Int32[np.ndarray, " N"]:
    labels = arrays.get("labels")
    if labels is None:
        raise UsageError(
            f"{path} needs an array `labels`; it has {', '.join(arrays) or 'none'}"
        )
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise UsageError(
            f"{path} needs an array `labels` of whole numbers, [N], got {labels.dtype} "
            f"{labels.shape}; of one-hot labels take labels.argmax(axis=1)"
        )
    for bad, why in ((labels < 0, "below 0"), (labels > _MOST, f"above {_MOST:,}")):
        if bad.any():
            place = int(bad.argmax())
            raise UsageError(
                f"{path}: label {labels[place]} at index {place} is {why}; number the "
                "classes from 0"
            )
    return labels.astype(np.int32)


def _arrays(path: Path) -> dict[str, np.ndarray]:
    if path.is_file() and not zipfile.is_zipfile(path):
        raise UsageError(
            f"{path} cannot be read: it is cut off, or no file of named arrays as "
            "numpy.savez writes it; get or make it again"
        )
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except FileNotFoundError as error:
        raise UsageError(
            f"there is no file {path.absolute()}; npz:PREFIX takes PREFIX_train.npz "
            "and PREFIX_test.npz"
        ) from error
    except Exception as error:  # whatever is wrong with it, it is not ours to mend
        raise UsageError(
            f"{path} cannot be read as a NumPy archive ({error}); get or make it again"
        ) from error


def _packed(path: Path, arrays: dict[str, np.ndarray]) -> PackedImages:
    if not {"jpeg", "offsets"} <= arrays.keys():
        raise UsageError(
            f"{path} needs an array `inputs`, or `jpeg` and `offsets`; it has "
            f"{', '.join(arrays) or 'none'}"
        )
    content, offsets = arrays["jpeg"], arrays["offsets"]
    if content.dtype != np.uint8 or content.ndim != 1:
        raise UsageError(
            f"{path}: `jpeg` must be uint8 [bytes], got {content.dtype} {content.shape}"
        )
    if offsets.dtype.kind not in "iu" or offsets.ndim != 1:
        raise UsageError(
            f"{path}: `offsets` must be whole numbers [N + 1], got {offsets.dtype} "
            f"{offsets.shape}"
        )
    offsets = offsets.astype(np.int64)
    steps = np.diff(offsets)
    if (
        (steps < 0).any()
        or offsets[:1].sum() != 0
        or offsets[-1:].sum() != len(content)
    ):
        raise UsageError(
            f"{path}: `offsets` must rise from 0 to {len(content):,}, all of `jpeg`"
        )
    return PackedImages(path.name, content, np.stack([offsets[:-1], offsets[1:]], 1))
