"""Image sets of tensorflow-datasets, each prepared once and then read without it.

The only module that imports TensorFlow, and that only to prepare a set. Where each
image is is remembered (`tfds_images`); the small sets that the paper uses are kept as
arrays besides.
"""

import contextlib
import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from mixup_jax.data import array_cache, debian_fashion, manual_files, tfds_images
from mixup_jax.data.dataset import Dataset, ImageDataset
from mixup_jax.data.images.conversion import in_memory
from mixup_jax.data.images.survey import pixel_statistics
from mixup_jax.data.preparing import one_process_at_a_time, quiet
from mixup_jax.errors import UsageError, install, unknown

_LOG = logging.getLogger(__name__)
CACHE_NAME = "mixup_jax_arrays.npz"
_TESTS = ("test", "validation")  # the first that is there is tested on


class _Known(NamedTuple):
    """What is known of a set in advance.

    Attributes:
      title: Empty for its name in tensorflow-datasets.
      statistics: None: measured on the training pixels.
      test: Split to test on; empty for the first of the usual ones.
      examples: Of the two splits; None: as many as there are.
    """

    title: str = ""
    statistics: tuple[tuple[float, ...], tuple[float, ...]] | None = None
    test: str = ""
    examples: tuple[int, int] | None = None


KNOWN = {
    "fashion_mnist": _Known("Fashion-MNIST"),
    # facebookresearch/mixup-cifar10. The std is the mean of the images' own stds, which
    # is less than that of all pixels (.2470, .2435, .2616); kept for fidelity.
    "cifar10": _Known("CIFAR-10", ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010))),
    # The paper and its code are silent on CIFAR-100.
    "cifar100": _Known("CIFAR-100"),
    # Statistics of fb.resnet.torch. The labels of its test split were never published.
    "imagenet2012": _Known(
        "ImageNet-2012",
        ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        "validation",
        (1_281_167, 50_000),
    ),
}


def load(
    name: str, *, data_dir: str | None = None, manual_dir: str | None = None
) -> Dataset:
    """Returns fashion_mnist, cifar10 or cifar100, preparing it on first use.

    The first use downloads the published archives, or takes them from `manual_dir` or,
    for Fashion-MNIST, from Debian's package dataset-fashion-mnist, and needs
    TensorFlow. Later uses read one file.

    Args:
      name: As tensorflow-datasets calls it.
      data_dir: A local folder to prepare in; by default the environment's
        TFDS_DATA_DIR, or else ~/tensorflow_datasets.
      manual_dir: A folder with archives that were downloaded by hand.

    Returns:
      uint8 images [N, 28, 28, 1] or [N, 32, 32, 3], in the order of the prepared set.

    Raises:
      UsageError: If the set is yet to be prepared, and TensorFlow or OpenCV is missing,
        an archive can be neither found nor downloaded or is not the published one, or
        the folder cannot be written to.
    """
    path = array_cache.folder(name, data_dir) / CACHE_NAME
    arrays = array_cache.restore(path, name)
    if arrays is None:
        images = load_images(name, data_dir=data_dir, manual_dir=manual_dir)
        arrays = _decode(images, path)
    known = KNOWN[name]
    mean, std = known.statistics or (arrays.mean, arrays.std)
    classes = int(arrays.train.labels.max()) + 1
    return Dataset(name, known.title, arrays.train, arrays.test, classes, mean, std)


def load_images(
    name: str, *, data_dir: str | None = None, manual_dir: str | None = None
) -> ImageDataset:
    """Returns the images of any set that tensorflow-datasets has, encoded as they are.

    It is prepared on first use, which needs TensorFlow, unless it lies in `data_dir`
    already. Then every image is decoded once, so that one that cannot be read is named
    before anything is trained.

    Args:
      name: As tensorflow-datasets calls it, such as imagenette/160px-v2.
      data_dir: See `load`.
      manual_dir: See `load`.

    Returns:
      The splits train and test, or train and validation where there is no test split
      or, as of ImageNet, it has no labels.

    Raises:
      UsageError: As `load`; or if there is no such set, its examples are not images
        with a class each, or there is no split to train or to test on.
    """
    root = array_cache.root(data_dir)
    folder = root / name.replace(":", "_")
    kept = [folder / f"mixup_jax_{split}.npz" for split in ("train", "test")]
    train, test = map(tfds_images.restore, kept)
    if train is None or test is None:
        with one_process_at_a_time(folder):
            # Another process may have made them in the meantime.
            train, test = map(tfds_images.restore, kept)
            if train is None or test is None:
                train, test = _index(name, root, kept, manual_dir)
    known = KNOWN.get(name, _Known())
    _check_examples(name, known, (len(train.split.labels), len(test.split.labels)))
    statistics = known.statistics or pixel_statistics(train.survey)
    title = known.title or f"{name} (tensorflow-datasets)"
    return ImageDataset(
        *(name, title, train.split, test.split), train.classes, *statistics
    )


def _decode(images: ImageDataset, path: Path) -> array_cache.Arrays:
    dataset = in_memory(images)
    arrays = array_cache.measure(dataset.train, dataset.test)
    try:
        array_cache.save(path, images.name, arrays)
    except OSError as error:
        _LOG.warning("no cache kept in %s, the next start is slow: %s", path, error)
    return arrays


def _check_examples(name: str, known: _Known, found: tuple[int, int]) -> None:
    if known.examples and known.examples != found:
        raise UsageError(
            f"{name} was prepared with {found[0]:,} + {found[1]:,} examples, and has "
            f"{known.examples[0]:,} + {known.examples[1]:,}: delete its folder in "
            "data_dir and prepare it again from whole archives"
        )


