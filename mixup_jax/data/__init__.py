"""Sources of data: `load(name)` returns a data set, ready to be trained on.

`SOURCES` and `KINDS` name what there is. A `Dataset` holds arrays that fit into device
memory; the images of an `ImageDataset` are decoded as they are needed and streamed.
`preprocessing` says how either becomes what a network reads; `corrupt_labels` adds the
label noise of the paper's table 2.
"""

from mixup_jax.data.corruption import Corruption, corrupt_labels
from mixup_jax.data.dataset import (
    Dataset,
    ImageDataset,
    ImageSplit,
    Split,
    channel_statistics,
    take,
)
from mixup_jax.data.sources import KINDS, SOURCES, Source, is_ready, load

__all__ = [
    "KINDS",
    "SOURCES",
    "Corruption",
    "Dataset",
    "ImageDataset",
    "ImageSplit",
    "Source",
    "Split",
    "channel_statistics",
    "corrupt_labels",
    "is_ready",
    "load",
    "take",
]
