import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from training_case import Case

import mixup_jax
from mixup_jax.randomness import Purpose, example_keys, purpose_key
from mixup_jax.training.loop import Evaluator
from mixup_jax.training.placement import Placement
from mixup_jax.training.recipe import EvalRecipe
from mixup_jax.training.step import eval_step
from mixup_jax.training.step_data import EvalData
from mixup_jax.vicinity.neighbours import Neighbours


def by_hand(case: Case, steps: int):
    """Trains with the public mixup, a plain loop and SGD as PyTorch writes it."""
    params = case.initial().params
    velocity = jax.tree.map(jnp.zeros_like, params)
    for step in range(steps):
        epoch, place = divmod(step, case.STEPS_PER_EPOCH)
        order = case.order.epoch(epoch)
        chosen = order[place * case.BATCH : (place + 1) * case.BATCH]
        keys = example_keys(
            purpose_key(case.root, Purpose.AUGMENT, step), jnp.asarray(chosen)
        )
        batch = {
            "x": case.prepare(keys, case.inputs[chosen]),
            "y": jax.nn.one_hot(case.labels[chosen], case.CLASSES),
        }
        key = purpose_key(case.root, Purpose.MIX, step)
        mixed = mixup_jax.mixup(key, batch, alpha=case.alpha)

        def loss_of(params, mixed=mixed):
            logits = case.network().apply({"params": params}, mixed["x"], train=True)
            return mixup_jax.soft_cross_entropy(logits, mixed["y"]).mean()

        grads = jax.grad(loss_of)(params)
        rate = 0.1 if epoch < 1 else 0.01
        grads = jax.tree.map(lambda g, w: g + 1e-2 * w, grads, params)
        velocity = jax.tree.map(lambda v, g: 0.9 * v + g, velocity, grads)
        params = jax.tree.map(lambda w, v, r=rate: w - r * v, params, velocity)
    return params


@pytest.mark.parametrize("alpha", [0.0, 0.4])
def test_training_equals_a_plain_loop_around_the_public_mixup(alpha):
    # Both epochs: the short last batches and the drop of the rate are in it.
    case = Case(alpha=alpha)
    trained = case.train()
    assert int(trained.step) == 6
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-6),
        trained.params,
        by_hand(case, 6),
    )


@pytest.mark.parametrize("devices", [2, 8])
def test_pairs_reach_across_devices(devices):
    one = Case(alpha=1.0).train(steps=2)
    many = Case(alpha=1.0, devices=devices).train(steps=2)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6),
        one.params,
        many.params,
    )


STREAMED = {
    "mixup": {},
    "same class, per example": {"pairing": "same_class", "lam_per": "example"},
    "three examples": {"mixed_examples": 3},
    "cutmix": {"cutmix_probability": 0.5},
    "within a device": {"pairing_scope": "device"},
}


@pytest.mark.parametrize(
    ("name", "devices", "mode"),
    [
        *((name, 8, "pmap") for name in STREAMED),
        *(("mixup", devices, "pmap") for devices in (1, 2)),
        *((name, 2, "shard_map") for name in ("cutmix", "within a device")),
    ],
)
def test_streamed_sets_train_as_those_in_device_memory(name, devices, mode):
    cases = [
        Case(devices=devices, mode=mode, vicinity=STREAMED[name], streamed=streamed)
        for streamed in (False, True)
    ]
    jax.tree.map(np.testing.assert_array_equal, *(case.train() for case in cases))


def test_neighbours_of_a_streamed_set_are_refused():
    table = Neighbours(jnp.zeros((40, 1), jnp.int32), jnp.ones(40, jnp.int32))
    case = Case(vicinity={"pairing": "neighbours"}, neighbours=table, streamed=True)
    with pytest.raises(ValueError, match="the whole data set in device memory"):
        case.train()


def test_mixing_changes_what_is_learned():
    erm, mixed = (Case(alpha=alpha).train(steps=3) for alpha in (0.0, 1.0))
    gap = jax.tree.map(lambda a, b: np.abs(a - b).max(), erm.params, mixed.params)
    assert max(jax.tree.leaves(gap)) > 1e-3


def test_the_epochs_loss_covers_every_example_once():
    case = Case()
    seen = [(int(state.step), int(state.seen)) for state in case.steps()]
    assert seen == [(1, 16), (2, 32), (3, 40), (4, 16), (5, 32), (6, 40)]


def test_the_first_step_with_a_loss_that_is_not_finite_is_remembered():
    case = Case()
    state = case.initial()
    steps = case.steps(state)
    assert int(next(steps).bad_step) == -1
    broken = jax.tree.map(lambda leaf: leaf * jnp.nan, state.params)
    steps = case.steps(state.replace(params=broken, step=jnp.int32(1)))
    assert [int(state.bad_step) for state in steps] == [1] * 5


@pytest.mark.parametrize("devices", [1, 8])
@pytest.mark.parametrize("batch_size", [384, 10_000, 20_000])
@pytest.mark.parametrize("streamed", [False, True])
def test_evaluation_counts_all_10000_examples_once(devices, batch_size, streamed):
    rng = np.random.default_rng(3)
    inputs = rng.normal(size=(10_000, 3)).astype(np.float32)
    labels = rng.integers(0, 3, 10_000, np.int32)
    group = (np.arange(10_000) < 1234).astype(np.int32)

    class Identity(nn.Module):
        def __call__(self, x, *, train):
            assert not train
            return x

    def from_the_host(requests):
        return (inputs[request.indices] for request in requests)

    placement = Placement("shard_map", tuple(jax.devices()[:devices]))
    kept, stream = (None, from_the_host) if streamed else (inputs, None)
    data = placement.replicate(EvalData(kept, labels, group, np.int32(0)))
    step = functools.partial(eval_step, EvalRecipe(Identity(), lambda x: x, groups=2))
    count = Evaluator(step, data, placement, batch_size=batch_size, stream=stream)
    sums = count({})
    assert sums.count.tolist() == [8766, 1234]
    wrong = inputs.argmax(axis=1) != labels
    assert sums.errors.tolist() == [wrong[1234:].sum(), wrong[:1234].sum()]
    log_probs = np.asarray(jax.nn.log_softmax(inputs))[np.arange(10_000), labels]
    np.testing.assert_allclose(sums.loss.sum(), -log_probs.sum(), rtol=1e-5)