def _index(
    name: str, root: Path, kept: list[Path], manual_dir: str | None
) -> list[tfds_images.Indexed]:
    with quiet():
        builder = _builder(name, root)
        if not builder.data_path.exists():
            manual = Path(manual_dir).expanduser() if manual_dir else None
            _prepare(_import_tfds(name), builder, manual)
        splits = _splits(name, builder)
    return [
        tfds_images.index(path, _shards(name, builder, split), f"{name}, {split} split")
        for path, split in zip(kept, splits, strict=True)
    ]


def _builder(name: str, root: Path) -> Any:
    import tensorflow_datasets as tfds
    from tensorflow_datasets.core.registered import DatasetNotFoundError

    try:
        return tfds.builder(name, data_dir=root)
    except DatasetNotFoundError:
        known = tfds.list_builders(with_community_datasets=False)
        raise unknown("tensorflow-datasets set", name.split("/")[0], known) from None
    except (ValueError, TypeError, AssertionError) as error:
        raise UsageError(f"tensorflow-datasets has no set {name}: {error}") from error


def _splits(name: str, builder: Any) -> tuple[str, str]:
    have = list(builder.info.splits)
    chosen = KNOWN.get(name, _Known()).test
    tests = (chosen,) if chosen else _TESTS
    test = next((split for split in tests if split in have), None)
    if "train" not in have or test is None:
        raise UsageError(
            f"{name} has the splits {', '.join(have)}, not train and "
            f"{' or '.join(tests)}"
        )
    return "train", test


def _shards(name: str, builder: Any, split: str) -> tfds_images.Shards:
    import tensorflow_datasets as tfds

    info = builder.info
    image, label = (info.supervised_keys or ("image", "label"))[:2]
    features = dict(info.features) if hasattr(info.features, "items") else {}
    if not (
        isinstance(features.get(image), tfds.features.Image)
        and isinstance(features.get(label), tfds.features.ClassLabel)
    ):
        raise UsageError(
            f"{name} is not a set of images with a class each; its features are "
            f"{', '.join(map(str, features)) or info.features}"
        )
    if info.file_format != tfds.core.FileFormat.TFRECORD:
        raise UsageError(
            f"{builder.data_dir} was prepared as {info.file_format.value} files, not "
            "as the TFRecord files of default; choose another --data_dir"
        )
    return tfds_images.Shards(
        [str(path) for path in info.splits[split].filepaths],
        *(image, label),
        1 if features[image].shape[-1] == 1 else 3,
        features[label].num_classes,
    )


def import_tensorflow() -> Any:
    """Returns TensorFlow, kept away from GPUs and quiet.

    Raises:
      ImportError: If it is not installed.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before the import, or never
    import tensorflow as tf

    # It would otherwise take the memory that JAX is about to use.
    with contextlib.suppress(RuntimeError):  # in use already: the user's own affair
        tf.config.set_visible_devices([], "GPU")
    return tf


def _import_tfds(name: str) -> Any:
    try:
        import_tensorflow()
        import tensorflow_datasets as tfds
    except ImportError as error:
        raise UsageError(
            f"preparing {name} for the first time needs TensorFlow: "
            f"{install('data')} ({error})"
        ) from error
    if not sys.stderr.isatty():
        tfds.disable_progress_bar()
    return tfds


def _prepare(tfds: Any, builder: Any, manual: Path | None) -> None:
    title, files = _title(builder), _published(builder)
    downloads = Path(builder.data_dir).parents[1] / "downloads"
    with tempfile.TemporaryDirectory() as temporary:
        absent = manual_files.missing(manual, files)
        if absent and builder.name == "fashion_mnist":
            restored = Path(temporary)
            if debian_fashion.restore(restored):
                manual, absent = restored, manual_files.missing(restored, files)
        have = manual_files.downloaded(downloads / builder.name)
        absent = {url: file for url, file in absent.items() if url not in have}
        if absent and builder.MANUAL_DOWNLOAD_INSTRUCTIONS:
            raise manual_files.by_hand(title, absent)
        manual_files.check_reachable(title, absent)
        _LOG.warning("preparing %s in %s, this once", title, builder.data_dir)
        config = tfds.download.DownloadConfig(manual_dir=manual)
        with _readable_errors(tfds, builder, absent):
            builder.download_and_prepare(download_dir=downloads, download_config=config)


def _title(builder: Any) -> str:
    return KNOWN.get(builder.name, _Known()).title or builder.name


def _published(builder: Any) -> manual_files.Files:
    return {
        url: manual_files.Published(
            known.filename or url.rsplit("/", 1)[-1], int(known.size), known.checksum
        )
        for url, known in (builder.url_infos or {}).items()
    }


@contextlib.contextmanager
def _readable_errors(
    tfds: Any, builder: Any, absent: manual_files.Files
) -> Iterator[None]:
    import requests
    import tensorflow as tf
    from tensorflow_datasets.core.download import download_manager

    try:
        yield
    except (
        requests.exceptions.RequestException,
        tfds.download.DownloadError,
        download_manager.NonMatchingChecksumError,
    ) as error:
        raise manual_files.unavailable(_title(builder), absent, error) from error
    except Exception as error:
        # It packs what TensorFlow says of a full disk into an error of its own.
        cause = error.__cause__ or error
        if not isinstance(cause, (OSError, tf.errors.OpError)):
            raise
        raise UsageError(
            f"cannot prepare {_title(builder)} in {builder.data_dir}: {error}"
        ) from error
