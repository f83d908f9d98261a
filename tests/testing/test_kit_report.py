"""The report: text, failures, and what it raises."""

import pytest

from mixup_jax.testing import Finding, Report

GOOD = Finding("weights", "holds", "sums are 1")
OTHER = Finding("pairing", "differs", "rolled")
BAD = Finding("lambda law", "fails", "too " + "long " * 40)


def test_the_table_has_a_line_per_check_and_wraps_long_details():
    lines = Report("a mix", (GOOD, BAD)).table().splitlines()
    assert lines[0] == "a mix"
    assert lines[1] == "  weights     holds  sums are 1"
    assert lines[2].startswith("  lambda law  fails  too long")
    assert max(map(len, lines)) <= 100
    assert lines[3].startswith(" " * 21 + "long")


def test_failures_raise_and_differences_do_not():
    Report("fine", (GOOD, OTHER)).raise_if_failed()
    with pytest.raises(AssertionError, match=r"(?s)1 checks fail\nbad.*lambda law"):
        Report("bad", (GOOD, OTHER, BAD)).raise_if_failed()
    assert Report("bad", (GOOD, OTHER, BAD)).differences == (OTHER,)


def test_findings_are_found_by_name():
    report = Report("a mix", (GOOD, BAD))
    assert report["lambda law"] is BAD
    with pytest.raises(KeyError, match="It has: weights, lambda law"):
        report["lambda"]
