"""Batch norm against numpy in float64, and over groups and devices."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec as P

from mixup_jax.errors import UsageError
from mixup_jax.models.normalisation import BatchNorm, normalise

SHAPE = (8, 3, 5, 4)


def _inputs(mean=0.5, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(mean, 2.0, SHAPE).astype(np.float32)
    scale = rng.uniform(0.5, 1.5, SHAPE[-1]).astype(np.float32)
    bias = rng.normal(size=SHAPE[-1]).astype(np.float32)
    variables = {
        "params": {"scale": jnp.array(scale), "bias": jnp.array(bias)},
        "batch_stats": {"mean": jnp.full(4, 3.0), "var": jnp.full(4, 2.0)},
    }
    return jnp.array(x), variables


def _by_hand(x, variables):
    x = np.asarray(x, np.float64)
    scale, bias = (np.asarray(variables["params"][k]) for k in ("scale", "bias"))
    mean, var = x.mean(axis=(0, 1, 2)), x.var(axis=(0, 1, 2))
    y = (x - mean) / np.sqrt(var + 1e-5) * scale + bias
    unbiased = x.var(axis=(0, 1, 2), ddof=1)
    return y, 0.9 * 3.0 + 0.1 * mean, 0.9 * 2.0 + 0.1 * unbiased


def _train(norm, x, variables):
    y, updated = norm.apply(variables, x, train=True, mutable=["batch_stats"])
    return y, updated["batch_stats"]


# A single pass over E[x^2] - E[x]^2 has lost everything at 3e4: float32 holds 2^24.
@pytest.mark.parametrize("mean", [0.5, 300.0, 3e4])
def test_training_matches_float64(mean):
    x, variables = _inputs(mean)
    y, stats = _train(BatchNorm(), x, variables)
    want, want_mean, want_var = _by_hand(x, variables)
    np.testing.assert_allclose(y, want, atol=1e-5 + 3e-7 * mean)
    np.testing.assert_allclose(stats["mean"], want_mean, rtol=1e-6)
    np.testing.assert_allclose(stats["var"], want_var, rtol=1e-5)


def test_evaluation_uses_the_running_statistics():
    x, variables = _inputs()
    y = BatchNorm().apply(variables, x, train=False)
    scale, bias = (variables["params"][k][None, None, None] for k in ("scale", "bias"))
    want = (x - 3.0) / np.sqrt(2.0 + 1e-5) * scale + bias
    np.testing.assert_allclose(y, want, rtol=1e-5, atol=1e-6)


def test_gradient_is_that_of_the_formula():
    x, variables = _inputs()
    args = (x, variables["params"]["scale"], variables["params"]["bias"])
    weights = jax.random.normal(jax.random.key(0), SHAPE)

    def formula(x, scale, bias):
        mean = x.mean(axis=(0, 1, 2), keepdims=True)
        var = jnp.square(x - mean).mean(axis=(0, 1, 2), keepdims=True)
        wide = [channels[None, None, None] for channels in (scale, bias)]
        y = (x - mean) / jnp.sqrt(var + 1e-5) * wide[0] + wide[1]
        return jnp.sum(weights * jnp.sin(y))

    def ours(x, scale, bias):
        return jnp.sum(weights * jnp.sin(normalise(x, scale, bias, None)[0]))

    got, want = (jax.grad(f, (0, 1, 2))(*args) for f in (ours, formula))
    for a, b in zip(got, want, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_bfloat16_statistics_are_taken_in_float32():
    x, variables = _inputs()
    y, stats = _train(BatchNorm(dtype=jnp.bfloat16), x.astype(jnp.bfloat16), variables)
    _, want_mean, _ = _by_hand(x.astype(jnp.bfloat16), variables)
    assert y.dtype == jnp.bfloat16
    assert stats["mean"].dtype == stats["var"].dtype == jnp.float32
    np.testing.assert_allclose(stats["mean"], want_mean, rtol=1e-6)


def test_float64_is_kept_where_it_is_asked_for():
    x, variables = _inputs()
    want = _by_hand(x, variables)[0]
    with jax.enable_x64(True):
        x, variables = jax.tree.map(
            lambda leaf: jnp.asarray(np.asarray(leaf, np.float64)), (x, variables)
        )
        y, _ = _train(BatchNorm(dtype=jnp.float64), x, variables)
        np.testing.assert_allclose(y, want, rtol=1e-12)


def test_ghost_groups_are_batches_of_their_own():
    x, variables = _inputs()
    y, stats = _train(BatchNorm(ghost=2), x, variables)
    parts = [_by_hand(x[i : i + 2], variables) for i in range(0, 8, 2)]
    np.testing.assert_allclose(y, np.concatenate([p[0] for p in parts]), atol=1e-5)
    # The mean over groups, as that over devices in a data-parallel step.
    np.testing.assert_allclose(stats["mean"], np.mean([p[1] for p in parts], 0), 1e-6)
    np.testing.assert_allclose(stats["var"], np.mean([p[2] for p in parts], 0), 1e-5)


def test_ghost_gradient_is_the_sum_over_groups():
    x, variables = _inputs()

    def loss(params, x, ghost):
        full = {**variables, "params": params}
        return jnp.sum(jnp.sin(_train(BatchNorm(ghost=ghost), x, full)[0]))

    got = jax.grad(loss)(variables["params"], x, 2)
    parts = [
        jax.grad(loss)(variables["params"], x[i : i + 2], 0) for i in range(0, 8, 2)
    ]
    want = jax.tree.map(lambda *leaves: sum(leaves), *parts)
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-5), got, want)


def test_ghost_groups_must_fill_the_batch():
    x, variables = _inputs()
    with pytest.raises(UsageError, match=r"8 examples .* groups of 3"):
        _train(BatchNorm(ghost=3), x, variables)
    # In evaluation any batch will do.
    BatchNorm(ghost=3).apply(variables, x, train=False)


def test_synchronised_statistics_are_those_of_the_whole_batch():
    x, variables = _inputs(mean=300.0)
    # Devices see different means, which their own variances would miss.
    x = x + jnp.arange(8.0)[:, None, None, None]

    def loss(norm, params, x):
        y, stats = _train(norm, x, {**variables, "params": params})
        return jnp.sum(jnp.sin(y)), (y, stats)

    def step(params, x):
        grads, (y, stats) = jax.grad(
            partial(loss, BatchNorm(axis_name="batch")), (0, 1), has_aux=True
        )(params, x)
        return jax.lax.psum(grads[0], "batch"), grads[1], y, stats

    mesh = jax.make_mesh((4,), ("batch",), axis_types=(jax.sharding.AxisType.Auto,))
    specs = (P(), P("batch"), P("batch"), P())
    sharded = jax.jit(
        jax.shard_map(
            step,
            mesh=mesh,
            in_specs=(P(), P("batch")),
            out_specs=specs,
            check_vma=False,
        )
    )
    got = sharded(variables["params"], x)
    (dparams, dx), (y, stats) = jax.grad(
        partial(loss, BatchNorm()), (0, 1), has_aux=True
    )(variables["params"], x)
    for a, b in zip(
        jax.tree.leaves(got), jax.tree.leaves((dparams, dx, y, stats)), strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=2e-4)
    np.testing.assert_allclose(stats["var"], _by_hand(x, variables)[2], rtol=1e-5)
