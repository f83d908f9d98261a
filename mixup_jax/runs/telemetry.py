"""How an epoch went: time, waiting for input, memory; and a trace of some steps."""

import time
from collections.abc import Callable
from pathlib import Path

import jax

from mixup_jax import hosts
from mixup_jax.runs.directory import Row
from mixup_jax.training.loop import Meter
from mixup_jax.training.placement import Placement

# The first calls compile, and move data for the first time.
_FIRST_TRACED = 3


class Telemetry:
    """Measures of one epoch after the other, for its row in metrics.jsonl.

    Args:
      meter: That the loop over steps counts its waiting with.
      placement: Of the run.
    """

    def __init__(
        self,
        meter: Meter,
        placement: Placement,
        *,
        clock: Callable[[], float] = time.perf_counter,
    ):
        self._meter, self._placement, self._clock = meter, placement, clock
        self.begin()

    def begin(self) -> None:
        """Starts an epoch; what comes before, such as evaluation, is not counted."""
        self._begin, self._steps, self._meter.waited = self._clock(), 0, 0.0

    def step(self, steps: int = 1) -> None:
        """Counts a step, or those of a call."""
        self._steps += steps

    def row(self) -> Row:
        """Returns the measures of the epoch, whose last step is to be done.

        seconds_per_step: Of wall time; in the first epoch with compiling.
        input_wait: Share of it in which the loop waited for images of the host.
        input_wait_of_hosts: Of each host, where there are several.
        device_memory_gb: Greatest so far of a device of this process, where known.
        """
        seconds = max(self._clock() - self._begin, 1e-9)
        wait = self._meter.waited / seconds
        row: Row = {
            "seconds_per_step": round(seconds / max(self._steps, 1), 6),
            "input_wait": round(wait, 4),
        }
        if hosts.count() > 1:
            row["input_wait_of_hosts"] = [round(x, 4) for x in hosts.gather(wait)]
        if (peak := self._placement.peak_bytes()) is not None:
            row["device_memory_gb"] = round(peak / 1e9, 3)
        return row


class Trace:
    """Traces some steps of a run into files that TensorBoard and Perfetto open.

    Args:
      path: Directory of the trace.
      steps: At least how many, after the first few calls; 0 for none.
    """

    def __init__(self, path: Path, steps: int):
        self._path, self._left, self._calls = path, steps, 0

    def step(self, steps: int = 1) -> None:
        """To be called after every step, or every call of several."""
        self._calls += 1
        if self._left <= 0:
            return
        if self._calls == _FIRST_TRACED:
            jax.profiler.start_trace(str(self._path))
        elif self._calls > _FIRST_TRACED:
            self._left -= steps
            if self._left <= 0:
                jax.profiler.stop_trace()

    def close(self) -> None:
        """Ends a trace that is under way."""
        if self._left > 0 and self._calls >= _FIRST_TRACED:
            jax.profiler.stop_trace()
            self._left = 0
