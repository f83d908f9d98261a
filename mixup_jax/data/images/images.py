"""Where encoded images are, and how to read one of them."""

import abc
import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Int, UInt8

from mixup_jax.data.images import decoding
from mixup_jax.data.images.decoding import Undecodable


def _unknown() -> Int[np.ndarray, "0 2"]:
    return np.zeros((0, 2), np.int32)


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Images(abc.ABC):
    """A sequence of images, each of its own size.

    Reading is safe from many threads at once.

    Attributes:
      sizes: Height and width of each; empty before the first survey.
      channels: C of all of them, 1 or 3; others are converted.
    """

    sizes: Int[np.ndarray, "N 2"] = dataclasses.field(default_factory=_unknown)
    channels: int = 3

    @abc.abstractmethod
    def __len__(self) -> int: ...

    @abc.abstractmethod
    def name(self, index: int) -> str:
        """Returns what an error calls the image."""

    @abc.abstractmethod
    def pixels(self, index: int, *, reduce: int = 1) -> UInt8[np.ndarray, "H W C"]:
        """Returns the image, at 1 / `reduce` of its size where that saves time.

        Args:
          index: From 0.
          reduce: 1, 2, 4 or 8.

        Raises:
          Undecodable: If it is no image that can be read.
        """

    @abc.abstractmethod
    def take(self, rows: Int[np.ndarray, " n"]) -> "Images":
        """Returns the images at some indices, in their order."""


class EncodedImages(Images):
    """Images that have to be decoded; see `content`."""

    @abc.abstractmethod
    def content(self, index: int) -> bytes | UInt8[np.ndarray, " bytes"]:
        """Returns the encoded image."""

    def pixels(self, index: int, *, reduce: int = 1) -> UInt8[np.ndarray, "H W C"]:
        try:
            content = self.content(index)
            return decoding.decode(content, channels=self.channels, reduce=reduce)
        except (Undecodable, OSError) as error:
            raise Undecodable(f"{self.name(index)}: {error}") from error


@dataclasses.dataclass(frozen=True, eq=False)
class FileImages(EncodedImages):
    """A file for each image.

    Attributes:
      root: Folder that `paths` start from.
      paths: Of the files.
    """

    root: Path
    paths: Sequence[str]

    def __len__(self) -> int:
        return len(self.paths)

    def name(self, index: int) -> str:
        return self.paths[index]

    def content(self, index: int) -> bytes:
        return (self.root / self.paths[index]).read_bytes()

    def take(self, rows: Int[np.ndarray, " n"]) -> "FileImages":
        paths = [self.paths[row] for row in rows]
        return dataclasses.replace(self, paths=paths, sizes=_rows(self.sizes, rows))


@dataclasses.dataclass(frozen=True, eq=False)
class PackedImages(EncodedImages):
    """All files' bytes one after another, in memory.

    Attributes:
      label: What errors call the whole.
      bytes: Of all images.
      bounds: Of each, its first byte and the one after its last.
    """

    label: str
    bytes: UInt8[np.ndarray, " M"]
    bounds: Int[np.ndarray, "N 2"]

    def __len__(self) -> int:
        return len(self.bounds)

    def name(self, index: int) -> str:
        return f"image {index:,} of {self.label}"

    def content(self, index: int) -> UInt8[np.ndarray, " bytes"]:
        start, end = self.bounds[index]
        return self.bytes[start:end]

    def take(self, rows: Int[np.ndarray, " n"]) -> "PackedImages":
        bounds, sizes = self.bounds[rows], _rows(self.sizes, rows)
        return dataclasses.replace(self, bounds=bounds, sizes=sizes)


@dataclasses.dataclass(frozen=True, eq=False)
class ShardImages(EncodedImages):
    """Images somewhere inside of a few large files.

    Attributes:
      shards: Paths of the files.
      shard: Of each image, which file it is in.
      start: Of each image, its first byte there.
      length: Of each image, bytes.
    """

    shards: Sequence[str]
    shard: Int[np.ndarray, " N"]
    start: Int[np.ndarray, " N"]
    length: Int[np.ndarray, " N"]

    def __len__(self) -> int:
        return len(self.shard)

    def name(self, index: int) -> str:
        shard = self.shards[self.shard[index]]
        return f"the image at byte {self.start[index]:,} of {shard}"

    def content(self, index: int) -> bytes:
        # Opened each time (15 us): ImageNet has as many shards as a process may keep
        # files open. Unlike a memory map, pread lets other threads run while it waits.
        descriptor = os.open(self.shards[self.shard[index]], os.O_RDONLY)
        try:
            length = int(self.length[index])
            return os.pread(descriptor, length, int(self.start[index]))
        finally:
            os.close(descriptor)

    def take(self, rows: Int[np.ndarray, " n"]) -> "ShardImages":
        return dataclasses.replace(
            self,
            shard=self.shard[rows],
            start=self.start[rows],
            length=self.length[rows],
            sizes=_rows(self.sizes, rows),
        )


@dataclasses.dataclass(frozen=True, eq=False)
class ArrayImages(Images):
    """Images that are decoded already, all of one size; see `from_array`."""

    array: UInt8[np.ndarray, "N H W C"]

    def __len__(self) -> int:
        return len(self.array)

    def name(self, index: int) -> str:
        return f"image {index:,}"

    def pixels(self, index: int, *, reduce: int = 1) -> UInt8[np.ndarray, "H W C"]:
        return self.array[index]

    def take(self, rows: Int[np.ndarray, " n"]) -> "ArrayImages":
        return from_array(self.array[rows])


def from_array(array: UInt8[np.ndarray, "N H W C"]) -> ArrayImages:
    """Returns decoded images as others are read."""
    count, height, width, channels = array.shape
    sizes = np.tile(np.array([height, width], np.int32), (count, 1))
    return ArrayImages(array, sizes=sizes, channels=channels)


def _rows(sizes: np.ndarray, rows: np.ndarray) -> np.ndarray:
    return sizes[rows] if len(sizes) else sizes
