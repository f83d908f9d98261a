"""The loop over steps: no files, no flags, no printing; those live with the caller."""

from collections.abc import Callable, Iterator

import jax
import numpy as np
from jaxtyping import Array, Int

from mixup_jax.evaluation.classification import Sums, add
from mixup_jax.randomness import Purpose, purpose_key
from mixup_jax.training.placement import Placement
from mixup_jax.training.state import TrainState
from mixup_jax.training.step_data import EvalData, TrainData


def train_steps(
    step: Callable,
    state: TrainState,
    data: TrainData,
    placement: Placement,
    *,
    batch_size: int,
    steps_per_epoch: int,
    epochs: int,
) -> Iterator[TrainState]:
    """Trains from wherever `state` stands to the end, yielding after every step.

    Args:
      step: Per-device training step, (state, data, positions) -> state.
      state: Replicated; it and every yielded state are donated to the next step, so
        read what you need before asking for the next.
      data: Replicated; its `order` is replaced at the start of each epoch.
      placement: Devices.
      batch_size: Global.
      steps_per_epoch: The last of them may be short.
      epochs: In all, those already behind `state` included.
    """
    run = placement.parallelise(step, donate_state=True)
    examples = data.labels.shape[0]
    rest = examples - batch_size * (steps_per_epoch - 1)
    whole = placement.positions(min(batch_size, examples))
    last = whole if rest >= batch_size else placement.positions(rest)
    start = int(state.step)
    for count in range(start, epochs * steps_per_epoch):
        epoch, place = divmod(count, steps_per_epoch)
        if place == 0 or count == start:
            order = epoch_order(data.root, examples, epoch)
            data = data._replace(order=placement.replicate(order))
        state = run(state, data, last if place == steps_per_epoch - 1 else whole)
        if placement.must_wait(count):
            jax.block_until_ready(state.step)
        yield state


def epoch_order(root: Array, examples: int, epoch: int) -> Int[np.ndarray, " N"]:
    """Returns the order of the training set in one epoch."""
    key = purpose_key(root, Purpose.ORDER, epoch)
    return np.asarray(jax.random.permutation(key, examples), np.int32)


class Evaluator:
    """Counts errors of a network on one set, compiled once.

    Args:
      step: Per-device evaluation step, (variables, data, positions) -> sums.
      data: Replicated; its `start` is set here.
      placement: Devices.
      batch_size: Global; rounded up to a multiple of the devices.
    """

    def __init__(
        self, step: Callable, data: EvalData, placement: Placement, *, batch_size: int
    ):
        devices = len(placement.devices)
        size = min(batch_size, data.labels.shape[0])
        self._size = -(-size // devices) * devices
        self._run = placement.parallelise(step)
        self._positions = placement.positions(self._size)
        self._data, self._placement = data, placement

    def __call__(self, variables: dict) -> Sums:
        """Returns the sums over the whole set, every example counted once."""
        total = None
        for start in range(0, self._data.labels.shape[0], self._size):
            place = self._placement.replicate(np.int32(start))
            data = self._data._replace(start=place)
            total = add(total, self._run(variables, data, self._positions))
        assert total is not None
        return total
