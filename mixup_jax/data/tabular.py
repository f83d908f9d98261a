"""The six UCI sets of the paper's table 4: rows of numbers, split at random.

The paper says neither how rows were split nor whether features were standardised, so
both are options; what is measured on one choice is not comparable to another.
"""

import logging
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from mixup_jax.data import array_cache, preparing
from mixup_jax.data.builders.tables import TABLES, Table
from mixup_jax.data.dataset import Dataset, Split, channel_statistics
from mixup_jax.data.splitting import TRAIN_SHARE, random_split
from mixup_jax.errors import unknown

_LOG = logging.getLogger(__name__)
CACHE_NAME = "mixup_jax_rows.npz"
# Change it when prepared rows mean something else, and old files are forgotten.
_CONTENT = "rows in the order of the files, 1"


def load(
    name: str,
    *,
    data_dir: str | None = None,
    manual_dir: str | None = None,
    split_seed: int = 0,
    train_share: float = TRAIN_SHARE,
    standardise: bool = True,
) -> Dataset:
    """Returns one of the UCI sets, preparing it on first use.

    The first use downloads the repository's archive, or takes it or the files in it
    from `manual_dir`; it needs no TensorFlow. Later uses read one file.

    Rows are split by one plain permutation, whatever their classes: a rare class may be
    missing from either part. Arcene's two labelled parts are pooled first.

    Every column is one feature. Abalone's sex is 0, 1, 2 for M, F, I; other nominal
    columns are numbers already. A missing cell (arrhythmia has them) is filled with the
    column's mean over the training rows that have it, and with 0 if none has.

    Args:
      name: abalone, arcene, arrhythmia, htru2, phishing or iris.
      data_dir: A local folder to prepare in; by default the environment's
        TFDS_DATA_DIR, or else ~/tensorflow_datasets.
      manual_dir: A folder with files that were downloaded by hand.
      split_seed: Of the permutation; 0 to 2**32 - 1.
      train_share: Of the rows, between 0 and 1; at least one row goes either way.
      standardise: Whether mean and std are those of the training rows, computed in
        float64; columns that are constant there have std 1. Else 0 and 1.

    Returns:
      float32 features [N, C] in their own units, to be standardised by mean and std
      like the channels of an image, and labels by the order of the table's classes.

    Raises:
      UsageError: If the name is unknown, an option is out of range, the files can be
        neither found nor downloaded or are not the published ones, or the folder
        cannot be written to.
    """
    if name not in TABLES:
        raise unknown("UCI set", name, TABLES)
    table = TABLES[name]
    rows = _rows(table, data_dir, Path(manual_dir).expanduser() if manual_dir else None)
    parts = random_split(len(rows.labels), seed=split_seed, train_share=train_share)
    train, test = (Split(rows.inputs[part], rows.labels[part]) for part in parts)
    fill = _known_means(train.inputs)
    train, test = (Split(_filled(s.inputs, fill), s.labels) for s in (train, test))
    title = (
        f"{table.title} (UCI {table.number}), {len(rows.labels):,} rows split "
        f"{len(train.labels):,} + {len(test.labels):,}, split seed {split_seed}"
    )
    if standardise:
        mean, std = channel_statistics(train.inputs)
    else:
        mean, std = (0.0,) * table.columns, (1.0,) * table.columns
        title += ", not standardised"
    return Dataset(name, title, train, test, len(table.classes), mean, std)


def _known_means(features: Float32[np.ndarray, "N C"]) -> Float32[np.ndarray, " C"]:
    known = ~np.isnan(features)
    total = np.where(known, features, 0).sum(axis=0, dtype=np.float64)
    return (total / np.maximum(known.sum(axis=0), 1)).astype(np.float32)


def _filled(
    features: Float32[np.ndarray, "N C"], fill: Float32[np.ndarray, " C"]
) -> Float32[np.ndarray, "N C"]:
    return np.where(np.isnan(features), fill, features)


def _rows(table: Table, data_dir: str | None, manual_dir: Path | None) -> Split:
    folder = array_cache.folder(f"uci_{table.name}", data_dir)
    rows = _restore(table, folder)
    if rows is None:
        with preparing.one_process_at_a_time(folder):
            # Another process may have made it in the meantime.
            rows = _restore(table, folder)
            if rows is None:
                rows = _build(table, folder, manual_dir)
    return rows


def _restore(table: Table, folder: Path) -> Split | None:
    names = ("features", "labels")
    arrays = array_cache.read(folder / CACHE_NAME, _CONTENT, names)
    return None if arrays is None else Split(*arrays)


def _build(table: Table, folder: Path, manual_dir: Path | None) -> Split:
    _LOG.warning("preparing %s in %s, this once", table.title, folder)
    with preparing.quiet():
        from mixup_jax.data.builders import uci

        rows = uci.prepare(table.name, folder.parent, manual_dir)
    try:
        arrays = {"features": rows.inputs, "labels": rows.labels}
        array_cache.write(folder / CACHE_NAME, _CONTENT, arrays)
    except OSError as error:
        _LOG.warning("no cache kept in %s, the next start is slow: %s", folder, error)
    return rows
