"""What every program of `experiments` tells a person: lists, help, mistakes."""

import ast
import dataclasses
import os
import re
import signal
import subprocess
import sys
import time

import pytest

from experiments import __main__ as experiments_main
from experiments import (
    adversarial,
    catalogue,
    common,
    data,
    demo,
    help_page,
    in_between,
    report,
    reproduction,
    run_flags,
)
from mixup_jax.errors import UsageError, unknown
from mixup_jax.runs import RunConfig
from mixup_jax.runs.records import Record, write_records
from tests.blocks import ROOT
from tests.programs import TINY, environment, finish, start, wait_for


def test_the_list_has_every_program_once_the_papers_in_its_order(capsys):
    experiments_main.main(["experiments"])
    out = capsys.readouterr().out
    named = [line.split()[0] for line in out.splitlines() if re.match("  [a-z]", line)]
    started = {
        path.stem
        for path in ROOT.glob("experiments/[!_]*.py")
        if 'if __name__ == "__main__":' in path.read_text()
    }
    assert named[: len(catalogue.MODULES)] == list(catalogue.MODULES)
    assert sorted(named) == sorted(started)
    assert "Next: .venv/bin/python -m experiments demo" in out


@pytest.mark.parametrize("name", catalogue.programs())
def test_every_program_says_what_it_is_and_how_it_is_started(name):
    text = ast.get_docstring(ast.parse((ROOT / f"experiments/{name}.py").read_text()))
    first = text.splitlines()[0]
    assert first.endswith(".")
    assert f"python -m experiments.{name}" in text or name == "demo"
    assert ("(paper, " in first) == (name in catalogue.MODULES)


def test_the_package_starts_a_program_with_its_flags():
    code, out, err = finish(start("toy", "--list", module="experiments"))
    assert (code, err) == (0, "")
    assert out.startswith("toy_erm")
    assert "Next: .venv/bin/python -m experiments.toy --run=NAME" in out


def test_a_mistyped_program_is_told_the_nearest():
    with pytest.raises(UsageError, match=r"'cifr'\. Did you mean 'cifar'\?"):
        experiments_main.main(["experiments", "cifr"])


