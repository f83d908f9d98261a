"""The command: its table, what it says of what is missing, and one peer itself."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from experiments import check_peers
from experiments.peer_adapters import PEERS, Peer
from mixup_jax.errors import UsageError
from mixup_jax.testing import Finding, Report
from tests.testing.reference import ALPHA, Reference

ROOT = Path(__file__).parents[2]


def _reference(**options):
    return {"mix": Reference(), "alpha": ALPHA, **options}


def test_the_page_has_a_column_per_system_and_words_for_what_is_not_yes():
    one = Report("one 1.0", (Finding("weights", "holds", "sums are 1"),))
    findings = (
        Finding("weights", "fails", "sums are 2"),
        Finding("pairing", "differs", "rolled"),
        Finding("lambda law", "not applicable", "cuts"),
    )
    lines = check_peers.page(
        {"one": one, "two": Report("two 2.0", findings)}, {"three": "not installed"}
    ).splitlines()
    assert lines[:5] == [
        "| check | one | two |",
        "|---|---|---|",
        "| weights | yes | **no** |",
        "| pairing | - | differs |",
        "| lambda law | - | - |",
    ]
    assert "- weights: **no**. sums are 2" in lines
    assert "- pairing: differs. rolled" in lines
    assert "- nothing to report" in lines
    assert lines[-1] == "three: not installed"


def test_a_system_that_is_missing_is_said_to_be():
    def build():
        return _reference(mix=importlib.import_module("no_such_system"))

    found = check_peers.examine("none", Peer(("none",), build), draws=100)
    assert found == "not installed (No module named 'no_such_system')"


def test_a_report_has_the_versions_and_not_what_would_judge_the_adapter():
    peer = Peer(("numpy", "scipy"), _reference, skip=("dtypes",))
    report = check_peers.examine("numpy.mixup", peer, draws=100)
    assert isinstance(report, Report)
    assert report.name.startswith("numpy.mixup (numpy 2.")
    assert report.failures == ()
    assert "dtypes" not in [found.check for found in report.findings]


def test_the_command_prints_the_page(monkeypatch, capsys):
    monkeypatch.setitem(PEERS, "reference", Peer(("numpy",), _reference))
    check_peers.main(["check_peers", "--only=reference", "--draws=100"])
    printed = capsys.readouterr()
    assert "| inputs and targets agree | yes |" in printed.out
    assert printed.err.startswith("reference (numpy ")
    check_peers.main(["check_peers", "--list"])
    assert capsys.readouterr().out.splitlines() == list(PEERS)


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--only=keras.Mixup", r"Did you mean 'keras\.MixUp'"),
        ("--draws=10", "--draws must be at least 100, got 10"),
    ],
)
def test_wrong_usage_is_named(argument, message):
    with pytest.raises(UsageError, match=message):
        check_peers.main(["check_peers", argument])


def test_the_published_table_is_of_these_systems_and_these_checks():
    page = (ROOT / "docs" / "peers.md").read_text().splitlines()
    table = [line.strip("| ").split(" | ") for line in page if line.startswith("| ")]
    assert table[0] == ["check", *PEERS]
    report = check_peers.examine("r", Peer(("numpy",), _reference), draws=100)
    assert isinstance(report, Report)
    published = [row[0] for row in table[1:]]
    assert published[: len(report.findings)] == [
        found.check for found in report.findings
    ]
    # Ours has nothing to hide.
    assert {row[1] for row in table[1:]} <= {"yes", "-"}


_KERAS = """
from experiments.peer_adapters import PEERS
from mixup_jax import testing
draws = testing.observe(PEERS["keras.MixUp"].build()["mix"], draws=30)
for check in (testing.weights, testing.agreement, testing.expectation):
    assert check(draws).status == "holds", check(draws)
assert testing.lambda_scope(draws).detail == "one lambda for each example"
"""


def test_keras_is_read_through_its_adapter():
    if importlib.util.find_spec("keras") is None:
        pytest.skip("keras is not installed")
    done = subprocess.run(
        [sys.executable, "-c", _KERAS],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "KERAS_BACKEND": "jax"},
    )
    assert done.returncode == 0, done.stderr
