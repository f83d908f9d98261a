import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mixup_jax.data import mnist5k, speech, toy
from mixup_jax.data.augment import augment, normalise
from mixup_jax.data.dataset import Dataset, Split
from mixup_jax.data.images.colour import colour_jitter, lighting
from mixup_jax.data.images.conversion import streamed
from mixup_jax.data.options import DataOptions
from mixup_jax.data.preprocessing import kind_of, preprocessing
from mixup_jax.errors import UsageError

KEYS = jax.random.split(jax.random.key(2), 5)
PLAIN = DataOptions(crop_pad=0, flip=False)
RNG = np.random.default_rng(0)


def photos():
    split = Split(
        RNG.integers(0, 256, (5, 8, 6, 3), np.uint8), np.arange(5, dtype=np.int32) % 2
    )
    return Dataset("p", "photos", split, split, 2, (0.4, 0.5, 0.6), (0.2, 0.3, 0.4))


def sounds():
    split = Split(
        RNG.integers(-2000, 2000, (5, 16_000, 1), np.int16),
        np.arange(5, dtype=np.int32) % 2,
    )
    return Dataset("s", "sounds", split, split, 2, (0.0,), (1.0,))


def test_images_are_cropped_flipped_and_normalised():
    data = photos()
    got = preprocessing(data, DataOptions(crop_pad=2))
    stored = jnp.asarray(data.train.inputs)
    cropped = augment(KEYS, stored, pad=2, flip=True)
    np.testing.assert_array_equal(
        got.prepare(KEYS, stored), normalise(cropped, data.mean, data.std)
    )
    np.testing.assert_array_equal(
        got.evaluate(stored), normalise(stored, data.mean, data.std)
    )
    np.testing.assert_array_equal(got.finish(stored), stored)
    assert got.shape == (8, 6, 3)


def test_colours_change_before_normalisation_and_apart_from_the_crop():
    data = photos()
    options = DataOptions(crop_pad=2, colour_jitter=0.4, lighting=0.1)
    stored = jnp.asarray(data.train.inputs)
    keys = [jax.vmap(lambda k, i=i: jax.random.fold_in(k, i))(KEYS) for i in (2, 3)]
    expected = augment(KEYS, stored, pad=2, flip=True).astype(jnp.float32) / 255
    expected = colour_jitter(keys[0], expected, strength=0.4)
    expected = lighting(keys[1], expected, sigma=0.1)
    np.testing.assert_allclose(
        preprocessing(data, options).prepare(KEYS, stored),
        normalise(expected, data.mean, data.std),
        atol=1e-5,
    )
    # Those keys draw the crop and the flip.
    used = [*jax.random.split(KEYS[0]), keys[0][0], keys[1][0]]
    assert len({tuple(jax.random.key_data(key).tolist()) for key in used}) == 4


def test_streamed_images_were_cut_where_they_were_decoded():
    data = streamed(mnist5k.load())
    got = preprocessing(data, DataOptions(crop_pad=0, image_size=16, shorter_side=20))
    assert got.shape == (16, 16, 1)
    squares = jnp.asarray(RNG.integers(0, 256, (5, 16, 16, 1), np.uint8))
    np.testing.assert_array_equal(got.prepare(KEYS, squares), got.evaluate(squares))


@pytest.mark.parametrize("bins", [161, 160])
def test_sounds_are_mixed_as_spectrograms_or_as_waveforms(bins):
    data = sounds()
    stored = jnp.asarray(data.train.inputs)
    options = dataclasses.replace(PLAIN, spectrogram_bins=bins)
    expected = speech.spectrograms(stored, bins=bins)
    late, early = (
        preprocessing(data, options, mix_at=place) for place in ("inputs", "waveforms")
    )
    for way in (late, early):
        assert way.shape == (bins, 101, 1)
        np.testing.assert_array_equal(way.evaluate(stored), expected)
        ready = way.finish(way.prepare(KEYS, stored))
        np.testing.assert_allclose(ready, expected, atol=1e-5)
    np.testing.assert_array_equal(late.prepare(KEYS, stored), expected)
    np.testing.assert_array_equal(early.prepare(KEYS, stored), speech.waveforms(stored))


@pytest.mark.parametrize(
    ("data", "kind", "fields", "message"),
    [
        (toy.load, "features", {}, r"set crop_pad to 0 \(it is 4\), flip to False"),
        (sounds, "sounds", {}, "crop_pad to 0"),
        (photos, "images", {"spectrogram_bins": 160}, "spectrogram_bins to 161"),
        (mnist5k.load, "images", {"lighting": 0.1}, r"lighting to 0\.0 \(it is 0\.1\)"),
        (toy.load, "features", {"colour_jitter": 0.4}, "colour_jitter to 0.0"),
    ],
)
def test_options_without_meaning_for_the_data_are_refused(data, kind, fields, message):
    dataset = data()
    assert kind_of(dataset) == kind
    with pytest.raises(UsageError, match=f"is a set of {kind}.*{message}"):
        preprocessing(dataset, DataOptions(**fields))


def test_waveforms_are_of_sounds_alone():
    with pytest.raises(UsageError, match=r"mix_at to inputs \(it is waveforms\)"):
        preprocessing(photos(), DataOptions(), mix_at="waveforms")


def test_sounds_too_short_for_a_spectrogram_are_refused():
    split = Split(np.zeros((4, 160, 1), np.int16), np.arange(4, dtype=np.int32) % 2)
    short = Dataset("s", "clicks", split, split, 2, (0.0,), (1.0,))
    with pytest.raises(UsageError, match=r"clicks: .* at least 161 samples, got 160"):
        preprocessing(short, PLAIN)
