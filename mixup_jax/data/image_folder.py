"""A folder of images: your own data set, or ImageNet as it was unpacked.

folder/train/CLASS/*.jpg   and   folder/validation/CLASS/*.jpg   (or val, or test)
folder/CLASS/*.jpg         to be split at random
"""

import hashlib
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mixup_jax.data.dataset import ImageDataset, ImageSplit
from mixup_jax.data.images.images import FileImages
from mixup_jax.data.images.survey import Survey, pixel_statistics, surveyed
from mixup_jax.data.splitting import TRAIN_SHARE, random_split
from mixup_jax.errors import UsageError

_LOG = logging.getLogger(__name__)
_TRAIN = "train"
_TESTS = ("validation", "val", "test")  # the first that is there is tested on
_SUFFIXES = tuple(".bmp .gif .jpeg .jpg .pgm .png .ppm .tif .tiff .webp".split())
_ORDER_SEED = 0


class _Listing(NamedTuple):
    """Files by class: their paths below the root, and a hash that tells of changes."""

    paths: list[str]
    fingerprint: str


def load(
    path: str,
    *,
    data_dir: str | None = None,
    manual_dir: str | None = None,
    split_seed: int | None = None,
    train_share: float | None = None,
) -> ImageDataset:
    """Returns the images below a folder, encoded as they are.

    Every image is decoded once, the first time, so that one that cannot be read is
    named before anything is trained; what was found is kept in `data_dir`.

    Args:
      path: Of the folder.
      data_dir: Of prepared sets; see `array_cache.folder`.
      manual_dir: Not looked into.
      split_seed: See `random_split`, where the folder has no splits of its own.
      train_share: Likewise.

    Returns:
      Labels are places in the sorted list of the training classes. Examples are in an
      order that is random but fixed, so that the first few hundred are a fair sample.

    Raises:
      UsageError: If the folder is not laid out in either of the two ways, there are
        fewer than two classes, a class has no images to train on, or an image cannot be
        read.
    """
    del manual_dir
    root = Path(path).expanduser()
    if not root.is_dir():
        raise UsageError(
            f"there is no folder {root.absolute()}; in it should be train/CLASS/*.jpg "
            "and validation/CLASS/*.jpg, or CLASS/*.jpg"
        )
    test = next((name for name in _TESTS if (root / name).is_dir()), None)
    if not (root / _TRAIN).is_dir():
        seed = 0 if split_seed is None else split_seed
        share = TRAIN_SHARE if train_share is None else train_share
        return _load_unsplit(root, data_dir, seed, share)
    if test is None:
        raise UsageError(
            f"{root} has a folder {_TRAIN}, but none to test on: {' or '.join(_TESTS)}"
        )
    if split_seed is not None or train_share is not None:
        raise UsageError(
            f"{root} has the splits {_TRAIN} and {test}: leave split_seed and "
            "train_share out"
        )
    return _load_split(root, test, data_dir)


def _load_split(root: Path, test: str, data_dir: str | None) -> ImageDataset:
    classes = _classes(root / _TRAIN)
    if unknown := sorted(set(_folders(root / test)) - set(classes)):
        raise UsageError(
            f"{root / test} has classes that are not in {root / _TRAIN}: "
            f"{', '.join(unknown[:5])}"
        )
    train, found = _read(root / _TRAIN, classes, data_dir, all_needed=True)
    tested, _ = _read(root / test, classes, data_dir)
    return ImageDataset(
        "folder",
        f"images of {root.name}",
        _shuffled(train),
        _shuffled(tested),
        len(classes),
        *pixel_statistics(found),
    )


def _load_unsplit(
    root: Path, data_dir: str | None, seed: int, train_share: float
) -> ImageDataset:
    classes = _classes(root)
    (images, labels), found = _read(root, classes, data_dir, all_needed=True)
    train, test = random_split(len(labels), seed=seed, train_share=train_share)
    title = (
        f"images of {root.name}, {len(labels):,} split {len(train):,} + "
        f"{len(test):,}, split seed {seed}"
    )
    return ImageDataset(
        "folder",
        title,
        ImageSplit(images.take(train), labels[train]),
        ImageSplit(images.take(test), labels[test]),
        len(classes),
        *pixel_statistics(found.take(train)),
    )


def _read(
    folder: Path,
    classes: Sequence[str],
    data_dir: str | None,
    *,
    all_needed: bool = False,
) -> tuple[ImageSplit, Survey]:
    """Returns the images of a folder class by class, and what they look like."""
    listing = _list(folder, classes, all_needed)
    images, found = surveyed(
        FileImages(folder, listing.paths),
        str(folder),
        fingerprint=listing.fingerprint,
        data_dir=data_dir,
    )
    place = {name: label for label, name in enumerate(classes)}
    labels = [place[path.split("/", 1)[0]] for path in listing.paths]
    return ImageSplit(images, np.array(labels, np.int32)), found


def _shuffled(split: ImageSplit) -> ImageSplit:
    order = np.random.RandomState(_ORDER_SEED).permutation(len(split.labels))
    return ImageSplit(split.images.take(order), split.labels[order])


def _folders(folder: Path) -> list[str]:
    entries = (entry for entry in os.scandir(folder) if entry.is_dir())
    return sorted(e.name for e in entries if not e.name.startswith("."))


def _classes(folder: Path) -> list[str]:
    classes = _folders(folder)
    if len(classes) < 2:
        raise UsageError(
            f"{folder} needs a folder of images for each of at least two classes, "
            f"found {', '.join(classes) or 'none'}"
        )
    return classes


def _list(folder: Path, classes: Sequence[str], all_needed: bool) -> _Listing:
    """Lists images class by class; other files are counted in a warning."""
    paths, digest, others, empty = [], hashlib.sha256(), [], []
    for name in classes:
        before = len(paths)
        for file in _files(folder / name):
            path = file.relative_to(folder).as_posix()
            if file.suffix.lower() not in _SUFFIXES:
                others.append(path)
                continue
            paths.append(path)
            digest.update(f"{path}\0{_stamp(file)}\n".encode())
        if len(paths) == before:
            empty.append(name)
    if others:
        _LOG.warning(
            "%s has %d files that are no images by their names, such as %s",
            *(folder, len(others), others[0]),
        )
    if not paths:
        raise UsageError(
            f"{folder} holds no images: files ending in {', '.join(_SUFFIXES)} are "
            "looked for in a folder for each class"
        )
    _note_empty(folder, empty, all_needed)
    return _Listing(paths, digest.hexdigest())


def _note_empty(folder: Path, empty: Sequence[str], all_needed: bool) -> None:
    if not empty:
        return
    names = ", ".join(empty[:5]) + (f" and {len(empty) - 5} more" * (len(empty) > 5))
    if all_needed:
        raise UsageError(
            f"{folder} has no images of {names}: put some into its folder, or remove it"
        )
    _LOG.warning("%s has no images of class %s", folder, names)


def _stamp(file: Path) -> str:
    """Size and time of change; of a file that cannot be read, what is wrong with it."""
    try:
        stat = file.stat()
    except OSError as error:  # such as a link to nowhere; it is named when it is read
        return str(error)
    return f"{stat.st_size}\0{stat.st_mtime_ns}"


def _files(folder: Path) -> list[Path]:
    found = []
    for parent, _, names in os.walk(folder):
        found += [Path(parent, name) for name in names if not name.startswith(".")]
    return sorted(found)
