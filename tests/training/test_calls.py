"""Several steps in one call."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from training_case import Case, assert_close

from mixup_jax.training.calls import Call, calls, several, stacked
from mixup_jax.training.order import Order
from mixup_jax.training.state import initial_state
from mixup_jax.training.step_data import Share

ROOT = jax.random.key(0)


def plan(first, last, per_call, *, examples=100, batch_size=16, steps=7):
    order = Order(ROOT, examples, batch_size, steps)
    return [tuple(call) for call in calls(order, first, last, per_call)]


def test_calls_begin_anew_with_an_epoch_and_a_short_batch_has_its_own():
    # 100 examples: six whole batches of 16, then one of 4.
    epoch = [(0, 4), (4, 2), (6, 1)]
    assert plan(0, 14, 4) == [*epoch, (7, 4), (11, 2), (13, 1)]
    assert plan(0, 7, 100) == [(0, 6), (6, 1)]
    assert plan(0, 3, 1) == [(0, 1), (1, 1), (2, 1)]
    # Without the short batch, and with nothing but one.
    assert plan(0, 12, 4, steps=6) == [(0, 4), (4, 2), (6, 4), (10, 2)]
    assert plan(0, 2, 4, examples=5, steps=1) == [(0, 1), (1, 1)]
    # From the middle of a call, which an own run never starts from.
    assert plan(1, 6, 4) == [(1, 3), (4, 2)]
    assert plan(14, 14, 4) == []


@given(
    examples=st.integers(1, 60),
    batch_size=st.integers(1, 20),
    per_call=st.integers(1, 9),
    drop_last=st.booleans(),
    data=st.data(),
)
def test_calls_cover_every_step_once_and_continue_as_they_were(
    examples, batch_size, per_call, drop_last, data
):
    whole, rest = divmod(examples, batch_size)
    order = Order(
        ROOT, examples, batch_size, max(whole + (rest > 0 and not drop_last), 1)
    )
    last = 3 * order.steps_per_epoch
    found = list(calls(order, 0, last, per_call))
    covered = [step for call in found for step in range(call.first, sum(call))]
    assert covered == list(range(last))
    for call in found:
        of_call = range(call.first, sum(call))
        assert len(of_call) <= per_call
        assert len({order.size(step) for step in of_call}) == 1
        assert len({step // order.steps_per_epoch for step in of_call}) == 1
    stop = data.draw(st.integers(0, len(found) - 1))
    assert list(calls(order, found[stop].first, last, per_call)) == found[stop:]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"streamed": True},
        {"optimizer_name": "adam", "ema": 0.9},
        {"devices": 8},
        {"devices": 8, "mode": "shard_map", "streamed": True},
        {"model": "preact_resnet18", "devices": 2},
    ],
    ids=str,
)
def test_a_call_of_several_steps_trains_as_one_by_one(options):
    case = Case(**options, steps_per_call=2)
    seen = [(done, int(state.step), int(state.seen)) for done, state in case.calls()]
    assert seen == [(2, 2, 32), (3, 3, 40), (5, 5, 32), (6, 6, 40)]
    one_by_one = Case(**options).train()
    assert_close(case.train(), one_by_one, rtol=1e-4, atol=1e-5)


def test_continuing_between_calls_is_bitwise_the_uninterrupted_run():
    case = Case(steps_per_call=2, optimizer_name="adam")
    whole, kept = case.train(), case.train(steps=3)
    resumed = case.train(jax.tree.map(jnp.asarray, kept))
    jax.tree.map(np.testing.assert_array_equal, whole, resumed)


def _count(state, data, share):
    return state.replace(step=state.step + 1)


@pytest.mark.parametrize(("shape", "loops"), [((3, 4), 1), ((3, 3, 4, 4), 0)])
def test_only_steps_with_convolutions_are_written_out_on_a_cpu(shape, loops):
    state = initial_state({"params": jnp.ones(shape)}, ())
    step = several(_count, 3, state.params)
    share = Share(jnp.arange(2))
    text = jax.jit(step).lower(state, Case().data(), share).as_text()
    assert text.count("stablehlo.while") == loops


def test_batches_of_a_call_are_stacked_behind_their_examples():
    batches = (np.full((2, 5), step) for step in range(3))
    both, alone = stacked(batches, [Call(0, 2), Call(2, 1)])
    assert both.shape == (2, 2, 5) and alone.shape == (2, 5)
    np.testing.assert_array_equal(both[:, 1], np.ones((2, 5)))
