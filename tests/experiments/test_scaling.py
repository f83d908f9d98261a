"""Scaling over simulated devices: the smallest measurement, and its table."""

import json

import pytest

from experiments import scaling
from mixup_jax.errors import RunError, UsageError

SIDES = {"bare", "pmap", "shard_map", "sync batch norm", "ghost groups"}


def test_every_side_is_timed_with_each_number_of_devices(tmp_path, capsys):
    path = tmp_path / "scaling.json"
    scaling.main(["scaling", "--quick", "--devices=2", f"--json={path}"])
    (row,) = [x for x in capsys.readouterr().out.splitlines() if x.startswith("| 2")]
    assert row.count("|") == 7
    content = json.loads(path.read_text())
    assert content["batch_size"] == 16
    (times,) = content["milliseconds"]["2"]
    assert set(times) == SIDES and min(times.values()) > 0


def test_the_table_has_medians_of_ratios_within_a_process():
    rounds = [
        {"bare": 10.0, "pmap": 12.0, "shard_map": 20.0},
        {"bare": 20.0, "pmap": 22.0, "shard_map": 20.0},
        {"bare": 40.0, "pmap": 60.0, "shard_map": 40.0},
    ]
    more = {"sync batch norm": 30.0, "ghost groups": 20.0}
    row = scaling.table({4: [each | more for each in rounds]}).splitlines()[-1]
    assert [cell.strip() for cell in row.split("|")[1:-1]] == [
        "4",
        "20.0",
        "1.20 (1.10 to 1.50)",
        "1.00 (1.00 to 2.00)",
        "1.50 (0.75 to 1.50)",
        "1.00 (0.50 to 1.00)",
    ]


def test_a_measurement_that_fails_says_why():
    with pytest.raises(RunError, match=r"2 devices ended with 2: .*a multiple of 8"):
        scaling.measure([2], 1, {"batch_size": 12})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--devices=3"], "devices are of .* got '3'"),
        (["--batch_size=12"], "a multiple of 8, got 12"),
        (["--rounds=0"], "rounds"),
        (["--width=0"], "width must be at least 1, got 0"),
        (["--json=/nowhere/x.json"], "--json=/nowhere/x.json: there is no such folder"),
    ],
)
def test_wrong_measurements_are_refused(arguments, message):
    with pytest.raises(UsageError, match=message):
        scaling.main(["scaling", *arguments])
