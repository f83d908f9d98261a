"""Files beside a data set that let a later run start at once, whole or not at all."""

import contextlib
import logging
import os
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mixup_jax.data.dataset import Split, channel_statistics
from mixup_jax.errors import UsageError

_LOG = logging.getLogger(__name__)


class Arrays(NamedTuple):
    """The splits, and the channel statistics of the training one."""

    train: Split
    test: Split
    mean: tuple[float, ...]
    std: tuple[float, ...]


def root(data_dir: str | None) -> Path:
    """Returns where prepared sets are kept.

    Args:
      data_dir: By default the environment's TFDS_DATA_DIR, or else
        ~/tensorflow_datasets.

    Raises:
      UsageError: If it is not local.
    """
    name = data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
    if "://" in name:
        raise UsageError(f"data_dir must be a local folder, got {name}")
    return Path(name).expanduser()


def folder(name: str, data_dir: str | None) -> Path:
    """Returns where a data set and what is derived from it are kept; see `root`."""
    return root(data_dir) / name


def measure(train: Split, test: Split) -> Arrays:
    """Returns the splits with the mean and std of the training pixels."""
    return Arrays(train, test, *channel_statistics(train.inputs))


def save(path: Path, content: str, arrays: Arrays) -> None:
    """Writes a data set; see `write`."""
    named = {
        "train_inputs": arrays.train.inputs,
        "train_labels": arrays.train.labels,
        "test_inputs": arrays.test.inputs,
        "test_labels": arrays.test.labels,
        "mean": np.array(arrays.mean),
        "std": np.array(arrays.std),
    }
    write(path, content, named)


def restore(path: Path, content: str) -> Arrays | None:
    """Reads what `save` wrote; None as in `read`."""
    names = ("train_inputs", "train_labels", "test_inputs", "test_labels")
    arrays = read(path, content, (*names, "mean", "std"))
    if arrays is None:
        return None
    train_inputs, train_labels, test_inputs, test_labels, mean, std = arrays
    return Arrays(
        Split(train_inputs, train_labels),
        Split(test_inputs, test_labels),
        tuple(mean.tolist()),
        tuple(std.tolist()),
    )


def write(path: Path, content: str, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes the file under another name and renames it, so that no half is ever read.

    Args:
      path: Replaced if it exists.
      content: What is in it; `read` must be given the same.
      arrays: To be kept, uncompressed.

    Raises:
      OSError: If the folder cannot be written to, or the disk is full.
    """
    handle, temporary = tempfile.mkstemp(prefix=path.name, dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            np.savez(file, allow_pickle=False, content=np.array(content), **arrays)
            file.flush()
            os.fsync(file.fileno())
        # mkstemp makes private files; a shared data folder wants readable ones.
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def read(path: Path, content: str, names: Iterable[str]) -> list[np.ndarray] | None:
    """Reads arrays that `write` wrote; None if there is no such file.

    A file that is damaged, truncated or of other content is logged, removed and
    treated as missing. The format checks a CRC of every array as it is read.
    """
    if not path.exists():
        return None
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            found = str(file["content"])
            arrays = [file[name] for name in names]
        if found != content:
            raise ValueError(f"it holds {found!r}, not {content!r}")
    except Exception as error:  # whatever is wrong with it, it can be made again
        _LOG.warning("the cache %s is of no use and is built anew: %s", path, error)
        with contextlib.suppress(OSError):
            path.unlink()
        return None
    return arrays
