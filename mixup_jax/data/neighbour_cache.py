"""Nearest neighbours of a data set's training examples, found once and kept beside it.

A file is known by what it was computed from, to the last byte: a subset, other classes
(corrupted labels) or another k have files of their own.
"""

import hashlib
import logging
from pathlib import Path

import numpy as np
from jaxtyping import Int

from mixup_jax.data import array_cache
from mixup_jax.data.dataset import Dataset
from mixup_jax.errors import UsageError
from mixup_jax.vicinity.neighbours import Neighbours, nearest_neighbours

_LOG = logging.getLogger(__name__)
_FEW = 2_000  # examples; the neighbours of fewer are found in a second or two
# Change it when `nearest_neighbours` gives other results, and old files are forgotten.
_RULE = "euclidean, ties by index, 1"


def cached_neighbours(
    dataset: Dataset,
    k: int,
    *,
    labels: Int[np.ndarray, " N"] | None = None,
    data_dir: str | None = None,
) -> Neighbours:
    """Returns the k nearest training examples of each, from a file if there is one.

    Args:
      dataset: Its training inputs are compared as they are stored.
      k: From 1 to N - 1.
      labels: Where given, neighbours are of the same class; those that are trained on,
        which need not be the data set's own.
      data_dir: Where prepared sets are; by default the environment's TFDS_DATA_DIR, or
        else ~/tensorflow_datasets. A folder that cannot be written to costs later runs
        the same computation, no more.

    Returns:
      Arrays of NumPy; see `nearest_neighbours`.

    Raises:
      UsageError: If k or labels do not fit the data set, its examples are too long, or
        data_dir is not local.
    """
    if len(dataset.train.labels) < _FEW:
        return _compute(dataset, k, labels)
    fingerprint = _fingerprint(dataset, k, labels)
    kind = "all" if labels is None else "same_class"
    path = array_cache.folder(dataset.name, data_dir) / (
        f"neighbours_{kind}_{k}_{fingerprint[:16]}.npz"
    )
    kept = array_cache.read(path, fingerprint, Neighbours._fields)
    if kept is not None:
        return Neighbours(*kept)
    _LOG.warning("finding the nearest neighbours in %s, this once", dataset.title)
    found = _compute(dataset, k, labels)
    _keep(path, fingerprint, found)
    return found


def _compute(dataset: Dataset, k: int, labels: np.ndarray | None) -> Neighbours:
    try:
        return nearest_neighbours(dataset.train.inputs, k, labels=labels)
    except ValueError as error:
        raise UsageError(f"nearest neighbours in {dataset.title}: {error}") from error


def _fingerprint(dataset: Dataset, k: int, labels: np.ndarray | None) -> str:
    digest = hashlib.sha256(f"{_RULE}; k={k}".encode())
    for array in (dataset.train.inputs, labels):
        if array is None:
            digest.update(b"all classes")
        else:
            digest.update(f"{array.dtype.str}{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _keep(path: Path, fingerprint: str, found: Neighbours) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        array_cache.write(path, fingerprint, found._asdict())
    except OSError as error:
        _LOG.warning(
            "neighbours not kept in %s, the next run computes them again: %s",
            path.parent,
            error,
        )
