"""Moments of every initialisation, against the formulas of their sources."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mixup_jax import models
from mixup_jax.models.initialisation import INITIALISATIONS
from mixup_jax.models.layers import Layers

CONV = (3, 3, 40, 120)  # H W I O
DENSE = (250, 100)
FAN_IN, FAN_OUT = 3 * 3 * 40, 3 * 3 * 120

# name: std of convolutions, std of dense kernels, bound of dense biases.
STDS = {
    "torch2017": (FAN_IN**-0.5 / 3**0.5, 250**-0.5 / 3**0.5, 250**-0.5),
    "torch": (FAN_IN**-0.5 / 3**0.5, 250**-0.5 / 3**0.5, 250**-0.5),
    "wrn_lua": ((2 / FAN_IN) ** 0.5, 250**-0.5 / 3**0.5, 0),
    "wrn2017": (2 * FAN_IN**-0.5, 2 * 250**-0.5, 0),
    "wrn": ((2 / FAN_IN) ** 0.5, (2 / 250) ** 0.5, 0),
    "fan_out": ((2 / FAN_OUT) ** 0.5, 250**-0.5 / 3**0.5, 0),
    "goyal": ((2 / FAN_OUT) ** 0.5, 0.01, 0),
}
UNIFORM_GAMMA = {"torch2017", "wrn_lua", "wrn2017", "wrn"}
# Fourth moment over squared variance: 1.8 of a uniform, 3 of a whole normal (2.1 of
# one truncated at two standard deviations).
UNIFORM_KERNELS = {"torch2017": "both", "torch": "both", "wrn_lua": "dense"} | {
    "fan_out": "dense"
}


def _draw(initialiser, shape):
    return np.asarray(initialiser(jax.random.key(7), shape, jnp.float32), np.float64)


def _kurtosis(values):
    return np.mean(values**4) / np.mean(values**2) ** 2


@pytest.mark.parametrize("name", INITIALISATIONS)
def test_kernels_have_the_moments_of_their_source(name):
    init, (conv_std, dense_std, _) = INITIALISATIONS[name], STDS[name]
    conv, dense = _draw(init.conv, CONV), _draw(init.dense, DENSE)
    # 43,200 and 25,000 draws: a standard deviation is known to 1 %, so 4 sigma is 2 %.
    np.testing.assert_allclose(conv.std(), conv_std, rtol=0.02)
    np.testing.assert_allclose(dense.std(), dense_std, rtol=0.02)
    np.testing.assert_allclose(conv.mean() / conv_std, 0, atol=0.02)
    uniform = UNIFORM_KERNELS.get(name, "none")
    want = 1.8 if uniform == "both" else 3.0
    np.testing.assert_allclose(_kurtosis(conv), want, rtol=0.05)
    want = 1.8 if uniform in ("both", "dense") else 3.0
    np.testing.assert_allclose(_kurtosis(dense), want, rtol=0.05)


@pytest.mark.parametrize("name", INITIALISATIONS)
def test_biases_and_gammas_have_the_range_of_their_source(name):
    init, bound = INITIALISATIONS[name], STDS[name][2]
    bias = _draw(init.dense_bias(250), (4000,))
    if bound:
        assert 0.99 * bound < np.abs(bias).max() <= bound
        np.testing.assert_allclose(bias.std(), bound / 3**0.5, rtol=0.05)
    else:
        assert not bias.any()
    gamma = _draw(init.gamma, (4000,))
    if name in UNIFORM_GAMMA:
        assert 0 <= gamma.min() < 0.01 < 0.99 < gamma.max() <= 1
        np.testing.assert_allclose(gamma.mean(), 0.5, atol=0.02)
    else:
        assert (gamma == 1).all()


def test_goyal_zeroes_the_last_gamma_of_a_branch_and_no_other():
    network = models.create("resnet50", 3, depth=14, width=4)
    params = models.initialise(network, jax.random.key(0), (32, 32, 3))["params"]
    for stage in range(1, 5):
        block = params[f"stage{stage}_block1"]
        assert not block["norm3"]["scale"].any()
        for norm in ("norm1", "norm2", "shortcut_norm"):
            assert (block[norm]["scale"] == 1).all()
    assert (params["stem_norm"]["scale"] == 1).all()


def test_biases_of_convolutions_use_the_fan_in_of_their_kernel():
    network = models.create("speech_lenet", 3, width=400, hidden=2)
    params = models.initialise(network, jax.random.key(0), (16, 16, 1))["params"]
    for name, fan_in in (("conv1", 25), ("conv2", 25 * 400)):
        bias = np.abs(np.asarray(params[name]["bias"]))
        assert 0.97 * fan_in**-0.5 < bias.max() <= fan_in**-0.5


def test_grouped_convolutions_use_the_fan_in_of_a_group():
    network = models.create(
        "resnext101_32x4d", 3, depth=14, width=64, cardinality=4, init="torch"
    )
    params = models.initialise(network, jax.random.key(0), (32, 32, 3))["params"]
    kernel = params["stage1_block1"]["conv2"]["kernel"]
    assert kernel.shape == (3, 3, 4, 16)
    assert 0.97 / 6 < np.abs(np.asarray(kernel)).max() <= 1 / 6


def test_biases_of_grouped_convolutions_use_the_fan_in_of_a_group():
    class Grouped(nn.Module):
        @nn.compact
        def __call__(self, x):
            return Layers().conv(x, 400, 1, groups=4, bias=True, name="conv")

    params = Grouped().init(jax.random.key(0), jnp.zeros((1, 1, 1, 16)))["params"]
    bias = np.abs(np.asarray(params["conv"]["bias"]))
    assert 0.97 / 2 < bias.max() <= 1 / 2
