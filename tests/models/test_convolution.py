"""Every form of a convolution is the plain one up to rounding, where it is chosen."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from mixup_jax import models
from mixup_jax.models import winograd
from mixup_jax.models.convolution import convolve, plainly

DIMENSIONS = ("NHWC", "HWIO", "NHWC")


def by(function, *, stride=1, padding=1, groups=1):
    """A convolution of x with a kernel, as Flax calls it."""

    def apply(x, kernel):
        return function(
            x,
            kernel,
            (stride, stride),
            [(padding, padding)] * 2,
            dimension_numbers=DIMENSIONS,
            feature_group_count=groups,
        )

    return apply


def drawn(x_shape, kernel_shape, dtype=np.float32, seed=0):
    rng = np.random.default_rng(seed)
    x, kernel = rng.normal(size=x_shape), rng.normal(size=kernel_shape)
    return jnp.array(x, dtype), jnp.array(kernel, dtype)


def value_and_gradients(function, x, kernel):
    y, pull = jax.vjp(function, x, kernel)
    dy = jnp.array(np.random.default_rng(9).normal(size=y.shape), y.dtype)
    return (y, *pull(dy))


def assert_equal_up_to_rounding(ours, plain):
    for one, other in zip(ours, plain, strict=True):
        assert one.shape == other.shape and one.dtype == other.dtype
        scale = jnp.abs(other).max()
        assert jnp.abs(one - other).max() <= 2e-6 * scale


def forms(x, kernel, **options):
    """Names of the operations that a convolution is made of."""
    text = str(jax.make_jaxpr(by(convolve, **options))(x, kernel))
    return {
        name
        for name in ("conv_general_dilated", "dot_general", "custom_vjp")
        if name in text
    }


@pytest.mark.parametrize(
    ("batch", "height", "width", "channels", "features"),
    [(1, 1, 1, 1, 1), (3, 1, 4, 5, 2), (2, 4, 3, 1, 5), (1, 3, 3, 4, 4)],
)
def test_winograd_is_the_direct_sum(batch, height, width, channels, features):
    drawn_ = drawn((batch, 2 * height, 2 * width, channels), (3, 3, channels, features))
    ours = value_and_gradients(winograd.convolve, *drawn_)
    plain = value_and_gradients(by(lax.conv_general_dilated), *drawn_)
    assert_equal_up_to_rounding(ours, plain)


def test_winograd_rounds_about_as_the_direct_sum_does():
    x, kernel = drawn((2, 8, 8, 256), (3, 3, 256, 256))
    with jax.enable_x64(True):
        wide = [jnp.array(np.asarray(a), jnp.float64) for a in (x, kernel)]
        truth = np.asarray(by(lax.conv_general_dilated)(*wide))
    error = {
        f: np.sqrt(np.mean((np.asarray(f(x, kernel)) - truth) ** 2))
        for f in (by(lax.conv_general_dilated), winograd.convolve)
    }
    plain, ours = error.values()
    assert ours < 3 * plain


@pytest.mark.parametrize(
    ("stride", "groups", "channels", "features"),
    [
        *[(1, 8, 32, 32), (2, 8, 32, 64), (1, 6, 12, 24), (1, 32, 128, 128)],
        *[(2, 2, 64, 64), (1, 2, 80, 40)],  # already as wide as a block
    ],
)
@pytest.mark.parametrize("size", [3, 1])
def test_merged_groups_are_groups(stride, groups, channels, features, size):
    x, kernel = drawn((2, 6, 6, channels), (size, size, channels // groups, features))
    options = {"stride": stride, "groups": groups, "padding": size // 2}
    # Never XLA's own, which takes a hundred times as long for groups of any width.
    text = str(jax.make_jaxpr(by(convolve, **options))(x, kernel))
    assert not re.search(r"feature_group_count=([2-9]|1\d)", text)
    ours = value_and_gradients(by(convolve, **options), x, kernel)
    plain = value_and_gradients(by(lax.conv_general_dilated, **options), x, kernel)
    assert_equal_up_to_rounding(ours, plain)


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_a_pointwise_convolution_is_a_product(stride):
    x, kernel = drawn((2, 6, 5, 7), (1, 1, 7, 3))
    options = {"stride": stride, "padding": 0}
    assert forms(x, kernel, **options) == {"dot_general"}
    ours = value_and_gradients(by(convolve, **options), x, kernel)
    plain = value_and_gradients(by(lax.conv_general_dilated, **options), x, kernel)
    assert_equal_up_to_rounding(ours, plain)
    # With padding there are places that no input has.
    assert forms(x, kernel, padding=1) == {"conv_general_dilated"}


def test_on_a_cpu_wide_convolutions_take_winograds_form_and_no_others():
    x, kernel = drawn((1, 4, 4, 96), (3, 3, 96, 96))
    assert "custom_vjp" in forms(x, kernel)
    odd, _ = drawn((1, 5, 4, 96), (1,))
    narrow = drawn((1, 4, 4, 64), (3, 3, 64, 64))
    plain = {"conv_general_dilated"}
    assert forms(odd, kernel) == plain
    assert forms(x, kernel, stride=2) == plain
    assert forms(x, kernel, padding=0) == plain
    assert forms(*narrow) == plain
    assert forms(x.astype(jnp.bfloat16), kernel.astype(jnp.bfloat16)) == plain


def test_elsewhere_every_convolution_is_xlas(monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert forms(*drawn((1, 4, 4, 96), (3, 3, 96, 96))) == {"conv_general_dilated"}
    grouped = drawn((1, 4, 4, 8), (3, 3, 1, 8))
    assert forms(*grouped, groups=8) == {"conv_general_dilated"}


def test_the_plain_form_can_be_asked_for_and_ends_with_the_asking():
    wide = drawn((1, 4, 4, 96), (3, 3, 96, 96))
    with plainly():
        assert forms(*wide) == {"conv_general_dilated"}
    assert "custom_vjp" in forms(*wide)


def test_a_network_is_the_same_in_either_form():
    network = models.create("wide_resnet28_10", depth=10, width=8)
    variables = models.initialise(network, jax.random.key(0), (8, 8, 3))
    x = jax.random.normal(jax.random.key(1), (4, 8, 8, 3))

    def gradients():
        def loss(params):
            inputs = {**variables, "params": params}
            y, _ = network.apply(inputs, x, train=True, mutable=["batch_stats"])
            return jnp.square(y).mean()

        return jax.jit(jax.grad(loss))(variables["params"])

    ours = gradients()
    with plainly():
        plain = gradients()
    for one, other in zip(jax.tree.leaves(ours), jax.tree.leaves(plain), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=3e-5)
