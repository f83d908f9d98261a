"""Steps that need less memory, and averaged parameters: the same training otherwise."""

import math
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from training_case import Case, assert_close

from mixup_jax import draw_mixing
from mixup_jax.data.augment import normalise
from mixup_jax.training.gradients import forward
from mixup_jax.training.parts_of_batch import mean_over_parts
from mixup_jax.types import Batch
from mixup_jax.vicinity.mix import combine, shares, sources


@pytest.mark.parametrize("parts", [2, 4, 8])
def test_a_batch_in_parts_trains_as_the_whole(parts):
    # Without batch norm the parts know nothing of each other.
    assert_close(Case().train(), Case(parts=parts).train(), rtol=2e-5, atol=2e-6)


def test_with_ghost_groups_batch_norm_does_not_see_the_parts():
    options = {"model": "preact_resnet18", "ghost": 4}
    whole = Case(**options).train(steps=2)
    parts = Case(**options, parts=2).train(steps=2)
    assert_close(whole, parts, rtol=1e-3, atol=1e-4)
    # Without the groups, statistics are of the parts, and so differ.
    other = Case(model="preact_resnet18", parts=2).train(steps=2)
    gaps = jax.tree.map(
        lambda a, b: np.abs(a - b).max(), whole.batch_stats, other.batch_stats
    )
    assert max(jax.tree.leaves(gaps)) > 1e-3


def test_means_of_parts_match_hand_computed_ones():
    def means(x, nothing):
        assert nothing is None and x.shape == (2, 1)
        return {"mean": x.mean(), "square": jnp.square(x.mean())}

    x = jnp.array([[1.0], [3.0], [5.0], [9.0]])
    found = mean_over_parts(means, x, None, parts=2)
    assert float(found["mean"]) == 4.5
    assert float(found["square"]) == (4 + 49) / 2


@pytest.mark.parametrize("model", ["preact_resnet18", "densenet_bc190_40"])
def test_recomputing_changes_memory_and_nothing_else(model):
    kept, again = (Case(model=model, remat=remat) for remat in (False, True))
    assert_close(kept.train(steps=2), again.train(steps=2), rtol=1e-4, atol=1e-5)


def kept_bytes(capsys, remat):
    """What a step keeps of its batch for the backward pass, as JAX sees it.

    XLA's CPU backend undoes rematerialisation, so a compiled step there says nothing.
    """
    case = Case(model="densenet_bc190_40", remat=remat)
    state, batch = case.initial(), Batch(jnp.ones((16, 8, 8, 2)), jnp.ones((16, 3)))
    recipe = case.step().args[0]
    apply = forward(recipe, state, None, None)
    jax.ad_checkpoint.print_saved_residuals(apply, state.params, batch.inputs)
    lines = capsys.readouterr().out.splitlines()
    shapes = [
        re.match(r"f32\[([\d,]*)\]", line) for line in lines if "argument" not in line
    ]
    return sum(
        4 * math.prod(int(n) for n in shape[1].split(",") if n)
        for shape in shapes
        if shape
    )


def test_recomputing_keeps_what_layers_with_weights_give_alone(capsys):
    plain, remat = (kept_bytes(capsys, remat) for remat in (False, True))
    # By hand for three blocks of one layer: the stem's 8 channels, in each block 16
    # and 4, in transitions half of 12 and of 10, at 8x8, 4x4 and 2x2.
    assert remat == 4 * 16 * ((8 + 20 + 6) * 64 + (20 + 5) * 16 + 20 * 4)
    assert remat < 0.5 * plain


def test_the_average_is_that_of_the_parameters_of_every_step():
    case = Case(ema=0.5)
    average, step = case.initial().params, 0
    for state in case.steps():
        # (1 + t) / (10 + t) is the less until t = 8.
        decay = min(0.5, (1 + step) / (10 + step))
        params = jax.tree.map(np.asarray, state.params)
        average = jax.tree.map(
            lambda a, p, d=decay: d * a + (1 - d) * p, average, params
        )
        step += 1
        assert_close(average, state.ema, rtol=1e-5, atol=1e-6)
        assert state.variables["params"] is state.ema
    plain = Case().train()
    assert_close(plain.params, Case(ema=0.5).train().params, rtol=0)
    assert plain.ema is None and plain.variables["params"] is plain.params


def test_bytes_are_normalised_and_mixed_without_anything_kept_in_between():
    stored = jnp.zeros((64, 32, 32, 3), jnp.uint8)

    @jax.jit
    def mix(key, stored):
        draw = draw_mixing(key, len(stored), alpha=1.0)
        rows = (stored, *(stored[partner] for partner in sources(draw)))
        scaled = [normalise(each, (0.5,) * 3, (0.25,) * 3) for each in rows]
        return combine(scaled, shares(draw))

    memory = mix.lower(jax.random.key(0), stored).compile().memory_analysis()
    assert memory.output_size_in_bytes == 4 * stored.size
    assert memory.temp_size_in_bytes < 0.02 * memory.output_size_in_bytes
