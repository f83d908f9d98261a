"""One file per data set from which a later run starts at once, whole or not at all."""

import contextlib
import logging
import os
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mixup_jax.data.dataset import Split, channel_statistics

_LOG = logging.getLogger(__name__)


class Arrays(NamedTuple):
    """The splits, and the channel statistics of the training one."""

    train: Split
    test: Split
    mean: tuple[float, ...]
    std: tuple[float, ...]


def measure(train: Split, test: Split) -> Arrays:
    """Returns the splits with the mean and std of the training pixels."""
    return Arrays(train, test, *channel_statistics(train.inputs))


def save(path: Path, content: str, arrays: Arrays) -> None:
    """Writes the file under another name and renames it, so that no half is ever read.

    Args:
      path: Replaced if it exists.
      content: What is in it; `restore` must be given the same.
      arrays: To be kept, uncompressed.

    Raises:
      OSError: If the folder cannot be written to, or the disk is full.
    """
    handle, temporary = tempfile.mkstemp(prefix=path.name, dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            np.savez(
                file,
                content=np.array(content),
                train_inputs=arrays.train.inputs,
                train_labels=arrays.train.labels,
                test_inputs=arrays.test.inputs,
                test_labels=arrays.test.labels,
                mean=np.array(arrays.mean),
                std=np.array(arrays.std),
            )
            file.flush()
            os.fsync(file.fileno())
        # mkstemp makes private files; a shared data folder wants readable ones.
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def restore(path: Path, content: str) -> Arrays | None:
    """Reads what `save` wrote; None if there is no such file.

    A file that is damaged, truncated or of other content is logged, removed and
    treated as missing. The format checks a CRC of every array as it is read.
    """
    if not path.exists():
        return None
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            found = str(file["content"])
            arrays = Arrays(
                Split(file["train_inputs"], file["train_labels"]),
                Split(file["test_inputs"], file["test_labels"]),
                tuple(file["mean"].tolist()),
                tuple(file["std"].tolist()),
            )
        if found != content:
            raise ValueError(f"it holds {found!r}, not {content!r}")
    except Exception as error:  # whatever is wrong with it, it can be made again
        _LOG.warning("the cache %s is of no use and is built anew: %s", path, error)
        with contextlib.suppress(OSError):
            path.unlink()
        return None
    return arrays
