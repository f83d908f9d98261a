import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.signal

from mixup_jax import models
from mixup_jax.data.spectrogram import log_spectrogram


def _sounds(n=3, samples=16_000):
    """Returns chirps in noise, of which one falls silent after a quarter."""
    rng = np.random.RandomState(0)
    time = np.arange(samples) / 16_000
    pitch = rng.uniform(100, 3000, (n, 1))
    sounds = 0.3 * np.sin(2 * np.pi * pitch * time * (1 + time))
    sounds += 0.02 * rng.randn(n, samples)
    sounds[0, samples // 4 :] = 0
    return sounds.astype(np.float32)


def _scipys(sounds, *, reflect, bins=161, normalise=True):
    """The definition again, in float64 by scipy and one sound at a time."""
    results = []
    for sound in sounds.astype(np.float64):
        window = scipy.signal.get_window("hamming", 320)
        _, _, stft = scipy.signal.stft(
            sound,
            window=window,
            nperseg=320,
            noverlap=160,
            boundary="even" if reflect else "zeros",
            padded=False,
        )
        logs = np.log1p(np.abs(stft) * window.sum())[:bins, :101]
        logs = np.pad(logs, ((0, 0), (0, 101 - logs.shape[1])))
        if normalise and logs.std() > 0:
            logs = (logs - logs.mean()) / logs.std(ddof=1)
        results.append(logs[..., None])
    return np.stack(results)


def _assert_close(got, want):
    # Relative to the largest value: after centring some are 0 by chance.
    assert got.shape == want.shape
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-5 * np.abs(want).max())


@pytest.mark.parametrize("reflect", [True, False])
@pytest.mark.parametrize("bins", [161, 160])
@pytest.mark.parametrize("normalise", [True, False])
def test_spectrograms_equal_scipys(reflect, bins, normalise):
    options = {"reflect": reflect, "bins": bins, "normalise": normalise}
    got = log_spectrogram(jnp.asarray(_sounds()), **options)
    assert got.shape == (3, bins, 101, 1)
    _assert_close(got, _scipys(_sounds(), **options))


@pytest.mark.parametrize("samples", [320, 800, 12_345, 16_159, 20_000])
def test_other_lengths_are_filled_with_zeros_or_cut_to_101_frames(samples):
    sounds = _sounds(samples=samples)
    got = log_spectrogram(jnp.asarray(sounds), normalise=False)
    _assert_close(got, _scipys(sounds, reflect=True, normalise=False))
    frames = min(1 + samples // 160, 101)
    assert not np.any(got[:, :, frames:])
    assert np.all(got[1, :, frames - 1].max() > 0)
    got = log_spectrogram(jnp.asarray(sounds))
    _assert_close(got, _scipys(sounds, reflect=True))


def test_a_tone_on_a_bin_has_the_magnitude_of_the_window():
    # A cosine of amplitude a at bin k gives a / 2 times the window's sum there, .54 x
    # 320, and a / 2 times half of .46 x 320 beside it; elsewhere nothing.
    sound = 0.5 * np.cos(2 * np.pi * 40 * np.arange(16_000) / 320)
    got = log_spectrogram(jnp.asarray(sound[None], jnp.float32), normalise=False)
    column = np.expm1(got[0, :, 50, 0])
    np.testing.assert_allclose(column[40], 0.25 * 0.54 * 320, rtol=1e-5)
    np.testing.assert_allclose(column[[39, 41]], 0.25 * 0.23 * 320, rtol=1e-5)
    assert np.delete(column, [39, 40, 41]).max() < 1e-3


def test_each_spectrogram_has_mean_0_and_unbiased_std_1_by_itself():
    sounds = jnp.asarray(_sounds()) * jnp.array([[1.0], [0.1], [0.001]])
    got = np.asarray(log_spectrogram(sounds), np.float64)
    np.testing.assert_allclose(got.mean((1, 2, 3)), 0, atol=1e-6)
    np.testing.assert_allclose(got.std((1, 2, 3), ddof=1), 1, rtol=1e-5)
    assert np.all(got.std((1, 2, 3)) < 1 - 2e-5)  # 1 - 1 / (2 * 16,261)


def test_silence_stays_zero_and_has_gradients():
    def energy(x, normalise):
        return (log_spectrogram(x, normalise=normalise) ** 2).sum()

    # The first falls silent, the others are so throughout.
    half = jnp.asarray(_sounds(samples=2_000)).at[1:].set(0)
    assert not np.any(log_spectrogram(half)[1:])
    for normalise in (True, False):
        grads = np.asarray(jax.jit(jax.grad(lambda x, n=normalise: energy(x, n)))(half))
        assert np.isfinite(grads).all()
        assert not np.any(grads[1:])
    assert np.any(grads[0])


def test_the_gradient_is_that_of_finite_differences():
    rng = np.random.RandomState(1)
    sounds, way = _sounds(1, 480), rng.randn(1, 480).astype(np.float32)
    weights = rng.randn(161, 101, 1)

    def scalar(x):
        return (log_spectrogram(x)[0] * jnp.asarray(weights, jnp.float32)).sum()

    _, got = jax.jvp(scalar, (jnp.asarray(sounds),), (jnp.asarray(way),))
    step = 1e-6
    ahead, behind = (
        (_scipys(sounds.astype(np.float64) + s * way, reflect=True)[0] * weights).sum()
        for s in (step, -step)
    )
    np.testing.assert_allclose(got, (ahead - behind) / (2 * step), rtol=1e-3)


def test_it_is_the_same_under_jit_and_vmap():
    sounds = jnp.asarray(_sounds(4, samples=480))
    want = log_spectrogram(sounds)
    np.testing.assert_allclose(jax.jit(log_spectrogram)(sounds), want, atol=1e-5)
    pairs = jax.vmap(log_spectrogram)(sounds.reshape(2, 2, -1))
    np.testing.assert_allclose(pairs.reshape(want.shape), want, atol=1e-5)


def test_bfloat16_sounds_are_transformed_in_float32():
    rounded = jnp.asarray(_sounds(), jnp.bfloat16)
    got = log_spectrogram(rounded)
    assert got.dtype == jnp.float32
    _assert_close(got, _scipys(np.asarray(rounded, np.float32), reflect=True))


@pytest.mark.parametrize("name", ["speech_lenet", "speech_vgg11"])
def test_the_papers_speech_networks_take_it(name):
    got = log_spectrogram(jnp.asarray(_sounds(1)))
    assert got.shape[1:] == models.BUILDERS[name].inputs


@pytest.mark.parametrize(
    ("waveforms", "options", "message"),
    [
        (jnp.zeros((2, 16_000), jnp.int16), {}, "int16"),
        (jnp.zeros((2, 160)), {}, "more than 160 samples, got 160"),
        (jnp.zeros((2, 800)), {"bins": 162}, "from 1 to 161, got 162"),
        (jnp.zeros((2, 800)), {"bins": 0}, "got 0"),
    ],
    ids=["dtype", "short", "bins", "no bins"],
)
def test_what_is_no_sound_is_refused(waveforms, options, message):
    with pytest.raises(ValueError, match=message):
        log_spectrogram(waveforms, **options)
