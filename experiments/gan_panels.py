"""Trains the GANs of figure 5, several programs at a time, and keeps what they draw.

NAME.npz             what the members of a finished program drew
NAME_unfinished.npz  the same of one that goes on, and the state to continue from
"""

import dataclasses
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from experiments.gan_config import GanConfig, Member
from mixup_jax.data import array_cache
from mixup_jax.errors import RunError
from mixup_jax.runs.interrupt import Interrupted, StopRequest, stop_requests
from mixup_jax.runs.progress import duration
from mixup_jax.training.gan import GanState
from mixup_jax.training.gan_population import initial_state, snapshot, train

POINTS = 1000  # in each snapshot, as in the figure
_SECONDS_BETWEEN_SAVES = 30.0

# What each GAN drew.
Panels = Mapping[Member, Float[np.ndarray, "stops points 2"]]


def run(config: GanConfig, directory: Path, *, workers: int) -> Panels:
    """Trains what is not finished, and returns what all members drew.

    Args:
      config: Valid.
      directory: Of the files; made if it is not there.
      workers: Programs at a time.

    Raises:
      Interrupted: On Ctrl-C or SIGTERM, with everything saved.
      RunError: If a file cannot be written.
    """
    directory.mkdir(exist_ok=True)
    pieces = config.pieces()
    members = [member for piece in pieces.values() for member in piece]
    progress = Progress(len(members), config.iterations)
    with stop_requests() as stop, ThreadPoolExecutor(workers) as pool:
        job = _Job(config, directory, stop, progress)
        drawn = [pool.submit(job.run, *piece) for piece in pieces.items()]
        try:
            wait(drawn, return_when=FIRST_EXCEPTION)
            samples = [piece.result() for piece in drawn if piece.done()]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
        finally:
            job.given_up.set()
        if stop.signum is not None:
            raise Interrupted(stop.signum, progress.done)
    return dict(zip(members, np.concatenate(samples), strict=True))


@dataclasses.dataclass(frozen=True)
class _Job:
    config: GanConfig
    directory: Path
    stop: StopRequest
    progress: "Progress"
    # Threads that meet a program first would each compile it.
    compiling: Any = dataclasses.field(default_factory=threading.Lock)
    given_up: threading.Event = dataclasses.field(default_factory=threading.Event)

    @property
    def stopping(self) -> bool:
        return self.stop.signum is not None or self.given_up.is_set()

    def run(self, name: str, members: list[Member]) -> np.ndarray:
        """Returns what a piece drew; not all of it if the run is to stop."""
        kept = array_cache.read(self.directory / f"{name}.npz", name, ["samples"])
        if kept is not None:
            self.progress.skip(len(members) * self.config.iterations)
            return kept[0]
        if self.stopping:
            return np.empty(0)
        try:
            return self._train(name, members)
        except BaseException:
            self.given_up.set()  # the other pieces save and end
            raise

    def _train(self, name: str, members: list[Member]) -> np.ndarray:
        unfinished = self.directory / f"{name}_unfinished.npz"
        root = jax.vmap(jax.random.key)(np.array([m.seed for m in members]))
        recipe, stops = self.config.recipe(members[0].data), self.config.stops
        state, samples = _begin(initial_state(recipe, root), unfinished, len(stops))
        before, saved = int(state.step), time.monotonic()
        self.progress.skip(len(members) * before)
        alpha = np.array([m.alpha for m in members], np.float32)
        states = train(recipe, state, root, alpha=alpha, stops=stops)
        for state in _first_alone(states, self.compiling):
            step, now = int(state.step), time.monotonic()
            self.progress.add(len(members) * (step - before))
            before = step
            if step in stops:
                points = snapshot(recipe, state, root, count=POINTS)
                samples[:, stops.index(step)] = points
            stopping = self.stopping
            if stopping or step in stops or now - saved > _SECONDS_BETWEEN_SAVES:
                _save(unfinished, samples, state)
                saved = now
            if stopping:
                return samples
        _save(self.directory / f"{name}.npz", samples)
        unfinished.unlink(missing_ok=True)
        return samples


def _begin(
    fresh: GanState, path: Path, stops: int
) -> tuple[GanState, Float[np.ndarray, "M stops points 2"]]:
    """Returns the state and the samples that were saved, or those of a beginning."""
    leaves, tree = jax.tree.flatten(fresh)
    names = [f"leaf{place}" for place in range(len(leaves))]
    kept = array_cache.read(path, path.stem, ["samples", *names])
    if kept is not None:
        return tree.unflatten(map(jnp.array, kept[1:])), kept[0]
    members = len(jax.tree.leaves(fresh.generator)[0])
    return fresh, np.full((members, stops, POINTS, 2), np.nan, np.float32)


def _save(path: Path, samples: np.ndarray, state: GanState | None = None) -> None:
    leaves = {
        f"leaf{place}": np.asarray(leaf)
        for place, leaf in enumerate(jax.tree.leaves(state))
    }
    try:
        array_cache.write(path, path.stem, {"samples": samples, **leaves})
    except OSError as error:
        raise RunError(f"cannot write {path}: {error.strerror}") from error


def _first_alone(states: Iterator[GanState], lock: Any) -> Iterator[GanState]:
    with lock:
        first = next(states, None)
    if first is not None:
        yield first
        yield from states


class Progress:
    """Iterations of all GANs: a line that is renewed on a terminal, ten elsewhere.

    Threads may call it.
    """

    def __init__(
        self,
        members: int,
        iterations: int,
        *,
        out: Any = None,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._members, self._total = members, members * iterations
        self._out, self._clock = out or sys.stderr, clock
        self._lock = threading.Lock()
        self.done = self._timed = 0
        self._begin: float | None = None
        self._line = 0.0

    def skip(self, count: int) -> None:
        """Counts iterations that an earlier start made."""
        with self._lock:
            self.done += count

    def add(self, count: int) -> None:
        """Counts iterations; the first ones only start the clock: they compile."""
        with self._lock:
            now, tenth = self._clock(), self.done * 10 // self._total
            self.done += count
            if self._begin is None:
                self._begin = self._line = now
                return
            self._timed += count
            live = self._out.isatty()
            if live and now - self._line < 0.5 and self.done < self._total:
                return
            if live or self.done * 10 // self._total > tenth:
                self._line = now
                self._show(now - self._begin, live)

    def _show(self, seconds: float, live: bool) -> None:
        rate = self._timed / max(seconds, 1e-9)
        left = duration((self._total - self.done) / rate)
        text = (
            f"{self._members} GANs  iteration {self.done:,}/{self._total:,} of all  "
            f"{rate:,.0f}/s  {left} left"
        )
        end = "\n" if not live or self.done == self._total else ""
        self._out.write(f"\r{text}\033[K{end}" if live else f"{text}{end}")
        self._out.flush()
