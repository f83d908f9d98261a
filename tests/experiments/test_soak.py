"""The soak's parts, one fault for real; the whole is a command (docs/pods.md)."""

import json
import os
import random
import shutil
import subprocess

import pytest

from experiments import soak
from experiments.soak import Outcome, Soak
from experiments.soak_faults import FAULTS
from mixup_jax.errors import RunError, UsageError
from mixup_jax.runs.checkpoint import read_variables


@pytest.fixture
def run(tmp_path):
    """A run of two checkpoints and one that was being written."""
    made = Soak(tmp_path, 10, random.Random(0)).broken
    for name in ("11", "22", "33.orbax-checkpoint-tmp"):
        folder = made.folder / name / "state"
        folder.mkdir(parents=True)
        (folder / "large").write_bytes(bytes(1000))
        (folder / "small").write_bytes(bytes(10))
    return made


def test_the_newest_checkpoint_is_cut_in_half_or_deleted(run):
    assert FAULTS["newest checkpoint cut in half"].damage(run) == {"22"}
    sizes = {"11": 1010, "22": 510, "33.orbax-checkpoint-tmp": 1010}
    assert run.checkpoints() == sizes
    assert FAULTS["newest checkpoint deleted"].damage(run) == {"22"}
    assert run.checkpoints() == {n: sizes[n] for n in sizes if n != "22"}


def test_times_of_files_move_by_a_day(run):
    before = {path: path.stat().st_mtime for path in run.folder.rglob("*")}
    FAULTS["clock jumps by a day"].damage(run)
    moved = {round(path.stat().st_mtime - before[path]) for path in before}
    assert moved == {-86400, 86400}


def test_nobody_can_write_below_a_read_only_directory(run):
    fault = FAULTS["read-only directory"]
    if os.geteuid() == 0 and not shutil.which("setpriv"):
        pytest.skip("for the administrator it needs setpriv (util-linux)")
    (run.workdir / "metrics.jsonl").write_text("")
    fault.strike(run)
    command = ["sh", "-c", f"echo x >> {run.workdir}/metrics.jsonl"]
    run.processes = [quietly([*fault.prefix(run), *command])]
    assert run.wait() != [0]
    run.processes = [quietly([*fault.prefix(run), "mkdir", f"{run.folder}/44"])]
    assert run.wait() != [0]
    fault.damage(run)
    run.processes = [quietly([*fault.prefix(run), *command])]
    assert run.wait() == [0]


def quietly(command):
    return subprocess.Popen(command, stderr=subprocess.DEVNULL)


def test_steps_are_those_of_the_last_whole_line(run):
    assert run.measured() == 0
    lines = [json.dumps({"step": step}) for step in (11, 22)]
    (run.workdir / "metrics.jsonl").write_text("\n".join(lines) + '\n{"step": 3')
    assert run.measured() == 22


def outcome(**changes):
    """After 40 steps; 33 was being written, 22 was whole."""
    written = {"11": 1000, "22": 1000, "33.orbax-checkpoint-tmp": 300}
    fields = {"exits": [-9, -9], "reached": 40, "written": written, "good": 22}
    return Outcome(**{"fault": "kill -9 of both", **fields, **changes})


def test_what_was_lost_follows_from_where_it_was_taken_up():
    kept = outcome(after=22)
    assert (kept.survived, kept.steps_lost, kept.bytes_lost) == (True, 18, 300)
    assert kept.half_written
    damaged = outcome(after=11, good=11)
    assert damaged.survived and damaged.steps_lost == 29
    assert damaged.bytes_lost == 1300
    assert not outcome(after=11).survived and not outcome().survived


def test_a_checkpoint_that_was_whole_and_not_used_is_a_failure(tmp_path):
    made = Soak(tmp_path, 10, random.Random(0))
    made.outcomes = [outcome(after=11)]
    with pytest.raises(RunError, match="whole was not used"):
        made.check()


def test_the_table_has_every_loss_and_every_exit():
    outcomes = [
        outcome(after=22, exits=[1, -9], said="Terminating process"),
        outcome(after=22, reached=22, written={"22": 10}),
        outcome(after=None, fault="full disk"),
    ]
    rows = [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in soak.table(outcomes).splitlines()
        if line.startswith("| ")
    ]
    exits = "(-9, -9) or (-9, 1)"
    assert rows[-3:] == [
        ["kill -9 of both", "2", "2", "18, 0", "300, 0", exits, "Terminating process"],
        ["full disk", "1", "0", "40", "2300", "(-9, -9)", ""],
        ["all", "3", "2", "58 in all", "2,600 in all", "", ""],
    ]


def test_a_directory_that_turns_read_only_ends_both_processes_with_the_reason(tmp_path):
    if os.geteuid() == 0 and not shutil.which("setpriv"):
        pytest.skip("for the administrator it needs setpriv (util-linux)")
    made = Soak(tmp_path, 400, random.Random(0))
    made.strike("read-only directory")
    (found,) = made.outcomes
    assert found.exits == [1, 1]
    assert "failed: cannot write" in found.said
    assert (found.reached or 0) >= found.good > 0
    read_variables(made.broken.folder)  # the newest, which is whole


def test_what_was_said_is_any_process_word(run):
    run.processes = [None, None]
    run.log(0).write_text("[Gloo] Rank 0\n")
    run.log(1).write_text("failed: cannot write\n[Gloo] Rank 1\n")
    assert run.said() == "failed: cannot write"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--workdir=DIR is missing"),
        (["--workdir={}"], "is not empty; name a new directory"),
        (["--workdir={}/new", "--faults=0"], "faults"),
        (["--workdir={}/new", "--only=full disc"], "Did you mean 'full disk'"),
    ],
)
def test_wrong_usage_is_refused(arguments, message, tmp_path):
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(UsageError, match=message):
        soak.main(["soak", *(each.format(tmp_path) for each in arguments)])
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