def test_help_has_units_defaults_and_exit_codes(capsys):
    runs = {"a": RunConfig(epochs=3), "b": RunConfig(epochs=4, lr_drops=())}
    values = run_flags.define_run_flags(runs)
    run_flags.define_scale(values, "small")
    assert common.parse(values, "About.", ["program", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert text.startswith("About. What to run [default]: --run=TEXT one run: a, b")
    assert "--epochs=N passes over the training set [3 or 4]" in text
    assert "--scale=paper|small the whole table" in text and "[small]" in text
    assert "--checkpoint_every=N epochs between checkpoints" in text
    assert "--[no]flip random horizontal flips [true]" in text
    assert "129 by a closed terminal" in text


def test_a_listing_says_what_sets_runs_apart_and_what_they_share():
    erm = RunConfig(epochs=5)
    runs = {"erm": erm, "mixup": dataclasses.replace(erm, alpha=0.2)}
    lines = help_page.listing(runs).splitlines()
    assert lines[:2] == ["erm    --alpha=0", "mixup  --alpha=0.2"]
    assert lines[-1] == "All: --epochs=5"


def test_of_many_known_names_a_message_shows_some():
    text = str(unknown("set", "b7", [f"a{i}" for i in range(100)]))
    assert "and 60 more" in text and len(text) < 400


@pytest.mark.parametrize("name", ["toy", "of_my_own"])
def test_the_report_finds_a_table_whatever_its_directory_is_called(name, tmp_path):
    for folder, experiment in (("other", "gan"), (name, "toy")):
        (tmp_path / folder).mkdir()
        record = Record(experiment, "row", "test_error_last", 0, 0.5, "data", "small")
        write_records(tmp_path / folder / "records.csv", [record])
    assert report.measured("toy", tmp_path) == tmp_path / name / "records.csv"
    (block,) = (b for b in report.section("toy", tmp_path).blocks if b.scale == "small")
    assert block.cells[0].row == "row"


def test_curves_for_weights_and_biases_need_runs_of_their_own(tmp_path):
    from experiments import corrupted_labels

    flags = ["--scale=small", "--wandb=thesis", f"--workdir={tmp_path / 'w'}"]
    table = corrupted_labels.REPRODUCTION
    with pytest.raises(UsageError, match=r"in one program.* leave out --wandb"):
        reproduction.main(table, "", ["corrupted_labels", *flags])
    assert not (tmp_path / "w").exists()


def test_output_that_nobody_reads_ends_a_program_without_a_traceback():
    # Such as `... | head -1`, but surely closed before anything is written.
    read, write = os.pipe()
    os.close(read)
    process = subprocess.Popen(
        [sys.executable, "-m", "experiments.cifar", "--list"],
        cwd=ROOT,
        env=environment(),
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(write)
    _, err = process.communicate(timeout=300)
    assert (process.returncode, err) == (128 + signal.SIGPIPE, "")


# Runs a program on a terminal of its own, until a line comes in: then closes that.
TERMINAL = """
import os, pty, select, sys
pid, terminal = pty.fork()
if pid == 0:
    os.execvp(sys.argv[1], sys.argv[1:])
while not select.select([0], [], [], 0)[0]:
    if select.select([terminal], [], [], 0.05)[0]:
        os.read(terminal, 65536)
os.close(terminal)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="terminals as Unix has them")
@pytest.mark.parametrize("nohup", [False, True])
def test_a_closed_terminal_stops_a_run_which_is_saved_unless_it_is_to_go_on(
    nohup, tmp_path
):
    epochs = 40 if nohup else 40_000  # the one is to end, the other never
    flags = [
        *TINY,
        f"--epochs={epochs}",
        "--checkpoint_every=100000",
        f"--workdir={tmp_path}",
    ]
    program = [sys.executable, "-m", "experiments.cifar", *flags]
    if nohup:  # which would take the output off the terminal too
        program = ["sh", "-c", 'trap "" HUP; exec "$@"', "sh", *program]
    process = subprocess.Popen(
        [sys.executable, "-c", TERMINAL, *program],
        cwd=ROOT,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    metrics = tmp_path / "metrics.jsonl"
    wait_for(metrics, process)
    while not metrics.stat().st_size:
        time.sleep(0.01)
    out, err = process.communicate("close\n", timeout=300)
    assert int(out) == (0 if nohup else 128 + signal.SIGHUP), err
    assert (tmp_path / "result.json").exists() == nohup
    assert list((tmp_path / "checkpoints").iterdir())


@pytest.mark.parametrize(
    ("module", "flags"),
    [(in_between, ("erm", "mixup")), (adversarial, ("erm_a", "erm_b", "mixup"))],
)
def test_a_directory_without_a_run_is_refused_before_anything_is_written(
    module, flags, tmp_path
):
    given = [f"--{name}={tmp_path / 'none'}" for name in flags]
    with pytest.raises(UsageError, match=r"no run in .*none, .*; name the --workdir"):
        module.main(["program", f"--workdir={tmp_path / 'w'}", *given])
    assert not (tmp_path / "w").exists()


def test_a_picture_in_another_format_is_refused():
    with pytest.raises(UsageError, match=r"--out must end in \.png, got x\.jpeg2"):
        data.main(["data", "--show=mnist5k", "--out=x.jpeg2"])


@pytest.mark.parametrize("epsilon", ["nan", "inf", "-1"])
def test_attacks_have_a_finite_size_above_0(epsilon, tmp_path):
    flags = [f"--workdir={tmp_path / 'w'}", f"--epsilon={epsilon}", "--queries=0"]
    with pytest.raises(UsageError, match=r"epsilon .*, got .*\nqueries .* 0$"):
        adversarial.main(["adversarial", *flags])
    assert not (tmp_path / "w").exists()


def test_the_demo_wants_a_directory(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="--workdir=DIR is missing"):
        demo.main(["demo", "--workdir=", "--epochs=1"])
    assert not list(tmp_path.iterdir())
