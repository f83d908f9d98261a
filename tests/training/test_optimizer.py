import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from mixup_jax import models
from mixup_jax.errors import UsageError
from mixup_jax.training.optimizer import (
    _outside_of_norms,
    make_optimizer,
    step_schedule,
)


def epochs_at_each_rate(delay):
    schedule = step_schedule(0.1, (100, 150), steps_per_epoch=391, delay=delay)
    rates = [float(schedule(epoch * 391)) for epoch in range(200)]
    values, counts = np.unique(np.round(rates, 6), return_counts=True)
    assert values.tolist() == [0.001, 0.01, 0.1]
    return counts[::-1].tolist()


def test_the_papers_schedule_has_100_50_and_50_epochs():
    assert epochs_at_each_rate(delay=0) == [100, 50, 50]


def test_the_official_scripts_schedule_has_101_50_and_49_epochs():
    assert epochs_at_each_rate(delay=1) == [101, 50, 49]


def test_a_drop_begins_with_the_first_step_of_its_epoch():
    schedule = step_schedule(1.0, (2,), steps_per_epoch=10)
    assert [round(float(schedule(step)), 6) for step in (19, 20)] == [1.0, 0.1]


def test_the_rate_rises_by_as_much_at_each_step_and_then_stays():
    # Goyal et al.: from 0.1 to 0.4 over 5 epochs, here of 10 steps.
    schedule = step_schedule(
        0.4, (30, 60), steps_per_epoch=10, warmup=5, warmup_from=0.1
    )
    rates = [float(schedule(jnp.int32(step))) for step in (0, 1, 25, 49, 50, 299, 300)]
    expected = [0.1, 0.106, 0.25, 0.394, 0.4, 0.4, 0.04]
    np.testing.assert_allclose(rates, expected, rtol=1e-6)


def test_a_drop_within_the_warm_up_is_refused():
    with pytest.raises(UsageError, match=r"\(3,\) begin within the warm-up of 5"):
        step_schedule(0.4, (3,), steps_per_epoch=10, warmup=5)


def test_batch_norm_can_be_left_out_of_the_decay():
    params = {"norm1": {"scale": jnp.ones(2)}, "classifier": {"bias": jnp.ones(2)}}
    zero = jax.tree.map(jnp.zeros_like, params)
    for decay_norm, expected in ((True, 0.9), (False, 1.0)):
        sgd = make_optimizer("sgd", 1.0, weight_decay=0.1, decay_norm=decay_norm)
        updates, _ = sgd.update(zero, sgd.init(params), params)
        after = optax.apply_updates(params, updates)
        np.testing.assert_allclose(after["norm1"]["scale"], expected)
        np.testing.assert_allclose(after["classifier"]["bias"], 0.9)


@pytest.mark.parametrize("name", models.BUILDERS)
def test_normalisations_are_known_by_their_names_in_every_network(name):
    network = models.create(name, 3)
    params = models.shapes(network, models.BUILDERS[name].inputs)["params"]
    decays = _outside_of_norms(params)
    for path, decay in jax.tree_util.tree_leaves_with_path(decays):
        last = path[-1].key
        assert last in ("kernel", "bias", "scale")
        if last != "bias":
            assert decay == (last == "kernel"), jax.tree_util.keystr(path)


@pytest.mark.parametrize("drops", [(2, 1), (1, 1), (0,), (-3,)])
def test_drops_that_are_not_increasing_epochs_are_refused(drops):
    with pytest.raises(UsageError, match="lr_drops"):
        step_schedule(0.1, drops, steps_per_epoch=1)


def run(optimizer, grads, start):
    params, state = jnp.asarray(start), optimizer.init(jnp.asarray(start))
    for grad in grads:
        updates, state = optimizer.update(jnp.asarray(grad), state, params)
        params = optax.apply_updates(params, updates)
    return params


GRADS = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
START = np.array([1.0, -2.0, 0.5], np.float32)


@pytest.mark.parametrize("nesterov", [False, True])
def test_sgd_follows_pytorchs_formula(nesterov):
    # torch.optim.SGD: g += wd w; v = m v + g; w -= lr (g + m v if nesterov else v).
    w, v = START.astype(np.float64), np.zeros(3)
    for grad in GRADS:
        g = grad + 0.1 * w
        v = 0.9 * v + g
        w = w - 0.05 * (g + 0.9 * v if nesterov else v)
    sgd = make_optimizer("sgd", 0.05, nesterov=nesterov, weight_decay=0.1)
    np.testing.assert_allclose(run(sgd, GRADS, START), w, rtol=1e-5)


def test_adam_follows_pytorchs_formula():
    # torch.optim.Adam with its coupled weight decay.
    w, m, v = START.astype(np.float64), np.zeros(3), np.zeros(3)
    for step, grad in enumerate(GRADS, start=1):
        g = grad + 0.1 * w
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        w = w - 0.01 * (m / (1 - 0.9**step)) / (np.sqrt(v / (1 - 0.999**step)) + 1e-8)
    adam = make_optimizer("adam", 0.01, weight_decay=0.1)
    np.testing.assert_allclose(run(adam, GRADS, START), w, rtol=1e-5)


def test_an_unknown_optimizer_is_refused():
    with pytest.raises(UsageError, match="Did you mean 'adam'"):
        make_optimizer("adamw", 0.1)
