"""One step of training and of evaluation, as one device sees it.

A step knows the global batch by its indices and draws lambda and partners for all of it
from a key that every device shares: the virtual examples are the same on one device and
on eight. Where the data set lies whole on every device, a device loads its examples and
their partners by index, and pairs reach across devices at no cost in communication.
Where it is streamed, the batch comes in shares, and partners are fetched as they were
stored, in bytes, before they are augmented.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jax import lax
from jaxtyping import Array, Int, Shaped

from mixup_jax.evaluation.classification import Sums, error_sums
from mixup_jax.losses import soft_cross_entropy
from mixup_jax.randomness import Purpose, example_keys, purpose_key
from mixup_jax.training.placement import AXIS
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
from mixup_jax.vicinity.vicinity import Vicinity

# Per-example keys and raw inputs to the network's inputs.
Prepare = Callable[[Shaped[Array, " B *key"], Shaped[Array, "B ..."]], Array]
Normalise = Callable[[Shaped[Array, "B ..."]], Array]


def _identity(mixed: Array) -> Array:
    return mixed


@dataclasses.dataclass(frozen=True)
class TrainRecipe:
    """What a training step is made of.

    Attributes:
      network: Of `mixup_jax.models`.
      optimizer: Of `mixup_jax.training.optimizer`.
      prepare: Makes stored examples what is to be mixed: augments, normalises. The same
        key gives the same result, so that a partner looks as it does in its own place
        in the batch.
      num_classes: K.
      batch_size: Global, of all batches but perhaps the last of an epoch.
      steps_per_epoch: Steps in an epoch.
      epochs: Of the run.
      vicinity: Of the virtual examples; its alpha only says whether there is mixing,
        the strength is `TrainData.alpha`.
      finish: Makes mixed examples what the network reads.
    """

    network: nn.Module
    optimizer: optax.GradientTransformation
    prepare: Prepare
    num_classes: int
    batch_size: int
    steps_per_epoch: int
    epochs: int
    vicinity: Vicinity
    finish: Callable[[Array], Array] = _identity


def train_step(
    recipe: TrainRecipe, state: TrainState, data: TrainData, share: Share
) -> TrainState:
    """Takes one step; `share` is what this device has of the batch."""
    size = share.positions.shape[0] * lax.axis_size(AXIS)
    start = state.step % recipe.steps_per_epoch * recipe.batch_size
    indices = lax.dynamic_slice_in_dim(data.order, start, size)
    batch, before_stage = virtual_examples(recipe, data, state.step, indices, share)
    dropout_key = purpose_key(data.root, Purpose.DROPOUT, state.step)

    def loss_of(params):
        logits, updates = recipe.network.apply(
            {"params": params, "batch_stats": state.batch_stats},
            batch.inputs,
            train=True,
            dropout_keys=example_keys(dropout_key, indices[share.positions]),
            before_stage=before_stage,
            mutable=["batch_stats"],
        )
        loss = soft_cross_entropy(logits, batch.targets).mean()
        return loss, updates.get("batch_stats", {})

    (loss, stats), grads = jax.value_and_grad(loss_of, has_aux=True)(state.params)
    loss, stats, grads = lax.pmean((loss, stats, grads), AXIS)
    updates, opt_state = recipe.optimizer.update(grads, state.opt_state, state.params)
    return _advance(state, loss, size, recipe.steps_per_epoch).replace(
        params=optax.apply_updates(state.params, updates),
        batch_stats=stats,
        opt_state=opt_state,
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


@dataclasses.dataclass(frozen=True)
class EvalRecipe:
    """What an evaluation step is made of.

    Attributes:
      network: Of `mixup_jax.models`.
      normalise: Raw inputs to the network's.
      groups: Number of groups that are counted apart.
    """

    network: nn.Module
    normalise: Normalise
    groups: int = 1


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
