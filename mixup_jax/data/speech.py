"""Google's speech commands v0.01: 30 words, kept as sounds.

What lies on the device is a second of int16 samples per word, 1.6 GB for the 51,088
training ones; as float32 spectrograms they would take 3.3 GB. A training step makes the
spectrograms of its batch, so that sounds can be mixed as well. Of 100 that takes 15 ms,
where LeNet's gradient takes 3.3 s (two cores of an AMD EPYC, jax 0.10.2):

  mixing spectrograms   prepare = spectrograms, and the network reads the mixture
  mixing sounds         prepare = waveforms, and the network reads
                        spectrograms(mixture)

A sound that ends early is followed by zeros before it is transformed. The code that the
paper used appends zeros to its spectrogram instead, which differs in at most two
frames: those about the end, where it would mirror the sound.
"""

import logging
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float32, Shaped

from mixup_jax.data import array_cache, preparing
from mixup_jax.data.builders.speech_files import V001, WORDS, Release
from mixup_jax.data.dataset import Dataset, Split
from mixup_jax.data.spectrogram import log_spectrogram

_LOG = logging.getLogger(__name__)
CACHE_NAME = "mixup_jax_sounds.npz"
_SPLITS = ("train", "validation", "test")
# Change it when the arrays mean something else, and old files are forgotten.
_CONTENT = "int16 sounds [N, 16000, 1], 1"
_FULL_SCALE = 32_768  # of 16 bits; as librosa reads WAV files


def load(
    *,
    data_dir: str | None = None,
    manual_dir: str | None = None,
    release: Release = V001,
) -> Dataset:
    """Returns Google's speech commands v0.01, preparing them on first use.

    The first use downloads the archive, or takes it or the folder that was extracted
    from it out of `manual_dir`; it needs no TensorFlow. The archive is known by its
    checksum, a folder by the number of sounds in each split only. Later uses read one
    file.

    Args:
      data_dir: A local folder to prepare in; by default the environment's
        TFDS_DATA_DIR, or else ~/tensorflow_datasets.
      manual_dir: A folder with speech_commands_v0.01.tar.gz or what is in it.
      release: What is known of the archive in advance.

    Returns:
      int16 sounds [N, 16000, 1] in the splits of the two lists, test and validation
      set apart; see `waveforms` and `spectrograms`. Labels are places in the sorted
      list of words. mean and std are 0 and 1: each spectrogram is standardised by
      itself.

    Raises:
      UsageError: See `mixup_jax.data.builders.speech_commands.prepare`.
    """
    folder = array_cache.folder("speech_commands_v001", data_dir)
    splits = restore(folder / CACHE_NAME, _CONTENT)
    if splits is None:
        manual = Path(manual_dir).expanduser() if manual_dir else None
        with preparing.one_process_at_a_time(folder):
            # Another process may have made it in the meantime.
            splits = restore(folder / CACHE_NAME, _CONTENT)
            if splits is None:
                splits = _build(folder, manual, release)
    title = "Google speech commands v0.01, 30 words (test: testing_list.txt)"
    return dataset_of("speech_commands", title, splits)


def waveforms(inputs: Shaped[Array, "B T 1"]) -> Float32[Array, "B T 1"]:
    """Returns int16 sounds as amplitudes of full scale 1; floating ones as they are."""
    scale = _FULL_SCALE if inputs.dtype == jnp.int16 else 1
    return inputs.astype(jnp.float32) / scale


def spectrograms(
    inputs: Shaped[Array, "B T 1"], *, bins: int = 161, reflect: bool = True
) -> Float32[Array, "B H W 1"]:
    """Returns what the speech networks read, [B, bins, 101, 1].

    Args:
      inputs: int16 sounds as a data set holds them, or mixtures of `waveforms`.
      bins: See `log_spectrogram`.
      reflect: See `log_spectrogram`.
    """
    return log_spectrogram(waveforms(inputs)[..., 0], bins=bins, reflect=reflect)


def dataset_of(name: str, title: str, splits: dict[str, Split]) -> Dataset:
    """Returns the data set of three splits of sounds of the 30 words."""
    train, validation, test = (splits[split] for split in _SPLITS)
    return Dataset(
        name, title, train, test, len(WORDS), (0.0,), (1.0,), validation=validation
    )


def keep(
    path: Path, content: str, splits: dict[str, Split], **more: np.ndarray
) -> None:
    """Writes splits for `restore`, and more; a folder it cannot write to is logged."""
    arrays = {
        f"{split}_{field}": getattr(splits[split], field)
        for split in _SPLITS
        for field in Split._fields
    }
    try:
        array_cache.write(path, content, arrays | more)
    except OSError as error:
        _LOG.warning("no cache kept in %s, the next start is slow: %s", path, error)


def restore(path: Path, content: str) -> dict[str, Split] | None:
    """Reads what `keep` wrote; None as in `array_cache.read`."""
    names = [f"{split}_{field}" for split in _SPLITS for field in Split._fields]
    arrays = array_cache.read(path, content, names)
    if arrays is None:
        return None
    return {split: Split(*arrays[2 * i : 2 * i + 2]) for i, split in enumerate(_SPLITS)}


def _build(folder: Path, manual: Path | None, release: Release) -> dict[str, Split]:
    _LOG.warning("preparing speech commands v0.01 in %s, this once", folder)
    with preparing.quiet():
        from mixup_jax.data.builders import speech_commands

        splits = speech_commands.prepare(folder.parent, manual, release)
    keep(folder / CACHE_NAME, _CONTENT, splits)
    return splits
