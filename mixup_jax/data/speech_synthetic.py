"""The 30 words of speech commands as espeak-ng says them: synthetic, never a download.

One engine with many settings is far from many people: errors on this set say that the
path works, and nothing about recorded speech.
"""

import io
import logging
import os
import shutil
import subprocess
import wave
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Int16

from mixup_jax.data import array_cache, preparing, speech
from mixup_jax.data.builders.speech_files import SAMPLES, WORDS
from mixup_jax.data.dataset import Dataset, Split
from mixup_jax.data.spectrogram import RATE
from mixup_jax.errors import UsageError, install

_LOG = logging.getLogger(__name__)
CACHE_NAME = "mixup_jax_sounds.npz"
_CONTENT = "60 voices, 2 takes, 1"
_PROGRAM = "espeak-ng"

# Variants of espeak-ng that sound like people: without its robots and whispers, and
# with one of each family (Gene and Gene2, klatt and caleb, ...), for the split is by
# voice.
VOICES = tuple(
    "Alex Alicia Andrea Andy Annie Denis Diogo Gene Henrique Hugo Jacky Lee Mario "
    "Michael Mike Nguyen Storm adam anika antonio aunty belinda benjamin boris caleb "
    "david ed edward f1 f2 f3 f4 f5 grandma grandpa gustave iven john linda m1 m2 m3 "
    "m4 m5 m6 m7 m8 marcelo max michel miguel norbert pablo paul pedro quincy rob "
    "sandro steph travis".split()
)
_ACCENTS = ("en-gb", "en-us", "en-gb-scotland", "en-gb-x-rp", "en-gb-x-gbcwmd")
_TAKES = 2  # of each word by each voice
_SPLITS = {"train": 44, "validation": 8, "test": 8}  # voices
_SEED = 0
_QUIET = 100  # of 32,768; what begins and ends below it is cut off


class Take(NamedTuple):
    """How a voice says a word once.

    Attributes:
      voice: espeak-ng's accent and variant.
      word: One of the 30.
      speed: Words per minute.
      pitch: 0 to 99.
      place: Of the pause, the share that comes before the word.
    """

    voice: str
    word: str
    speed: int
    pitch: int
    place: float


def load(*, data_dir: str | None = None, manual_dir: str | None = None) -> Dataset:
    """Returns 30 words by 60 voices of espeak-ng, twice each.

    44 voices are for training, 8 for validation and 8 for testing. Speed, pitch, accent
    and the place within the second are drawn from a fixed seed: the same version of
    espeak-ng gives the same sounds. They are kept beside the prepared sets, and the
    title names the version.

    Args:
      data_dir: A local folder to keep them in; by default the environment's
        TFDS_DATA_DIR, or else ~/tensorflow_datasets.
      manual_dir: Not looked into.

    Returns:
      int16 sounds [N, 16000, 1], 2,640 + 480 + 480, as `speech.load` returns them.

    Raises:
      UsageError: If espeak-ng or SciPy is missing, or the folder cannot be written to.
    """
    del manual_dir
    folder = array_cache.folder("speech_synthetic", data_dir)
    kept = _restore(folder / CACHE_NAME)
    if kept is None:
        with preparing.one_process_at_a_time(folder):
            # Another process may have made it in the meantime.
            kept = _restore(folder / CACHE_NAME) or _build(folder / CACHE_NAME)
    version, splits = kept
    title = f"30 words synthesised by espeak-ng {version}, {len(VOICES)} voices"
    return speech.dataset_of("speech_synthetic", title, splits)


def takes(split: str) -> list[Take]:
    """Returns what is said in a split; no voice is in two."""
    # The stream of RandomState is frozen by numpy's policy; default_rng's is not.
    order = np.random.RandomState(_SEED).permutation(len(VOICES))
    bounds = np.cumsum([0, *_SPLITS.values()])
    place = list(_SPLITS).index(split)
    voices = order[bounds[place] : bounds[place + 1]]
    return [take for voice in voices for take in _takes_of(int(voice))]


def say(take: Take) -> Int16[np.ndarray, " T"]:
    """Returns one second of sound at 16 kHz, [16000].

    Raises:
      UsageError: If espeak-ng or SciPy is missing, or espeak-ng fails.
    """
    resample_poly = _import_resample()
    options = ["-v", take.voice, "-s", str(take.speed), "-p", str(take.pitch)]
    content = _run(*options, "--stdout", take.word)
    with wave.open(io.BytesIO(content)) as file:
        # Written to a pipe, its header cannot know the length: read what there is.
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        sound = resample_poly(samples.astype(np.float64), RATE, file.getframerate())
    loud = np.flatnonzero(np.abs(sound) > _QUIET)
    if not loud.size:
        raise UsageError(
            f"espeak-ng says nothing for {' '.join([*options, take.word])}"
        )
    word = sound[loud[0] : loud[-1] + 1][:SAMPLES]
    start = int(take.place * (SAMPLES - len(word)))
    second = np.zeros(SAMPLES)
    second[start : start + len(word)] = word
    return np.clip(second.round(), -32_768, 32_767).astype(np.int16)


def _takes_of(voice: int) -> Iterator[Take]:
    rng = np.random.RandomState(1 + voice)
    for word in WORDS:
        for _ in range(_TAKES):
            accent = _ACCENTS[rng.randint(len(_ACCENTS))]
            speed, pitch = rng.randint(130, 201), rng.randint(25, 76)
            yield Take(f"{accent}+{VOICES[voice]}", word, speed, pitch, rng.uniform())


def _restore(path: Path) -> tuple[str, dict[str, Split]] | None:
    splits = speech.restore(path, _CONTENT)
    version = array_cache.read(path, _CONTENT, ["version"]) if splits else None
    return (str(version[0]), splits) if version and splits else None


def _build(path: Path) -> tuple[str, dict[str, Split]]:
    # Missing programs are named before any work is done.
    version = _run("--version").decode().split(":")[1].split()[0]
    _import_resample()
    _LOG.warning("synthesising 30 words by %d voices, this once", len(VOICES))
    # Threads do, as the work is done in processes of their own; results keep the order.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        splits = {split: _speak(takes(split), pool) for split in _SPLITS}
    speech.keep(path, _CONTENT, splits, version=np.array(version))
    return version, splits


def _speak(takes: list[Take], pool: ThreadPoolExecutor) -> Split:
    sounds = np.stack(list(pool.map(say, takes)))[..., None]
    labels = [WORDS.index(take.word) for take in takes]
    return Split(sounds, np.array(labels, np.int32))


def _run(*arguments: str) -> bytes:
    program = shutil.which(_PROGRAM)
    if program is None:
        raise UsageError(
            f"speech_synthetic needs the program {_PROGRAM}, which is not installed: "
            f"apt-get install {_PROGRAM} (Debian, Ubuntu), brew install {_PROGRAM}"
        )
    done = subprocess.run([program, *arguments], capture_output=True)
    if done.returncode:
        raise UsageError(
            f"{_PROGRAM} {' '.join(arguments)} failed: {done.stderr.decode().strip()}"
        )
    return done.stdout


def _import_resample() -> Callable[..., np.ndarray]:
    try:
        from scipy.signal import resample_poly
    except ImportError as error:
        raise UsageError(
            f"speech_synthetic needs SciPy: {install('speech')} ({error})"
        ) from error
    return resample_poly
