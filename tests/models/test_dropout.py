"""Dropout: rates, whole channels, and whose draw it is."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mixup_jax import models
from mixup_jax.errors import UsageError
from mixup_jax.models.dropout import Dropout

KEYS = jax.random.split(jax.random.key(0), 6)


def _drop(x, keys, *, train=True, **fields):
    return Dropout(**fields).apply({}, x, keys, train=train)


def test_share_of_zeros_is_the_rate_and_the_mean_stays():
    y = np.asarray(_drop(jnp.ones((6, 100, 100)), KEYS, rate=0.3))
    # 60,000 draws: 4 sigma are 0.0075.
    np.testing.assert_allclose((y == 0).mean(), 0.3, atol=0.0075)
    assert set(np.unique(y)) == {np.float32(0), np.float32(1 / 0.7)}


def test_whole_channels_are_dropped_together():
    y = np.asarray(_drop(jnp.ones((6, 5, 4, 300)), KEYS, rate=0.5, whole_channels=True))
    dropped = (y == 0).mean(axis=(1, 2))
    assert set(np.unique(dropped)) == {0.0, 1.0}
    np.testing.assert_allclose(dropped.mean(), 0.5, atol=0.05)


@pytest.mark.parametrize("keys", [KEYS, jax.vmap(jax.random.key_data)(KEYS)])
def test_an_example_loses_the_same_wherever_it_stands(keys):
    x = jnp.ones((6, 50))
    whole = _drop(x, keys, rate=0.5)
    np.testing.assert_array_equal(_drop(x[4:], keys[4:], rate=0.5), whole[4:])
    assert not jnp.array_equal(whole[4], whole[5])


def test_layers_draw_apart():
    class Twice(nn.Module):
        @nn.compact
        def __call__(self, x, keys):
            return [Dropout(0.5)(x, keys, train=True) for _ in range(2)]

    first, second = Twice().apply({}, jnp.ones((6, 100)), KEYS)
    # Independent masks agree in half of 600 places, 4 sigma are 49.
    assert abs(int((first == second).sum()) - 300) < 49


@pytest.mark.parametrize(("train", "rate"), [(False, 0.5), (True, 0.0)])
def test_nothing_is_dropped_and_no_key_needed(train, rate):
    x = jnp.ones((6, 10))
    np.testing.assert_array_equal(_drop(x, None, train=train, rate=rate), x)


def test_missing_keys_are_asked_for():
    network = models.create("speech_lenet", 3, width=4, hidden=8)
    variables = models.shapes(network, (16, 16, 1))
    x = jax.ShapeDtypeStruct((2, 16, 16, 1), jnp.float32)
    with pytest.raises(UsageError, match="pass dropout_keys"):
        jax.eval_shape(lambda v, x: network.apply(v, x, train=True), variables, x)


def test_the_mlp_drops_units_of_every_hidden_layer():
    network = models.create("mlp", 3, width=400, dropout=0.5)
    variables = models.initialise(network, KEYS[0], (8,))
    seen = []

    def look(stage, x):
        seen.append(np.asarray(x))
        return x

    x = jnp.ones((6, 8))
    network.apply(variables, x, train=True, dropout_keys=KEYS, before_stage=look)
    network.apply(variables, x, train=False, before_stage=look)
    for trained, evaluated in zip(seen[1:3], seen[4:6], strict=True):
        # About half of the units are 0 by ReLU already, at the same places.
        assert (trained == 0).mean() > (evaluated == 0).mean() + 0.15
