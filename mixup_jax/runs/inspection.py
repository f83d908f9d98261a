"""Looking into a run's steps: what the network reads, and what is not finite."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from mixup_jax.randomness import Purpose, example_keys, purpose_key
from mixup_jax.runs.parts import Parts
from mixup_jax.training.gradients import forward
from mixup_jax.training.placement import AXIS
from mixup_jax.training.state import TrainState
from mixup_jax.training.step import virtual_examples
from mixup_jax.training.step_data import Share, TrainData
from mixup_jax.types import Batch, PyTree
from mixup_jax.vicinity.vicinity import Vicinity


def virtual_batch(parts: Parts, *, mixed: bool = True) -> Batch:
    """Returns the examples of the first step, as the network reads them.

    Args:
      parts: Of the run.
      mixed: Or as they are before they are mixed, augmented all the same.
    """
    recipe = parts.recipe()
    if not mixed:
        recipe = dataclasses.replace(recipe, vicinity=Vicinity())

    def make(step, data, share):
        batch, _ = virtual_examples(recipe, data, step, data.order, share)
        # Of all devices, as what comes out is the same on each.
        return jax.tree.map(lambda leaf: lax.all_gather(leaf, AXIS, tiled=True), batch)

    run = parts.placement.parallelise(make)
    step = parts.placement.replicate(np.int32(0))
    return jax.tree.map(np.asarray, run(step, *_of_step(parts, 0)))


def first_bad(parts: Parts, state: TrainState) -> str:
    """Names the first tensor of the next step that is not finite.

    Args:
      parts: Of the run.
      state: Before the step, on the devices.
    """
    recipe = parts.recipe()

    def look(state, data, share):
        key = purpose_key(data.root, Purpose.DROPOUT, state.step)
        batch, before_stage = virtual_examples(
            recipe, data, state.step, data.order, share
        )
        keys = example_keys(key, data.order[share.positions])
        apply = forward(recipe, state, before_stage, keys)
        logits, _ = apply(state.params, batch.inputs)
        tensors = (state.params, state.batch_stats, batch._asdict(), logits)
        # One device suffices to spoil the mean of all.
        return jax.tree.map(
            lambda x: lax.pmin(jnp.isfinite(x).all().astype(jnp.int32), AXIS), tensors
        )

    run = parts.placement.parallelise(look)
    found: PyTree = run(state, *_of_step(parts, int(state.step)))
    names = ("the parameter", "the batch statistic", "the batch's", "the logits")
    for name, tree in zip(names, found, strict=True):
        for path, finite in jax.tree_util.tree_leaves_with_path(tree):
            if not np.asarray(finite).all():
                where = "/".join(str(entry.key) for entry in path)
                return f"{name} {where}".strip()
    return "the loss or a gradient"


def _of_step(parts: Parts, step: int) -> tuple[TrainData, Share]:
    """What a step reads, with the batch's indices in place of the order."""
    placement, order = parts.placement, parts.order
    where = {"host": placement.host, "hosts": placement.hosts}
    (request,) = order.requests(step, step + 1, **where)
    share = Share(placement.positions(order.size(step)))
    stream = parts.stream(parts.dataset.train, seed=parts.config.seed)
    if stream is not None:
        share = share._replace(inputs=placement.split(*stream([request])))
    start = step % order.steps_per_epoch * order.batch_size
    indices = order.epoch(step // order.steps_per_epoch)
    return parts.train_data(indices[start : start + order.size(step)]), share
