"""How stored examples become what is mixed, and that what a network reads.

One place for all kinds of data, used by training, evaluation and trained networks.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float32, Shaped

from mixup_jax.data import speech
from mixup_jax.data.augment import augment, normalise
from mixup_jax.data.dataset import Dataset, ImageDataset
from mixup_jax.data.images.colour import colour_jitter, lighting
from mixup_jax.data.options import DataOptions
from mixup_jax.data.spectrogram import FRAMES, SHORTEST
from mixup_jax.errors import UsageError


class Preprocessing(NamedTuple):
    """Pure functions on a batch.

    Attributes:
      prepare: Keys of examples and stored inputs, to what is mixed, augmented.
      finish: What is mixed, to what the network reads.
      evaluate: Stored inputs, to what the network reads; nothing is random.
      shape: Of what the network reads of one example.
    """

    prepare: Callable[[Shaped[Array, " B *key"], Shaped[Array, "B ..."]], Array]
    finish: Callable[[Array], Array]
    evaluate: Callable[[Shaped[Array, "B ..."]], Array]
    shape: tuple[int, ...]


def preprocessing(
    dataset: Dataset | ImageDataset, options: DataOptions, *, mix_at: str = "inputs"
) -> Preprocessing:
    """Returns the preprocessing of a data set.

    Args:
      dataset: Of images, features or sounds.
      options: Of the run.
      mix_at: "waveforms" to mix sounds before their spectrograms are made.

    Raises:
      UsageError: If an option does not go with the kind of data.
    """
    kind = kind_of(dataset)
    _check(dataset, kind, options, mix_at)
    if kind == "sounds":
        _check_length(dataset)
        return _of_sounds(options, mixed=mix_at == "waveforms")

    def evaluate(stored: Array) -> Array:
        return normalise(stored, dataset.mean, dataset.std)

    if isinstance(dataset, ImageDataset):
        channels = dataset.train.images.channels
        shape = (options.image_size, options.image_size, channels)
        pad, flip = 0, False  # done where they were decoded
    else:
        shape = dataset.train.inputs.shape[1:]
        pad, flip = options.crop_pad, options.flip

    def prepare(keys: Array, stored: Array) -> Array:
        if pad or flip:
            stored = augment(keys, stored, pad=pad, flip=flip)
        return evaluate(_coloured(keys, stored, options))

    return Preprocessing(prepare, lambda mixed: mixed, evaluate, shape)


def kind_of(dataset: Dataset | ImageDataset) -> str:
    """Returns "images", "sounds" or "features"."""
    if isinstance(dataset, ImageDataset):
        return "images"
    inputs = dataset.train.inputs
    if inputs.dtype == np.int16:
        return "sounds"
    return "images" if inputs.ndim == 4 else "features"


def _of_sounds(options: DataOptions, *, mixed: bool) -> Preprocessing:
    bins, reflect = options.spectrogram_bins, options.spectrogram_reflect

    def spectrograms(sounds: Array) -> Float32[Array, "B H W 1"]:
        return speech.spectrograms(sounds, bins=bins, reflect=reflect)

    shape = (bins, FRAMES, 1)
    if mixed:
        return Preprocessing(
            lambda keys, stored: speech.waveforms(stored),
            spectrograms,
            spectrograms,
            shape,
        )
    return Preprocessing(
        lambda keys, stored: spectrograms(stored),
        lambda mixed: mixed,
        spectrograms,
        shape,
    )


def _coloured(keys: Array, stored: Array, options: DataOptions) -> Array:
    if not (options.colour_jitter or options.lighting):
        return stored
    images = stored.astype(jnp.float32) / 255
    # 0 and 1 would be the keys of the crop and of the flip: in JAX, folding k in gives
    # the k-th key of a split.
    jitter_keys, light_keys = (
        jax.vmap(lambda key, place=place: jax.random.fold_in(key, place))(keys)
        for place in (2, 3)
    )
    if options.colour_jitter:
        images = colour_jitter(jitter_keys, images, strength=options.colour_jitter)
    if options.lighting:
        images = lighting(light_keys, images, sigma=options.lighting)
    return images


_CROPS = {"crop_pad": 0, "flip": False}
_COLOURS = {"colour_jitter": 0.0, "lighting": 0.0}
_SPECTROGRAMS = {"spectrogram_bins": 161, "spectrogram_reflect": True}


def _check(
    dataset: Dataset | ImageDataset, kind: str, options: DataOptions, mix_at: str
) -> None:
    idle = {
        "images": _SPECTROGRAMS,
        "features": _CROPS | _COLOURS | _SPECTROGRAMS,
        "sounds": _CROPS | _COLOURS,
    }[kind]
    if len(dataset.mean) != 3:
        idle = idle | _COLOURS
    wrong = [
        f"{name} to {value} (it is {found})"
        for name, value in idle.items()
        if (found := getattr(options, name)) != value
    ]
    if mix_at == "waveforms" and kind != "sounds":
        wrong.append("mix_at to inputs (it is waveforms)")
    if wrong:
        raise UsageError(
            f"{dataset.title} is a set of {kind}, where the following has no meaning: "
            f"set {', '.join(wrong)}"
        )


def _check_length(sounds: Any) -> None:
    samples = sounds.train.inputs.shape[1]
    if samples < SHORTEST:
        raise UsageError(
            f"{sounds.title}: sounds need at least {SHORTEST} samples, got {samples}"
        )
