"""Data sets of tensorflow-datasets, each prepared once and then read as plain arrays.

The only module that imports TensorFlow or tensorflow_datasets, and that only to prepare
a set: later runs read the file that `array_cache` keeps beside the prepared set.
"""

import contextlib
import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mixup_jax.data import array_cache, debian_fashion, manual_files
from mixup_jax.data.dataset import Dataset, Split
from mixup_jax.data.preparing import one_process_at_a_time, quiet
from mixup_jax.errors import UsageError

_LOG = logging.getLogger(__name__)
CACHE_NAME = "mixup_jax_arrays.npz"


class _Source(NamedTuple):
    title: str
    num_classes: int
    # None: measured on the training pixels and kept in the cache.
    statistics: tuple[tuple[float, ...], tuple[float, ...]] | None = None


_SOURCES = {
    "fashion_mnist": _Source("Fashion-MNIST", 10),
    # facebookresearch/mixup-cifar10. The std is the mean of the images' own stds, which
    # is less than that of all pixels (.2470, .2435, .2616); kept for fidelity.
    "cifar10": _Source(
        "CIFAR-10", 10, ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010))
    ),
    # The paper and its code are silent on CIFAR-100.
    "cifar100": _Source("CIFAR-100", 100),
}


def load(
    name: str, *, data_dir: str | None = None, manual_dir: str | None = None
) -> Dataset:
    """Returns fashion_mnist, cifar10 or cifar100, preparing it on first use.

    The first use downloads the published archives, or takes them from `manual_dir` or,
    for Fashion-MNIST, from Debian's package dataset-fashion-mnist, and needs
    TensorFlow. Later uses read one file and need neither.

    Args:
      name: As tensorflow-datasets calls it.
      data_dir: A local folder to prepare in; by default the environment's
        TFDS_DATA_DIR, or else ~/tensorflow_datasets.
      manual_dir: A folder with archives that were downloaded by hand.

    Returns:
      uint8 images [N, 28, 28, 1] or [N, 32, 32, 3], in the order of the prepared set.

    Raises:
      UsageError: If the set is yet to be prepared, and TensorFlow is missing, an
        archive can be neither found nor downloaded or is not the published one, or
        the folder cannot be written to.
    """
    source = _SOURCES[name]
    folder = array_cache.folder(name, data_dir)
    manual = Path(manual_dir).expanduser() if manual_dir else None
    arrays = array_cache.restore(folder / CACHE_NAME, name)
    if arrays is None:
        with one_process_at_a_time(folder):
            # Another process may have made it in the meantime.
            arrays = array_cache.restore(folder / CACHE_NAME, name)
            if arrays is None:
                arrays = _build(name, folder, manual)
    mean, std = source.statistics or (arrays.mean, arrays.std)
    return Dataset(
        name, source.title, arrays.train, arrays.test, source.num_classes, mean, std
    )


def _build(name: str, folder: Path, manual: Path | None) -> array_cache.Arrays:
    with quiet():
        tfds = _import_tfds(name)
        builder = tfds.builder(name, data_dir=folder.parent)
        if not builder.data_path.exists():
            _prepare(tfds, builder, manual)
        train, test = (_read_split(tfds, builder, split) for split in ("train", "test"))
    arrays = array_cache.measure(train, test)
    try:
        array_cache.save(folder / CACHE_NAME, name, arrays)
    except OSError as error:
        _LOG.warning("no cache kept in %s, the next start is slow: %s", folder, error)
    return arrays


def _import_tfds(name: str) -> Any:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before the import, or never
    try:
        import tensorflow as tf
        import tensorflow_datasets as tfds
    except ImportError as error:
        raise UsageError(
            f"preparing {name} for the first time needs TensorFlow: "
            f"pip install 'mixup-jax[data]' ({error})"
        ) from error
    # It would otherwise take the memory that JAX is about to use.
    with contextlib.suppress(RuntimeError):  # in use already: the user's own affair
        tf.config.set_visible_devices([], "GPU")
    if not sys.stderr.isatty():
        tfds.disable_progress_bar()
    return tfds


def _prepare(tfds: Any, builder: Any, manual: Path | None) -> None:
    title, files = _SOURCES[builder.name].title, _published(builder)
    downloads = Path(builder.data_dir).parents[1] / "downloads"
    with tempfile.TemporaryDirectory() as temporary:
        absent = manual_files.missing(manual, files)
        if absent and builder.name == "fashion_mnist":
            restored = Path(temporary)
            if debian_fashion.restore(restored):
                manual, absent = restored, manual_files.missing(restored, files)
        have = manual_files.downloaded(downloads / builder.name)
        absent = {url: file for url, file in absent.items() if url not in have}
        manual_files.check_reachable(title, absent)
        _LOG.warning("preparing %s in %s, this once", title, builder.data_dir)
        config = tfds.download.DownloadConfig(manual_dir=manual)
        with _readable_errors(tfds, builder, absent):
            builder.download_and_prepare(download_dir=downloads, download_config=config)


def _published(builder: Any) -> manual_files.Files:
    return {
        url: manual_files.Published(known.filename, int(known.size), known.checksum)
        for url, known in builder.url_infos.items()
    }


@contextlib.contextmanager
def _readable_errors(
    tfds: Any, builder: Any, absent: manual_files.Files
) -> Iterator[None]:
    import requests
    from tensorflow_datasets.core.download import download_manager

    title = _SOURCES[builder.name].title
    try:
        yield
    except (
        requests.exceptions.RequestException,
        tfds.download.DownloadError,
        download_manager.NonMatchingChecksumError,
    ) as error:
        raise manual_files.unavailable(title, absent, error) from error
    except OSError as error:
        raise UsageError(
            f"cannot prepare {title} in {builder.data_dir}: {error}"
        ) from error


def _read_split(tfds: Any, builder: Any, split: str) -> Split:
    try:
        examples = tfds.as_numpy(builder.as_dataset(split=split, batch_size=-1))
    except NotImplementedError as error:
        raise UsageError(
            f"{builder.data_dir} was prepared in a format that TensorFlow does not "
            "read (ArrayRecord?); choose another --data_dir"
        ) from error
    return Split(examples["image"], examples["label"].astype(np.int32))
