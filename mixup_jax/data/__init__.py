"""Sources of data: `load(name)` returns a `Dataset` in memory, ready for a device.

`SOURCES` names what there is. The module `augment` turns stored images into what a
network reads; `corrupt_labels` adds the label noise of the paper's table 2.
"""

from collections.abc import Callable
from functools import partial

from mixup_jax import errors
from mixup_jax.data import (
    mnist5k,
    speech,
    speech_synthetic,
    tabular,
    tfds_source,
    toy,
)
from mixup_jax.data.corruption import Corruption, corrupt_labels
from mixup_jax.data.dataset import Dataset, Split, channel_statistics, take

__all__ = [
    "SOURCES",
    "Corruption",
    "Dataset",
    "Split",
    "channel_statistics",
    "corrupt_labels",
    "load",
    "take",
]

# Each is called with data_dir and manual_dir, which those that need no disk ignore.
SOURCES: dict[str, Callable[..., Dataset]] = {
    "abalone": partial(tabular.load, "abalone"),
    "arcene": partial(tabular.load, "arcene"),
    "arrhythmia": partial(tabular.load, "arrhythmia"),
    "cifar10": partial(tfds_source.load, "cifar10"),
    "cifar100": partial(tfds_source.load, "cifar100"),
    "fashion_mnist": partial(tfds_source.load, "fashion_mnist"),
    "htru2": partial(tabular.load, "htru2"),
    "iris": partial(tabular.load, "iris"),
    "mnist5k": lambda **_: mnist5k.load(),
    "phishing": partial(tabular.load, "phishing"),
    "speech_commands": speech.load,
    "speech_synthetic": speech_synthetic.load,
    "two_rings": lambda **_: toy.load(),
}


def load(
    name: str, *, data_dir: str | None = None, manual_dir: str | None = None
) -> Dataset:
    """Returns one of `SOURCES`, preparing it on disk if it has to be.

    Args:
      name: A key of `SOURCES`.
      data_dir: Local folder for prepared sets; by default the environment's
        TFDS_DATA_DIR, or else ~/tensorflow_datasets.
      manual_dir: Folder with archives downloaded by hand, looked into first.

    Raises:
      UsageError: If the name is unknown, or the set cannot be had; the message says
        what to install, or which file to put where.
    """
    if name not in SOURCES:
        raise errors.unknown("data set", name, SOURCES)
    return SOURCES[name](data_dir=data_dir, manual_dir=manual_dir)
