import dataclasses
import math

import pytest

from experiments import tables
from experiments.tables import Description, cells, verdict_of
from mixup_jax.runs.records import Record
from mixup_jax.runs.statistics import Interval, PairedDifference

TABLE = Description(
    name="cifar",
    title="A table",
    measures={"error": "test error", "best": "best error"},
    paper={"erm": {"error": 5.6}, "mixup": {"error": 4.2}, "other": {"error": 9.0}},
    baseline=lambda row: "erm" if row == "mixup" else None,
    small_is="everything",
)


def records(row, values, measure="error", scale="small"):
    return [
        Record("cifar", row, measure, seed, value, "digits", scale)
        for seed, value in values.items()
    ]


def found(rows, *measured):
    cell_list = cells(TABLE, rows, [r for each in measured for r in each])
    return {(cell.row, cell.measure): cell for cell in cell_list}


def test_numbers_are_in_per_cent_with_their_interval_and_difference_by_seed():
    got = found(
        ["erm", "mixup"],
        records("erm", {0: 0.10, 1: 0.20, 2: 0.30}),
        records("mixup", {2: 0.27, 1: 0.18, 0: 0.09}),
    )
    mixup = got["mixup", "error"]
    assert mixup.ours.mean == pytest.approx(18)
    # Differences 1, 2 and 3: mean 2, t(0.975; 2) / sqrt(3) = 2.4841.
    assert mixup.difference.mean == pytest.approx(-2)
    assert mixup.difference.half_width == pytest.approx(2.4841, abs=1e-4)
    assert mixup.paper_difference == pytest.approx(-1.4)
    assert mixup.verdict == "no clear difference"
    assert (mixup.seeds, mixup.data, mixup.scale) == (3, "digits", "small")
    assert got["erm", "error"].verdict == "baseline"


def test_seeds_that_only_one_has_are_not_compared():
    got = found(
        ["erm", "mixup"],
        records("erm", {0: 0.10, 1: 0.20, 7: 0.9}),
        records("mixup", {0: 0.05, 1: 0.16, 8: 0.0}),
    )
    assert got["mixup", "error"].difference.mean == pytest.approx(-4.5)


def test_what_was_not_run_stands_there_as_that():
    got = found(["erm", "other"])
    assert got["other", "error"].verdict == "not run"
    assert ("other", "best") not in got  # neither the paper nor we have it


OURS, ONE = Interval(4.5, 0.2), Interval(4.5, math.nan)
LOWER, HIGHER = (PairedDifference(x, 0.2, 0.01) for x in (-1.0, 1.0))
NOISE = PairedDifference(-0.1, 0.2, 0.5)


@pytest.mark.parametrize(
    ("arguments", "verdict"),
    [
        (("paper", 4.2, None, None, None), "not run"),
        (("paper", 4.2, ONE, None, None), "one seed"),
        (("paper", 4.74, OURS, LOWER, -1.0), "agrees"),
        (("paper", 4.76, OURS, LOWER, -1.0), "differs"),
        (("paper", 4.26, OURS, LOWER, -1.0), "agrees"),
        (("small", 4.2, OURS, LOWER, -1.0), "same direction"),
        (("small", 4.2, OURS, HIGHER, 1.0), "same direction"),
        (("small", 4.2, OURS, HIGHER, -1.0), "opposite direction"),
        (("small", 4.2, OURS, NOISE, -1.0), "no clear difference"),
        (("small", None, OURS, LOWER, None), ""),
    ],
)
def test_the_verdict_compares_numbers_or_directions(arguments, verdict):
    assert verdict_of(*arguments, is_baseline=False) == verdict


def test_a_line_says_all_of_it():
    measured = (
        records("erm", {0: 0.10, 1: 0.21}),
        records("mixup", {0: 0.05, 1: 0.16}),
    )
    text = tables.of_records(TABLE, [r for each in measured for r in each])
    line = next(line for line in text.splitlines() if "mixup" in line)
    cell = [part.strip() for part in line.split("|")[1:-1]]
    assert cell[:5] == ["mixup", "test error", "4.2", "10.50 ± 69.88", "2"]
    assert cell[5] == "-5.00 ± 0.00 (paper -1.40)"
    assert cell[7] == "same direction"
    assert "Data: digits" in text


def test_measures_that_are_no_shares_are_shown_as_measured():
    table = dataclasses.replace(TABLE, factors={"error": 1})
    cell = cells(table, ["erm"], records("erm", {0: 0.1, 1: 0.2}))[0]
    assert cell.ours.mean == pytest.approx(0.15)
    assert tables.as_text(table, cell)[3].startswith("0.150 ± ")


def test_clear_differences_are_counted_by_their_sign():
    p = [(0.01, -1.0), (0.04, -1.0), (0.03, 2.0), (0.5, 3.0)]
    cell = found(["erm"])["erm", "error"]
    text = tables.in_all(
        [cell._replace(difference=PairedDifference(m, 0.1, p)) for p, m in p]
    )
    assert text.startswith(
        "Of 4 differences to the baseline, ours is lower in 2 and higher in 1 at p < "
        "0.05; lower in 1 and higher in 0 at p < 0.013,"
    )
    assert tables.in_all([cell]) == ""
