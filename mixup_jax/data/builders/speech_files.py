"""The files of Google's speech commands v0.01: a sound, a split, all of them.

The archive holds a folder of WAV files for each of 30 words, a folder of background
noise, which is left out, and two lists of the files to validate and to test with.
"""

import contextlib
import io
import posixpath
import tarfile
import wave
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Int16

from mixup_jax.data.manual_files import Published
from mixup_jax.data.spectrogram import RATE
from mixup_jax.errors import UsageError

# Labels are places in this list, which is sorted as the folders are.
WORDS = tuple(
    "bed bird cat dog down eight five four go happy house left marvin nine no off on "
    "one right seven sheila six stop three tree two up wow yes zero".split()
)
SAMPLES = RATE  # of one second
LISTS = {"test": "testing_list.txt", "validation": "validation_list.txt"}
_NOISE = "_background_noise_"
_SHOWN = 3  # of the files that are named in an error


class Release(NamedTuple):
    """What is known of a published archive.

    Attributes:
      address: Where it can be downloaded.
      archive: Its file name, size and checksum.
      counts: Sounds of each split, noise left out.
    """

    address: str
    archive: Published
    counts: Mapping[str, int]


# The checksum is torchaudio's (datasets/speechcommands.py); the size is what the server
# says. The counts are those of GCommandsPytorch's make_dataset.py.
V001 = Release(
    "https://storage.googleapis.com/download.tensorflow.org/data/"
    "speech_commands_v0.01.tar.gz",
    Published(
        "speech_commands_v0.01.tar.gz",
        1_489_096_277,
        "743935421bb51cccdb6bdd152e04c5c70274e935c82119ad7faeec31780d811d",
    ),
    {"train": 51_088, "validation": 6_798, "test": 6_835},
)


class Survey(NamedTuple):
    """Which sounds belong to which split, and how many end before their second does."""

    splits: Mapping[str, frozenset[str]]
    short: int


def find_extracted(manual: Path | None, release: Release) -> Path | None:
    """Returns the folder that a user has extracted the archive into, if there is one.

    It is `manual` itself or the one in it that is named as the archive is.
    """
    if manual is None:
        return None
    inside = manual / release.archive.filename.removesuffix(".tar.gz")
    known = [*LISTS.values(), *WORDS]
    if any((manual / name).exists() for name in known):
        return manual
    return inside if inside.is_dir() else None


def contents(source: Path) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """Yields the files of an archive or folder: the path inside, and what reads it.

    A file of an archive can be read only until the next one is asked for.

    Raises:
      UsageError: If the archive is damaged or truncated.
    """
    if source.is_dir():
        for path in sorted(source.rglob("*")):
            if path.is_file():
                yield path.relative_to(source).as_posix(), path.read_bytes
        return
    with _readable(source), tarfile.open(source, "r:gz") as archive:
        for member in archive:
            file = archive.extractfile(member) if member.isfile() else None
            if file is not None:
                yield posixpath.normpath(member.name), _checked(source, file.read)


def is_sound(path: str) -> bool:
    """Returns whether a file is a recorded word; noise is not."""
    return path.endswith(".wav") and not path.startswith(_NOISE)


def survey(source: Path, counts: Mapping[str, int]) -> Survey:
    """Reads every file once, so that nothing is prepared from what is not whole.

    Args:
      source: Archive or extracted folder.
      counts: Sounds that each split must have.

    Raises:
      UsageError: If there are no sounds, some cannot be used, a list is missing or
        names what is not there, or the counts are others.
    """
    lists: dict[str, list[str]] = {}
    paths: set[str] = set()
    unusable: list[str] = []
    short = 0
    for path, read in contents(source):
        if path in LISTS.values():
            lists[path] = read().decode(errors="replace").split()
        elif is_sound(path):
            paths.add(path)
            try:
                short += len(decode(path, read())) < SAMPLES
            except UsageError as error:
                unusable.append(str(error))
    _check_sounds(source, paths, unusable)
    splits = _split(source, paths, lists)
    found = {name: len(splits[name]) for name in counts}
    if found != dict(counts):
        raise UsageError(
            f"{source} has {_say(found)} sounds, and the published set has "
            f"{_say(counts)}; get it again"
        )
    return Survey(splits, short)


