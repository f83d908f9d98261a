"""One step of training and of evaluation, as one device sees it.

A step knows the global batch by its indices and draws lambda and partners for all of it
from a key that every device shares: the virtual examples are the same on one device and
on eight. Where the data set lies whole on every device, a device loads its examples and
their partners by index, and pairs reach across devices at no cost in communication.
Where it is streamed, the batch comes in shares, and partners are fetched as they were
stored, in bytes, before they are augmented.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import lax
from jaxtyping import Array, Int

from mixup_jax.evaluation.classification import Sums, error_sums
from mixup_jax.randomness import Purpose, example_keys, purpose_key
from mixup_jax.training.gradients import averaged, gradients
from mixup_jax.training.parts_of_batch import mean_over_parts
from mixup_jax.training.placement import AXIS
from mixup_jax.training.recipe import EvalRecipe, TrainRecipe
from mixup_jax.training.state import TrainState
from mixup_jax.training.step_data import EvalData, Share, TrainData
from mixup_jax.training.vicinal import (
    BeforeStage,
    Examples,
    Place,
    by_index,
    vicinal_batch,
)
from mixup_jax.types import Batch, PyTree
from mixup_jax.vicinity.exchange import fetch


def train_step(
    recipe: TrainRecipe, state: TrainState, data: TrainData, share: Share
) -> TrainState:
    """Takes one step; `share` is what this device has of the batch."""
    size = share.positions.shape[0] * lax.axis_size(AXIS)
    start = state.step % recipe.steps_per_epoch * recipe.batch_size
    indices = lax.dynamic_slice_in_dim(data.order, start, size)
    batch, before_stage = virtual_examples(recipe, data, state.step, indices, share)
    dropout_key = purpose_key(data.root, Purpose.DROPOUT, state.step)
    keys = example_keys(dropout_key, indices[share.positions])
    of_part = functools.partial(gradients, recipe, state, before_stage)
    parts = mean_over_parts(of_part, batch, keys, parts=recipe.parts)
    loss, stats, grads = lax.pmean(parts, AXIS)
    updates, opt_state = recipe.optimizer.update(grads, state.opt_state, state.params)
    params = optax.apply_updates(state.params, updates)
    return _advance(state, loss, size, recipe.steps_per_epoch).replace(
        params=params,
        batch_stats=stats,
        opt_state=opt_state,
        ema=averaged(recipe, state, params),
    )


def virtual_examples(
    recipe: TrainRecipe,
    data: TrainData,
    step: Int[Array, ""],
    indices: Int[Array, " B"],
    share: Share,
) -> tuple[Batch, BeforeStage | None]:
    """Returns this device's share of a step's batch; see `vicinal_batch`."""
    epoch = step / recipe.steps_per_epoch
    place = Place(step, epoch, indices, share.positions)
    return vicinal_batch(
        recipe.vicinity,
        _examples(recipe, data, place, share),
        data,
        place,
        recipe.vicinity.alpha_at(data.alpha, epoch, recipe.epochs),
        finish=recipe.finish,
    )


def _examples(
    recipe: TrainRecipe, data: TrainData, place: Place, share: Share
) -> Examples:
    key = purpose_key(data.root, Purpose.AUGMENT, place.step)

    def prepared(rows: Array, inputs: Array) -> Batch:
        targets = jax.nn.one_hot(data.labels[rows], recipe.num_classes)
        return Batch(recipe.prepare(example_keys(key, rows), inputs), targets)

    if share.inputs is None:
        stored = data.inputs
        if stored is None:
            raise ValueError("neither the data nor the share of a step has inputs")
        return by_index(lambda rows: prepared(rows, stored[rows]), place)
    here, within = share.inputs, recipe.vicinity.pairing_scope == "device"

    def at(places: Array) -> Batch:
        if within:  # positions of a device follow one another
            there = here[places - share.positions[0]]
        else:
            there = fetch(here, places, axis_name=AXIS)
        return prepared(place.indices[places], there)

    return Examples(prepared(place.indices[share.positions], here), at)


def _advance(
    state: TrainState, loss: Array, size: int, steps_per_epoch: int
) -> TrainState:
    """Counts the step; the sums of an epoch begin anew with its first step."""
    first = state.step % steps_per_epoch == 0
    bad = (state.bad_step < 0) & ~jnp.isfinite(loss)
    return state.replace(
        step=state.step + 1,
        loss_sum=jnp.where(first, 0.0, state.loss_sum) + loss * size,
        seen=jnp.where(first, 0, state.seen) + size,
        bad_step=jnp.where(bad, state.step, state.bad_step),
    )


def eval_step(
    recipe: EvalRecipe, variables: PyTree, data: EvalData, share: Share
) -> Sums:
    """Returns the sums over the examples at `start` + positions, of all devices.

    Positions past the end of the set are padding and count for nothing, so every
    example counts once whatever the batch size.
    """
    count = data.labels.shape[0]
    places = data.start + share.positions
    indices = jnp.minimum(places, count - 1)
    stored = share.inputs if data.inputs is None else data.inputs[indices]
    if stored is None:
        raise ValueError("neither the data nor the share of a step has inputs")
    logits: Any = recipe.network.apply(variables, recipe.normalise(stored), train=False)
    weights = jax.nn.one_hot(data.group[indices], recipe.groups)
    weights = weights * (places < count)[:, None]
    return lax.psum(error_sums(logits, data.labels[indices], weights), AXIS)
