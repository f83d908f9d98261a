"""Several steps in one call of a compiled program.

Between two calls a host has work of its own, more with more parameters; a device whose
step is shorter waits for it. Steps are the same however they are called, up to
rounding: a compiler may order sums differently within a loop.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from mixup_jax.training.order import Order
from mixup_jax.training.state import TrainState
from mixup_jax.training.step_data import Share, TrainData
from mixup_jax.types import PyTree


class Call(NamedTuple):
    """Steps that are taken at once; all in one epoch, their batches of one size."""

    first: int
    steps: int


def calls(order: Order, first: int, last: int, per_call: int) -> Iterator[Call]:
    """Yields the calls for the steps from `first` to before `last`.

    Each epoch is cut at multiples of `per_call` from its beginning, so that a run that
    continues takes the calls of one that was not stopped. A short last batch has a call
    of its own.
    """
    whole = order.whole_batches
    while first < last:
        place = first % order.steps_per_epoch
        end = min(place - place % per_call + per_call, whole)
        steps = min(max(end - place, 1), last - first)
        yield Call(first, steps)
        first += steps


def several(step: Callable, steps: int, params: PyTree) -> Callable:
    """Returns a per-device step, (state, data, share) -> state, that takes several.

    Args:
      step: Takes one.
      steps: How many. The inputs of a streamed share are then [b, steps, ...].
      params: Of the network, or their shapes.
    """
    if steps == 1:
        return step
    # XLA's CPU backend runs gradients of convolutions many times slower in a loop.
    unroll = jax.default_backend() == "cpu" and _convolves(params)

    def take(state: TrainState, data: TrainData, share: Share) -> TrainState:
        def one(state, inputs):
            return step(state, data, share._replace(inputs=inputs)), None

        inputs = share.inputs
        if inputs is not None:
            inputs = jnp.moveaxis(inputs, 1, 0)
        return lax.scan(one, state, inputs, length=steps, unroll=unroll)[0]

    return take


def stacked(
    batches: Iterator[np.ndarray], plan: Iterable[Call]
) -> Iterator[np.ndarray]:
    """Yields the batches of each call: one as it is, several as [b, steps, ...]."""
    for call in plan:
        found = [next(batches) for _ in range(call.steps)]
        yield found[0] if call.steps == 1 else np.stack(found, axis=1)


def _convolves(params: PyTree) -> bool:
    return any(leaf.ndim > 2 for leaf in jax.tree.leaves(params))