def label_of(path: str) -> str:
    """Returns the word, which is the folder's name."""
    return path.split("/")[0]


def decode(path: str, content: bytes) -> Int16[np.ndarray, " T"]:
    """Returns the samples of a WAV file, at most one second of them.

    Args:
      path: `word/name.wav`, to be named in errors.
      content: The file's.

    Raises:
      UsageError: If the word is none of the 30, or the file is not a whole WAV file of
        one channel, 16 bits and 16 kHz, or holds nothing or more than a second.
    """
    if label_of(path) not in WORDS:
        raise UsageError(f"{path}: {label_of(path)!r} is none of the 30 words of v0.01")
    try:
        with wave.open(io.BytesIO(content)) as file:
            kind = (file.getnchannels(), 8 * file.getsampwidth(), file.getframerate())
            expected, frames = file.getnframes(), file.readframes(file.getnframes())
    except (wave.Error, EOFError) as error:
        reason = str(error) or "it ends too early"
        raise UsageError(f"{path} is not a WAV file that can be read: {reason}") from (
            error
        )
    if kind != (1, 16, RATE):
        raise UsageError(
            f"{path} has {kind[0]} channels of {kind[1]} bits at {kind[2]:,} Hz, not 1 "
            f"of 16 bits at {RATE:,} Hz"
        )
    if len(frames) != 2 * expected:
        raise UsageError(f"{path} ends after {len(frames) // 2} of {expected} samples")
    if not 0 < expected <= SAMPLES:
        raise UsageError(f"{path} has {expected:,} samples, not 1 to {SAMPLES:,}")
    return np.frombuffer(frames, "<i2").astype(np.int16)


def _checked(source: Path, read: Callable[[], bytes]) -> Callable[[], bytes]:
    def checked() -> bytes:
        with _readable(source):
            return read()

    return checked


@contextlib.contextmanager
def _readable(source: Path) -> Iterator[None]:
    try:
        yield
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        raise UsageError(
            f"{source} cannot be read to its end ({error}); get it again"
        ) from error


def _check_sounds(source: Path, paths: set[str], unusable: list[str]) -> None:
    if not paths:
        raise UsageError(
            f"{source} holds no sounds; a folder of WAV files for each word, such as "
            "bed, is what should be in it"
        )
    if unusable:
        raise UsageError(
            f"{len(unusable):,} of the {len(paths):,} sounds in {source} cannot be "
            f"used: {_first(unusable)}"
        )


def _split(
    source: Path, paths: set[str], lists: Mapping[str, list[str]]
) -> dict[str, frozenset[str]]:
    rest, splits = set(paths), {}
    for split, name in LISTS.items():
        if name not in lists:
            raise UsageError(f"{source} has no {name}, which says what to {split} with")
        wrong = [
            f"{path} ({_why_not(path, paths)})"
            for path in lists[name]
            if path not in rest
        ]
        if wrong:
            raise UsageError(
                f"{name} in {source} names {len(wrong):,} sounds that it cannot: "
                f"{_first(wrong)}"
            )
        splits[split] = frozenset(lists[name])
        rest -= splits[split]
    return {**splits, "train": frozenset(rest)}


def _why_not(path: str, paths: set[str]) -> str:
    if label_of(path) not in WORDS:
        return f"{label_of(path)!r} is none of the 30 words of v0.01"
    return "in both lists" if path in paths else "not there"


def _say(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{counts[split]:,} {split}" for split in sorted(counts))


def _first(lines: list[str]) -> str:
    more = len(lines) - _SHOWN
    return "; ".join(lines[:_SHOWN]) + (f"; and {more:,} more" if more > 0 else "")
