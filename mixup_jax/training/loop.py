"""The loop over steps: no files, no flags, no printing; those live with the caller."""

import functools
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import jax
import numpy as np

from mixup_jax.evaluation.classification import Sums, add
from mixup_jax.training.calls import Call, calls, several, stacked
from mixup_jax.training.order import Order
from mixup_jax.training.placement import Placement
from mixup_jax.training.state import TrainState
from mixup_jax.training.step_data import EvalData, Share, TrainData
from mixup_jax.types import Request

# Gives each request's inputs, in order; closing it ends its work.
Stream = Callable[[Iterable[Request]], Iterator[np.ndarray]]


class Meter:
    """Counts the seconds that a loop waits for what a host makes."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter):
        self.waited = 0.0
        self._clock = clock

    def timed(self, items: Iterator[Any]) -> Iterator[Any]:
        """Passes items on, and counts how long each was waited for."""
        while True:
            begin = self._clock()
            item = next(items, None)
            self.waited += self._clock() - begin
            if item is None:
                return
            yield item


def train_steps(
    step: Callable,
    state: TrainState,
    data: TrainData,
    placement: Placement,
    *,
    order: Order,
    epochs: int,
    stream: Stream | None = None,
    meter: Meter | None = None,
    steps_per_call: int = 1,
) -> Iterator[tuple[int, TrainState]]:
    """Trains from wherever `state` stands to the end.

    Yields the steps taken so far and the state, after every step or call of several.

    Args:
      step: Per-device training step, (state, data, share) -> state.
      state: Replicated; it and every yielded state are donated to the next step, so
        read what you need before asking for the next.
      data: Replicated; its `order` is replaced at the start of each epoch.
      placement: Devices.
      order: Of the examples.
      epochs: In all, those already behind `state` included.
      stream: Where inputs come from that are not in `data`.
      meter: Counts how long they were waited for.
      steps_per_call: That a compiled call takes at most; see `calls`.
    """

    @functools.cache
    def program(steps: int) -> Callable:
        taken = several(step, steps, state.params)
        return placement.parallelise(taken, donate_state=True)

    start, end = int(state.step), epochs * order.steps_per_epoch
    plan = functools.partial(calls, order, start, end, steps_per_call)
    if stream is None:
        shares = _shares(placement, order, plan())
    else:
        requests = order.requests(
            start, end, host=placement.host, hosts=placement.hosts
        )
        batches = (meter or Meter()).timed(stream(requests))
        shares = _streamed_shares(placement, stacked(batches, plan()))
    for count, (call, share) in enumerate(zip(plan(), shares, strict=True)):
        epoch, place = divmod(call.first, order.steps_per_epoch)
        if place == 0 or count == 0:
            data = data._replace(order=placement.replicate(order.epoch(epoch)))
        state = program(call.steps)(state, data, share)
        if placement.must_wait(count):
            jax.block_until_ready(state.step)
        yield call.first + call.steps, state


def _shares(
    placement: Placement, order: Order, plan: Iterable[Call]
) -> Iterator[Share]:
    whole = Share(placement.positions(min(order.batch_size, order.examples)))
    rest = order.size(order.steps_per_epoch - 1)
    last = whole if rest == order.batch_size else Share(placement.positions(rest))
    for call in plan:
        yield whole if order.size(call.first) == order.batch_size else last


def _streamed_shares(
    placement: Placement, batches: Iterator[np.ndarray]
) -> Iterator[Share]:
    """One batch is on its way to the devices while they work on the one before."""
    waiting = None
    for batch in batches:
        positions = placement.positions(len(batch) * placement.hosts)
        arriving = Share(positions, placement.split(batch))
        if waiting is not None:
            yield waiting
        waiting = arriving
    if waiting is not None:
        yield waiting


class Evaluator:
    """Counts errors of a network on one set, compiled once.

    Args:
      step: Per-device evaluation step, (variables, data, share) -> sums.
      data: Replicated; its `start` is set here.
      placement: Devices.
      batch_size: Global; rounded up to a multiple of the devices.
      stream: Where inputs come from that are not in `data`.
    """

    def __init__(
        self,
        step: Callable,
        data: EvalData,
        placement: Placement,
        *,
        batch_size: int,
        stream: Stream | None = None,
    ):
        devices = len(placement.devices)
        size = min(batch_size, data.labels.shape[0])
        self._size = -(-size // devices) * devices
        self._run = placement.parallelise(step)
        self._data, self._placement, self._stream = data, placement, stream

    def __call__(self, variables: dict) -> Sums:
        """Returns the sums over the whole set, every example counted once."""
        total = None
        starts = range(0, self._data.labels.shape[0], self._size)
        for start, share in zip(starts, self._shares(starts), strict=True):
            place = self._placement.replicate(np.int32(start))
            data = self._data._replace(start=place)
            total = add(total, self._run(variables, data, share))
        assert total is not None
        return total

    def _shares(self, starts: range) -> Iterator[Share]:
        if self._stream is not None:
            requests = map(self._request, starts)
            yield from _streamed_shares(self._placement, self._stream(requests))
            return
        share = Share(self._placement.positions(self._size))
        for _ in starts:
            yield share

    def _request(self, start: int) -> Request:
        places = np.int32(start) + self._placement.own(self._size)
        # As the step does with positions past the end.
        return Request(0, np.minimum(places, self._data.labels.shape[0] - 1))
