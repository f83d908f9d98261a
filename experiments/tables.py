"""From records to a table: our means and intervals, the paper's numbers, a verdict."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from experiments import markdown
from mixup_jax.runs.records import Record
from mixup_jax.runs.statistics import (
    Interval,
    PairedDifference,
    mean_interval,
    paired_difference,
)

# Half of the last digit that the paper prints.
_ROUNDING = 0.05
_LEVEL = 0.05  # of a clear difference


@dataclasses.dataclass(frozen=True, kw_only=True)
class Description:
    """What a table or figure of the paper is, and how it is compared.

    Attributes:
      name: Of the module of `experiments` that makes it.
      title: Of the table or figure.
      measures: What is compared: names in records to titles of columns.
      paper: The paper's numbers as the table has them, by row and measure.
      baseline: Row that a row is compared with; None for a baseline itself.
      small_is: What is other at the small scale, in a sentence.
      factors: From records to the table, of measures that are no shares; shares are in
        per cent.
      note: What a reader must know to compare, in a sentence or none.
      headline: Rows and measures that say most, for a summary.
    """

    name: str
    title: str
    measures: Mapping[str, str]
    paper: Mapping[str, Mapping[str, float]]
    baseline: Callable[[str], str | None]
    small_is: str
    factors: Mapping[str, float] = dataclasses.field(default_factory=dict)
    note: str = ""
    headline: Sequence[tuple[str, str]] = ()


class Cell(NamedTuple):
    """One number of a table: a share in per cent, or else as measured.

    Attributes:
      row: Its line.
      measure: What was measured.
      paper: The paper's number; None where it has none.
      ours: Mean and 95 % interval over seeds; the half-width is NaN with one seed. None
        where nothing was run.
      seeds: How many.
      difference: To the baseline, by seed; None for the baseline, or with one seed.
      paper_difference: The paper's.
      verdict: Of the comparison, see `verdict_of`.
      data: Title of the data set.
      scale: "paper" or "small".
    """

    row: str
    measure: str
    paper: float | None
    ours: Interval | None
    seeds: int
    difference: PairedDifference | None
    paper_difference: float | None
    verdict: str
    data: str
    scale: str


def cells(
    described: Description, rows: Sequence[str], records: Sequence[Record]
) -> list[Cell]:
    """Returns every number of a table, those that are missing too."""
    by_seed: dict[tuple[str, str], dict[int, float]] = {}
    for record in records:
        values = by_seed.setdefault((record.row, record.measure), {})
        factor = described.factors.get(record.measure, 100)
        values[record.seed] = factor * record.value
    where = {record.row: (record.data, record.scale) for record in records}
    found = []
    for row in rows:
        for measure in described.measures:
            paper = described.paper.get(row, {}).get(measure)
            values = by_seed.get((row, measure), {})
            if paper is None and not values:
                continue
            base = described.baseline(row)
            found.append(
                _cell(
                    *(row, measure, paper, values),
                    by_seed.get((base, measure), {}) if base else None,
                    described.paper.get(base, {}).get(measure) if base else None,
                    *where.get(row, ("", "")),
                )
            )
    return found


def _cell(
    row: str,
    measure: str,
    paper: float | None,
    values: dict[int, float],
    base: dict[int, float] | None,
    paper_base: float | None,
    data: str,
    scale: str,
) -> Cell:
    ours = difference = None
    if values:
        numbers = list(values.values())
        ours = (
            mean_interval(numbers)
            if len(numbers) > 1
            else Interval(numbers[0], float("nan"))
        )
    common = sorted(values.keys() & base.keys()) if base else []
    if base and len(common) > 1:
        difference = paired_difference(
            [values[seed] for seed in common], [base[seed] for seed in common]
        )
    gap = None if paper is None or paper_base is None else paper - paper_base
    verdict = verdict_of(scale, paper, ours, difference, gap, is_baseline=base is None)
    return Cell(
        *(row, measure, paper, ours, len(values)),
        *(difference, gap, verdict, data, scale),
    )


def verdict_of(
    scale: str,
    paper: float | None,
    ours: Interval | None,
    difference: PairedDifference | None,
    paper_difference: float | None,
    *,
    is_baseline: bool,
) -> str:
    """Returns what the comparison with the paper says.

    At the paper's scale numbers are compared: "agrees" if the paper's lies within our
    interval, give or take what it was rounded by, else "differs". At the small scale,
    where data and networks are others, only the sign of the difference to the baseline
    is: "same direction", "opposite direction", or "no clear difference" where the
    interval of ours holds 0. "not run" and "one seed" are no comparison.
    """
    if ours is None:
        return "not run"
    if np.isnan(ours.half_width):
        return "one seed"
    if scale == "paper" and paper is not None:
        within = abs(ours.mean - paper) <= ours.half_width + _ROUNDING
        return "agrees" if within else "differs"
    if is_baseline:
        return "baseline"
    if difference is None or paper_difference is None:
        return ""
    if abs(difference.mean) <= difference.half_width:
        return "no clear difference"
    same = difference.mean * paper_difference > 0
    return "same direction" if same else "opposite direction"


def in_all(cells: Sequence[Cell]) -> str:
    """Says how many differences to baselines are clear; empty for fewer than two."""
    gaps = [cell.difference for cell in cells if cell.difference is not None]
    if len(gaps) < 2:
        return ""
    found = []
    for limit in (_LEVEL, _LEVEL / len(gaps)):
        lower = sum(gap.p_value < limit and gap.mean < 0 for gap in gaps)
        higher = sum(gap.p_value < limit and gap.mean > 0 for gap in gaps)
        found.append(f"lower in {lower} and higher in {higher} at p < {limit:.2g}")
    return (
        f"Of {len(gaps)} differences to the baseline, ours is {found[0]}; {found[1]}, "
        "which allows for so many comparisons."
    )


HEAD = ("row", "measure", "paper", "ours", "seeds", "to its baseline", "p", "verdict")


def as_text(described: Description, cell: Cell) -> list[str]:
    """Returns a line of the table in the order of `HEAD`."""
    ours, difference = "", ["", ""]
    digits = 3 if cell.measure in described.factors else 2
    if cell.ours is not None:
        ours = f"{cell.ours.mean:.{digits}f}"
        if not np.isnan(cell.ours.half_width):
            ours += f" ± {cell.ours.half_width:.{digits}f}"
    if cell.difference is not None:
        gap = cell.difference
        difference = [
            f"{gap.mean:+.{digits}f} ± {gap.half_width:.{digits}f}",
            f"{gap.p_value:.2g}",
        ]
        if cell.paper_difference is not None:
            difference[0] += f" (paper {cell.paper_difference:+.{digits}f})"
    return [
        cell.row,
        described.measures[cell.measure],
        "" if cell.paper is None else f"{cell.paper:g}",
        ours,
        str(cell.seeds or ""),
        *difference,
        cell.verdict,
    ]


def of_records(described: Description, records: Sequence[Record]) -> str:
    """Returns the table of what was measured, as Markdown."""
    rows = list(dict.fromkeys(record.row for record in records))
    found = cells(described, rows, records)
    data = sorted({cell.data for cell in found if cell.data})
    parts = [
        markdown.table(HEAD, [as_text(described, cell) for cell in found]),
        f"Shares in per cent, mean ± 95 % interval over seeds. Data: {'; '.join(data)}",
        described.note,
        in_all(found),
    ]
    return "\n\n".join(filter(None, parts))
