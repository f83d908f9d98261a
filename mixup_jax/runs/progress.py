"""What a person sees while a run is under way."""

import sys
import time
from collections.abc import Callable
from typing import Any

from mixup_jax.training.state import TrainState

_SECONDS_BETWEEN_LINES = 0.5
_LASTING_LINES = 10


class Progress:
    """A line that is overwritten on a terminal; a line for some epochs elsewhere.

    `out` is a text stream, by default the standard error.
    """

    def __init__(
        self,
        name: str,
        *,
        epochs: int,
        steps_per_epoch: int,
        first_step: int,
        out: Any = None,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._name, self._epochs = name, epochs
        self._steps, self._first = steps_per_epoch, first_step
        self._out = out or sys.stderr
        self._live = self._out.isatty()
        self._clock = clock
        # Set after the first step, whose time is that of compilation.
        self._begin: float | None = None
        self._last_line = 0.0
        self._examples = 0

    def step(self, step: int, examples: int, state: TrainState) -> None:
        """Counts a step; on a terminal, renews the line twice a second."""
        now = self._clock()
        if self._begin is None:
            self._begin, self._first = now, step
            return
        self._examples += examples
        if self._live and now - self._last_line >= _SECONDS_BETWEEN_LINES:
            self._last_line = now
            loss = float(state.loss_sum) / max(int(state.seen), 1)
            self._out.write(f"\r{self._line(step, loss)}\033[K")
            self._out.flush()

    def epoch(self, step: int, text: str) -> None:
        """Shows an epoch's measures; about ten of them stay to be read."""
        epoch = step // self._steps
        lasting = epoch % -(-self._epochs // _LASTING_LINES) == 0
        lasting |= epoch == self._epochs
        if not (self._live or lasting):
            return
        line = f"{self._line(step, None)}  {text}"
        line = f"\r{line}\033[K" if self._live else line
        self._out.write(line + ("\n" if lasting else ""))
        self._out.flush()

    def rate(self) -> float:
        """Examples per second since the first step, evaluation included."""
        if self._begin is None:
            return 0.0
        return round(self._examples / max(self._clock() - self._begin, 1e-9), 1)

    def _line(self, step: int, loss: float | None) -> str:
        epoch = -(-step // self._steps)
        parts = [
            f"{self._name}  epoch {epoch}/{self._epochs}",
            f"step {step}/{self._epochs * self._steps}",
        ]
        if loss is not None:
            parts.append(f"loss {loss:.3f}")
        if self._begin is not None and step > self._first:
            seconds = (self._clock() - self._begin) / (step - self._first)
            left = seconds * (self._epochs * self._steps - step)
            parts += [f"{self.rate():,.0f} examples/s", f"{duration(left)} left"]
        return "  ".join(parts)


class EpochLine:
    """Epochs of many runs at once: a line that is overwritten on a terminal, which
    stays at the end, and only its end elsewhere.
    """

    def __init__(
        self,
        title: str,
        *,
        out: Any = None,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._title, self._out, self._clock = title, out or sys.stderr, clock
        self._begin = clock()

    def __call__(self, done: int, total: int) -> None:
        """Says how many epochs are done, and how long the others will take."""
        live = self._out.isatty()
        if not live and done < total:
            return
        seconds = self._clock() - self._begin
        time_said = (
            f"{duration(seconds / done * (total - done))} left"
            if done < total
            else f"in {duration(seconds)}"
        )
        line = f"{self._title}  epoch {done}/{total}  {time_said}"
        line = f"\r{line}\033[K" if live else line
        self._out.write(line + ("\n" if done == total else ""))
        self._out.flush()


def duration(seconds: float) -> str:
    """Returns 12 s, 3 min 05 s or 2 h 07 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
