"""Timing of several sides in one process, in turns, so that all meet the same load."""

import statistics
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax

# Threads of PyTorch's that have nothing to do turn in circles for a while, at the cost
# of whoever has the next turn.
_PAUSE = 0.2  # seconds, but no longer than the turn was


class Timing(NamedTuple):
    """Seconds of one side over the rounds.

    Attributes:
      median: Of the rounds.
      spread: Half the distance between the quartiles.
      best: The quickest round.
    """

    median: float
    spread: float
    best: float


def in_turns(
    sides: Mapping[str, Callable], *, rounds: int, least: float = 0.02
) -> dict[str, Timing]:
    """Runs every side once per round, in alternating order, and times each.

    Args:
      sides: Functions without arguments; what they return is waited for. The first
        two calls of each, which compile and ask for memory, are not counted.
      rounds: At least 2.
      least: Seconds of a turn; in which what is shorter is called several times.
    """
    calls = {}
    for name, run in sides.items():
        jax.block_until_ready(run())
        calls[name] = max(1, min(1000, int(least / _seconds(run, 1))))
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(rounds):
        names = list(sides) if turn % 2 else list(sides)[::-1]
        for name in names:
            took = _seconds(sides[name], calls[name])
            seconds[name].append(took / calls[name])
            time.sleep(min(took, _PAUSE))
    return {name: _timing(values) for name, values in seconds.items()}


def _seconds(run: Callable, calls: int) -> float:
    start = time.perf_counter()
    for _ in range(calls):
        jax.block_until_ready(run())
    return time.perf_counter() - start


def _timing(seconds: list[float]) -> Timing:
    low, middle, high = statistics.quantiles(seconds, n=4)
    return Timing(middle, (high - low) / 2, min(seconds))
