"""Miniature archives in the layout of Google's speech commands v0.01."""

import hashlib
import io
import tarfile
import wave

import numpy as np

from mixup_jax.data.builders.speech_files import LISTS, Release
from mixup_jax.data.manual_files import Published

NAME = "speech_commands_v0.01.tar.gz"
ADDRESS = f"https://example.org/{NAME}"
COUNTS = {"train": 4, "validation": 1, "test": 2}
LISTED = {"test": ["bed/b.wav", "zero/a.wav"], "validation": ["cat/a.wav"]}


def sound(seed, samples=16_000):
    rng = np.random.RandomState(seed)
    return rng.randint(-32_768, 32_768, samples).astype(np.int16)


def wav(samples, *, rate=16_000, channels=1, width=2):
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setparams((channels, width, rate, 0, "NONE", None))
        file.writeframes(np.asarray(samples).astype("<i2").tobytes())
    return buffer.getvalue()


# One is half a second long.
SOUNDS = {
    "bed/a.wav": sound(0),
    "bed/b.wav": sound(1),
    "cat/a.wav": sound(2, 8_000),
    "cat/b.wav": sound(3),
    "zero/a.wav": sound(4),
    "zero/b.wav": sound(5, 15_999),
    "zero/c.wav": sound(6),
}


def files(replaced=()):
    """Returns a set's files; what is replaced by None is left out."""
    content = {path: wav(samples) for path, samples in SOUNDS.items()}
    content["_background_noise_/tap.wav"] = wav(sound(9, 40_000))
    content["README.md"] = b"about"
    for split, name in LISTS.items():
        content[name] = "\n".join([*LISTED[split], ""]).encode()
    content |= dict(replaced)
    return {path: each for path, each in content.items() if each is not None}


def extract(folder, content):
    """Writes the files as a user who has extracted the archive has them."""
    for path, each in content.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(each)
    return folder


def pack(folder, content, counts=COUNTS):
    """Writes an archive, names as in the real one, and returns what is known of it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / NAME
    with tarfile.open(path, "w:gz") as archive:
        for name, each in content.items():
            member = tarfile.TarInfo(f"./{name}")
            member.size = len(each)
            archive.addfile(member, io.BytesIO(each))
    return release_of(path.read_bytes(), counts)


def release_of(content, counts=COUNTS):
    checksum = hashlib.sha256(content).hexdigest()
    return Release(ADDRESS, Published(NAME, len(content), checksum), counts)
