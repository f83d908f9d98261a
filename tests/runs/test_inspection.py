import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mixup_jax.runs import runner
from mixup_jax.runs.inspection import first_bad, virtual_batch


@pytest.fixture(params=["in memory", "streamed"])
def parts(request, config, session):
    fields = {"batch_size": 40, "dropout": 0.1}
    if request.param == "streamed":
        fields |= {"image_size": 8, "shorter_side": 10, "crop_area": 0.5}
    return runner.build(dataclasses.replace(config, **fields), session)


def altered(parts, change, **fields):
    state = parts.initial_state()
    state = state.replace(params=change(state.params), **fields)
    return parts.placement.replicate(state)


def spoiled(params):
    hidden = dict(params["hidden2"])
    hidden["kernel"] = hidden["kernel"].at[3, 1].set(jnp.inf)
    return {**params, "hidden2": hidden}


def test_the_first_bad_tensor_is_named(parts):
    state = altered(parts, spoiled, step=jnp.int32(2))
    assert first_bad(parts, state) == "the parameter hidden2/kernel"
    huge = altered(parts, lambda p: jax.tree.map(lambda w: w * 1e30, p))
    assert first_bad(parts, huge) == "the logits"
    assert first_bad(parts, altered(parts, lambda p: p)) == "the loss or a gradient"


def test_the_batch_is_named_where_what_is_stored_is_bad(config, session):
    parts = runner.build(dataclasses.replace(config, batch_size=40), session)
    normal = parts.inputs.prepare

    def spoil(keys, stored):
        return jnp.where(stored > 250, jnp.nan, normal(keys, stored))

    parts.inputs = parts.inputs._replace(prepare=spoil)
    assert first_bad(parts, altered(parts, lambda p: p)) == "the batch's inputs"


def test_the_virtual_batch_is_mixed_or_as_it_was(parts):
    plain, mixed = virtual_batch(parts, mixed=False), virtual_batch(parts)
    assert plain.inputs.shape == mixed.inputs.shape and len(plain.inputs) == 40
    assert set(np.unique(plain.targets)) == {0.0, 1.0}
    between = (mixed.targets > 0.01) & (mixed.targets < 0.99)
    assert between.any()
