"""Noise, sequences and the discriminator's batches."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from mixup_jax.types import Batch
from mixup_jax.vicinity.gan import mix_real_with_fake, mix_shuffled, shuffle_together
from mixup_jax.vicinity.mix import Mixing
from mixup_jax.vicinity.noise import gaussian_noise
from mixup_jax.vicinity.sequences import mix_sequences

KEY = jax.random.key(0)


@pytest.mark.parametrize("sigma", [0.05, 0.2])
def test_noise_is_normal_with_the_asked_deviation(sigma):
    noise = gaussian_noise(KEY, jnp.ones((100, 100)), sigma=sigma) - 1
    law = scipy.stats.norm(0, sigma)
    assert scipy.stats.kstest(np.asarray(noise).ravel(), law.cdf).pvalue > 1e-3


def test_noise_keeps_the_dtype_and_is_nothing_at_zero():
    x = jax.random.normal(KEY, (3, 2), jnp.bfloat16)
    np.testing.assert_array_equal(gaussian_noise(KEY, x, sigma=0.0), x)
    assert gaussian_noise(KEY, x, sigma=0.1).dtype == jnp.bfloat16
    with pytest.raises(ValueError, match="inputs has dtype uint8"):
        gaussian_noise(KEY, jnp.ones(3, jnp.uint8), sigma=0.1)
    with pytest.raises(ValueError, match="sigma must be at least 0, got -1"):
        gaussian_noise(KEY, x, sigma=-1)


def test_a_shorter_sequence_counts_as_zeros_past_its_end():
    x = jnp.stack([jnp.full((4, 1), 2.0), jnp.full((4, 1), 10.0)])
    draw = Mixing(jnp.float32(0.75), jnp.array([1, 0]))
    mixed, lengths = mix_sequences(draw, x, jnp.array([1, 3]))
    np.testing.assert_array_equal(lengths, [3, 3])
    np.testing.assert_allclose(mixed[0, :, 0], [4.0, 2.5, 2.5, 0.0])
    np.testing.assert_allclose(mixed[1, :, 0], [8.0, 7.5, 7.5, 0.0])


def test_what_stands_in_the_padding_does_not_matter():
    x = jax.random.normal(KEY, (3, 5, 2))
    lengths = jnp.array([2, 5, 0])
    junk = jnp.where((jnp.arange(5)[None] < lengths[:, None])[..., None], x, jnp.nan)
    draw = Mixing(jnp.array([1.0, 0.3, 0.5]), jnp.array([1, 2, 0]))
    mixed, new = mix_sequences(draw, junk, lengths)
    assert np.isfinite(mixed).all()
    # The first is not mixed, so its partner's length does not count.
    np.testing.assert_array_equal(new, [2, 5, 2])
    np.testing.assert_array_equal(mixed[0, :2], x[0, :2])
    np.testing.assert_array_equal(mixed[0, 2:], 0)


def test_real_mixed_with_fake_by_the_papers_formula():
    real, fake = jnp.full((5000, 2), 1.0), jnp.full((5000, 2), -1.0)
    batch = mix_real_with_fake(KEY, real, fake, alpha=0.2)
    lam = np.asarray(batch.targets[:, 0])
    np.testing.assert_allclose(batch.inputs[:, 1], 2 * lam - 1, atol=1e-6)
    np.testing.assert_allclose(lam.mean(), 0.5, atol=0.03)
    np.testing.assert_allclose(lam.var(), 1 / (4 * 1.4), atol=0.01)


def test_real_and_fake_shuffled_together():
    batch = shuffle_together(KEY, jnp.ones((3, 2)), jnp.zeros((2, 2)))
    np.testing.assert_array_equal(batch.inputs[:, :1], batch.targets)
    assert float(batch.targets.sum()) == 3
    keys = jax.random.split(KEY, 3000)
    first = jax.vmap(
        lambda key: shuffle_together(key, jnp.ones((3, 1)), jnp.zeros((2, 1))).targets
    )(keys)[:, 0, 0]
    assert abs(np.asarray(first).mean() - 3 / 5) < 0.04


def test_shuffled_batches_are_mixed_with_a_uniform_lambda():
    ones, zeros = jnp.ones((4000, 2)), jnp.zeros((4000, 2))
    first = Batch(ones, ones[:, :1])
    with pytest.raises(ValueError, match=r"alpha must be in \[0, 1\], got 2"):
        mix_shuffled(KEY, first, first, alpha=2)
    mixed = mix_shuffled(KEY, first, Batch(zeros, zeros[:, :1]), alpha=0.2)
    lam = np.asarray(mixed.targets[:, 0])
    np.testing.assert_allclose(mixed.inputs[:, 0], lam, rtol=1e-6)
    assert scipy.stats.kstest(lam, scipy.stats.uniform(0, 0.2).cdf).pvalue > 1e-3
