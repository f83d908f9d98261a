"""Max pooling of slices is XLA's, in value and gradient."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixup_jax.models.pooling import max_pool


def xlas(x, size, *, stride=2, padding=0):
    sides = [(padding, padding)] * 2
    return nn.max_pool(x, (size, size), strides=(stride, stride), padding=sides)


def value_and_gradient(pool, x, **options):
    y, pull = jax.vjp(lambda x: pool(x, **options), x)
    return y, *pull(jnp.arange(1, y.size + 1, dtype=y.dtype).reshape(y.shape))


def drawn(shape, dtype=jnp.float32):
    # Of few values, so that many windows have several greatest places.
    return jnp.asarray(np.random.default_rng(0).integers(-1, 2, shape), dtype)


@settings(max_examples=25, deadline=None)
@given(
    height=st.integers(3, 8),
    width=st.integers(3, 8),
    size=st.integers(1, 3),
    stride=st.integers(1, 3),
    padding=st.integers(0, 1),
)
def test_windows_and_gradients_are_xlas(height, width, size, stride, padding):
    options = {"size": size, "stride": stride, "padding": min(padding, size // 2)}
    x = drawn((2, height, width, 3))
    ours = value_and_gradient(max_pool, x, **options)
    for one, other in zip(ours, value_and_gradient(xlas, x, **options), strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_first_of_equal_places_gets_the_gradient():
    x = jnp.array([[0.0, 1, 1, 0], [1, 1, 0, 0]])[None, :, :, None]
    _, dx = value_and_gradient(max_pool, x, size=2)
    np.testing.assert_array_equal(dx[0, :, :, 0], [[0, 1, 2, 0], [0, 0, 0, 0]])


def test_it_keeps_bfloat16_and_what_is_not_a_number():
    x = drawn((1, 4, 4, 1), jnp.bfloat16)
    y, dx = value_and_gradient(max_pool, x, size=2)
    assert y.dtype == dx.dtype == jnp.bfloat16
    assert jnp.isnan(max_pool(x.at[0, 0, 0, 0].set(jnp.nan), 2)[0, 0, 0, 0])


@pytest.mark.parametrize(
    ("backend", "xlas_own"), [("tpu", True), ("gpu", False), ("cpu", False)]
)
def test_a_tpu_keeps_xlas_own(backend, xlas_own, monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: backend)
    text = str(jax.make_jaxpr(lambda x: max_pool(x, 2))(drawn((1, 4, 4, 1))))
    assert ("reduce_window_max" in text) == xlas_own


def test_a_gpu_computes_the_same_without_a_loop(monkeypatch):
    x = drawn((3, 8, 8, 4))
    y, dx = value_and_gradient(max_pool, x, size=3, padding=1)
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    program = jax.jit(lambda x: value_and_gradient(max_pool, x, size=3, padding=1))
    assert "scan" not in str(jax.make_jaxpr(program)(x))
    np.testing.assert_array_equal(program(x)[0], y)
    np.testing.assert_array_equal(program(x)[1], dx)
