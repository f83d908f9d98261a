"""The parts of the soak; the whole takes minutes and is a command (docs/pods.md)."""

import json
import random

import pytest

from experiments import soak
from experiments.soak import FAULTS, Outcome, Soak
from mixup_jax.errors import UsageError


class Process:
    def __init__(self):
        self.killed = False

    def kill(self):
        self.killed = True

    def wait(self):
        assert self.killed


@pytest.fixture
def run(tmp_path):
    """A run of two checkpoints, of which the second is damaged by the faults."""
    made = Soak(tmp_path, 10, random.Random(0))
    for step in (11, 22):
        folder = made.broken / "checkpoints" / str(step) / "state"
        folder.mkdir(parents=True)
        (folder / "large").write_bytes(bytes(1000))
        (folder / "small").write_bytes(bytes(10))
    (made.broken / "checkpoints" / "33.orbax-checkpoint-tmp").mkdir()
    return made


def test_the_newest_checkpoint_is_cut_in_half_or_deleted(run):
    processes = [Process(), Process()]
    FAULTS["checkpoint cut off"](run, processes)
    newest = run.broken / "checkpoints" / "22"
    assert all(process.killed for process in processes)
    assert (newest / "state" / "large").stat().st_size == 500
    assert (newest / "state" / "small").stat().st_size == 10
    FAULTS["checkpoint deleted"](run, processes)
    assert not newest.exists()
    assert (run.broken / "checkpoints" / "11" / "state" / "large").exists()


def test_steps_are_those_of_the_last_whole_line(run):
    assert soak._steps(run.broken) == 0
    lines = [json.dumps({"step": step}) for step in (11, 22)]
    (run.broken / "metrics.jsonl").write_text("\n".join(lines) + '\n{"step": 3')
    assert soak._steps(run.broken) == 22


def test_where_the_next_start_took_it_up_is_read_from_what_it_said(run):
    outcomes = [Outcome("kill -9 of one", [-9, 1], 22)]
    run._log(0).write_text("process 0 of 2\ncontinuing from step 11\n")
    run._note_resumption(outcomes)
    assert outcomes[0].after == 11


def test_the_table_has_the_most_that_was_lost_and_every_exit():
    outcomes = [
        Outcome("kill -9 of one", [1, -9], 44, 33, "Terminating process"),
        Outcome("SIGTERM to one", [143, 143], 44, 50, "saved at step 50"),
        Outcome("kill -9 of one", [-9, -6], 66, 66),
        Outcome("one hangs", [-9, -6], 700),  # the next start could not say
    ]
    rows = [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in soak.table(outcomes).splitlines()
        if line.startswith("| ")
    ]
    assert rows[-3:] == [
        ["kill -9 of one", "2", "(-9, -6) or (-9, 1)", "11", "Terminating process"],
        ["SIGTERM to one", "1", "(143, 143)", "0", "saved at step 50"],
        ["one hangs", "1", "(-9, -6)", "?", ""],
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--workdir=DIR is missing"),
        (["--workdir={}"], "is not empty; name a new directory"),
        (["--workdir={}/new", "--faults=0"], "faults"),
    ],
)
def test_wrong_usage_is_refused(arguments, message, tmp_path):
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(UsageError, match=message):
        soak.main(["soak", *(each.format(tmp_path) for each in arguments)])
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
