"""Images of any set of tensorflow-datasets, read where they were prepared.

tensorflow-datasets writes TFRecord files, which can only be read from one end to the
other. Where each image lies in them is found out once and kept; from then on any image
can be read at any time, by any thread, without TensorFlow or tensorflow-datasets.
"""

import logging
import os
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int, Int32, Int64, Shaped

from mixup_jax.data import array_cache
from mixup_jax.data.dataset import ImageSplit
from mixup_jax.data.images.images import EncodedImages, ShardImages
from mixup_jax.data.images.survey import Survey, survey
from mixup_jax.errors import UsageError

_LOG = logging.getLogger(__name__)
_RULE = "images of TFRecord files, 1"
# Of a record: eight bytes that give the length of its data, and their checksum; then
# the data and theirs.
_HEAD, _TAIL = 12, 4


class Shards(NamedTuple):
    """The files of a prepared split.

    Attributes:
      paths: One after another.
      image: Name of the feature that holds the encoded image.
      label: Name of the feature that holds the class.
      channels: Of the images.
      classes: K.
    """

    paths: Sequence[str]
    image: str
    label: str
    channels: int
    classes: int


class Indexed(NamedTuple):
    """A split whose images can be read one by one, and what is known of it."""

    split: ImageSplit
    classes: int
    survey: Survey


class _Kept(NamedTuple):
    """What is kept of a split, beside its `Survey`.

    Attributes:
      shards: Paths of its files, seen from where this is kept: all can move together.
      stamps: Size and time of change of each.
      shard: Of each image, which file it is in.
      start: Of each image, its first byte there.
      length: Of each image, bytes.
      labels: Of each image.
      shape: Channels and classes.
    """

    shards: Shaped[np.ndarray, " S"]
    stamps: Int64[np.ndarray, "S 2"]
    shard: Int32[np.ndarray, " N"]
    start: Int64[np.ndarray, " N"]
    length: Int64[np.ndarray, " N"]
    labels: Int32[np.ndarray, " N"]
    shape: Int64[np.ndarray, "2"]


def restore(path: Path) -> Indexed | None:
    """Returns what `index` kept, if it is there and still true of the files."""
    names = (*_Kept._fields, *Survey._fields)
    arrays = array_cache.read(path, _RULE, names)
    if arrays is None:
        return None
    kept, found = _Kept(*arrays[: len(_Kept._fields)]), arrays[len(_Kept._fields) :]
    paths = [str(path.parent / str(name)) for name in kept.shards]
    if not np.array_equal(_stamps(paths), kept.stamps):
        _LOG.warning("the files of %s have changed: looking through them again", path)
        return None
    return _indexed(paths, kept, Survey(*found))


def index(path: Path, shards: Shards, where: str) -> Indexed:
    """Finds and decodes every image of a split once.

    Args:
      path: What was found is kept there, if it can be.
      shards: Of the split.
      where: What errors call it.

    Raises:
      UsageError: If a file is cut off, an image cannot be read or has no class.
    """
    records = _Records(shards)
    found = survey(records, where)
    if unlabelled := int((records.labels < 0).sum()):
        raise UsageError(f"{where}: {unlabelled:,} images have no class")
    kept = _Kept(
        np.array([os.path.relpath(shard, path.parent) for shard in shards.paths]),
        _stamps(shards.paths),
        *(records.shard, records.image_start, records.image_length, records.labels),
        np.array([shards.channels, shards.classes], np.int64),
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        array_cache.write(path, _RULE, kept._asdict() | found._asdict())
    except OSError as error:
        _LOG.warning("not kept in %s, the next start is slow: %s", path, error)
    return _indexed(shards.paths, kept, found)


class _Records(EncodedImages):
    """The images of records, and a note of where in them each was found."""

    def __init__(self, shards: Shards):
        super().__init__(channels=shards.channels)
        self.shards = shards
        found = [_records_of(Path(path)) for path in shards.paths]
        counts = [len(records) for records in found]
        self.shard = np.repeat(np.arange(len(found), dtype=np.int32), counts)
        self.start, self.length = np.concatenate(found).T.copy()
        self.image_start = np.zeros_like(self.start)
        self.image_length = np.zeros_like(self.start)
        self.labels = np.full(len(self.shard), -1, np.int32)
        self._raw = ShardImages(shards.paths, self.shard, self.start, self.length)

    def __len__(self) -> int:
        return len(self.shard)

    def name(self, index: int) -> str:
        where = self.shards.paths[self.shard[index]]
        return f"the record at byte {self.start[index]:,} of {where}"

    def content(self, index: int) -> bytes:
        from tensorflow_datasets.proto import tf_example_pb2

        message: Any = tf_example_pb2
        record = self._raw.content(index)
        features = message.Example.FromString(record).features.feature
        image = features[self.shards.image].bytes_list.value[0]
        self.labels[index] = features[self.shards.label].int64_list.value[0]
        self.image_start[index] = self.start[index] + record.index(image)
        self.image_length[index] = len(image)
        return image

    def take(self, rows: Int[np.ndarray, " n"]) -> "_Records":
        raise NotImplementedError("an index is made of whole splits")


def _records_of(path: Path) -> Int64[np.ndarray, "N 2"]:
    """Returns where the data of each record begins and how long it is."""
    size, place, found = path.stat().st_size, 0, []
    with path.open("rb", buffering=0) as file:
        while place < size:
            head = os.pread(file.fileno(), 8, place)
            length = struct.unpack("<Q", head)[0] if len(head) == 8 else size
            found.append((place + _HEAD, length))
            place += _HEAD + length + _TAIL
    if place != size:
        raise UsageError(
            f"{path} is cut off, or no file of records; prepare the set again"
        )
    return np.array(found, np.int64).reshape(-1, 2)


def _stamps(paths: Sequence[str]) -> Int64[np.ndarray, "S 2"]:
    """Returns size and time of change of each file; zeros where there is none."""
    stamps = np.zeros((len(paths), 2), np.int64)
    for row, path in enumerate(paths):
        if os.path.exists(path):
            stat = os.stat(path)
            stamps[row] = stat.st_size, stat.st_mtime_ns
    return stamps


def _indexed(paths: Sequence[str], kept: _Kept, found: Survey) -> Indexed:
    channels, classes = map(int, kept.shape)
    images = ShardImages(
        *(paths, kept.shard, kept.start, kept.length),
        sizes=found.sizes,
        channels=channels,
    )
    return Indexed(ImageSplit(images, kept.labels), classes, found)
