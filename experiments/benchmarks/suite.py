"""What every suite of the benchmark makes: sides timed in turns, and their table."""

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from experiments import markdown, timing

# Side to a function that does the work once. The first is ours.
Sides = Mapping[str, Callable[[], Any]]


class Options(NamedTuple):
    """What a person can choose.

    Attributes:
      rounds: In which every side runs once.
      quick: Only what fits a minute.
      threads: Of PyTorch.
    """

    rounds: int
    quick: bool
    threads: int


class Comparison(NamedTuple):
    """Sides that did the same work.

    Attributes:
      item: The work.
      amount: How much of it each time.
      unit: Of the amount, such as "images".
      sides: What each took; the first is ours.
    """

    item: str
    amount: float
    unit: str
    sides: dict[str, timing.Timing]

    def ratio(self, side: str) -> float:
        """How many times ours does what another side does; over 1, ours is faster."""
        return self.sides[side].median / next(iter(self.sides.values())).median

    def content(self) -> dict[str, Any]:
        """Returns all figures, for a file."""
        sides = {
            name: {
                "milliseconds": 1e3 * took.median,
                "spread_milliseconds": 1e3 * took.spread,
                "best_milliseconds": 1e3 * took.best,
                "per_second": self.amount / took.median,
                "ratio": self.ratio(name),
            }
            for name, took in self.sides.items()
        }
        return {"item": self.item, "unit": self.unit, "sides": sides}


def compare(
    item: str, sides: Sides, options: Options, *, amount: float, unit: str
) -> Comparison:
    """Times the sides in turns, and says so on the standard error."""
    print(f"  {item}: {', '.join(sides)}", file=sys.stderr)
    times = timing.in_turns(sides, rounds=options.rounds)
    return Comparison(item, amount, unit, times)


def table(comparisons: Sequence[Comparison]) -> str:
    """Returns the comparisons as Markdown; each says its work and unit once."""
    rows = []
    for comparison in comparisons:
        work = f"{comparison.item} ({comparison.unit})"
        for name, took in comparison.sides.items():
            figures = (
                1e3 * took.median,
                1e3 * took.spread,
                comparison.amount / took.median,
            )
            ratio = f"{comparison.ratio(name):.2f}"
            rows.append([work, name, *map(_figure, figures), ratio])
            work = ""
    head = ["work (unit)", "side", "ms", "±", "per second", "its time / ours"]
    return markdown.table(head, rows)


def _figure(value: float) -> str:
    """Three digits, or all before the point."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
