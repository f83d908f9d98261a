"""The programs as a person starts them: processes, exit codes, signals."""

import json
import random
import signal
import sys
import time
from functools import partial

import pytest

from experiments import cifar, common, reproduction
from tests.programs import TINY, finish, start, wait_for

# Divides over the eight devices of the tests' own process.
EVEN = [*TINY, "--batch_size=80", "--train_examples=1040"]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("whole")
    code, out, err = finish(start(*TINY, "--epochs=30", f"--workdir={workdir}"))
    assert code == 0, err
    assert "test_error_last" in out
    return json.loads((workdir / "result.json").read_text())


def test_killed_at_random_steps_a_run_ends_in_bitwise_the_same(tmp_path, uninterrupted):
    command = [*TINY, "--epochs=30", f"--workdir={tmp_path}"]
    pauses = random.Random(1)
    # The first kill may come before anything is saved, the second comes after.
    for path in (tmp_path / "config.json", tmp_path / "checkpoints" / "33"):
        process = start(*command)
        wait_for(path, process)
        time.sleep(pauses.uniform(0.0, 1.0))
        process.kill()
        finish(process)
    code, _, err = finish(start(*command))
    assert code == 0, err
    assert "continuing from step" in err
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["params_sha256"] == uninterrupted["params_sha256"]
    for name in ("test_error_best", "train_error_corrupted", "train_loss_last"):
        assert result[name] == uninterrupted[name]


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_signal_saves_says_so_and_exits(tmp_path, uninterrupted, signum):
    command = [*TINY, "--epochs=30", f"--workdir={tmp_path}"]
    # Slow checkpoints down to none, so that what is saved is saved by the signal.
    process = start(*command, "--checkpoint_every=1000")
    wait_for(tmp_path / "metrics.jsonl", process)
    process.send_signal(signum)
    code, _, err = finish(process)
    assert code == 128 + signum
    assert "saved at step" in err
    assert "Traceback" not in err
    assert finish(start(*command))[0] == 0
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["params_sha256"] == uninterrupted["params_sha256"]


def test_eight_simulated_devices_run_from_the_command_line(tmp_path):
    # The last batch of 1,048 examples, 8 of them, still divides.
    code, out, err = finish(
        start(
            *TINY,
            "--train_examples=1048",
            "--batch_size=104",
            "--epochs=2",
            "--cpu_devices=8",
            f"--workdir={tmp_path}",
        )
    )
    assert code == 0, err
    assert "MNIST, 5,000 digits" in out
    content = json.loads((tmp_path / "config.json").read_text())
    assert content["environment"]["device"].startswith("8 x cpu")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name one run with --run=NAME"),
        (["--run=c10_preact18_mixpu"], "Did you mean 'c10_preact18_mixup'"),
        (["--run=c10_preact18_erm"], "--workdir=DIR is missing"),
        (["--run=c10_preact18_erm", "--alhpa=1"], "alhpa"),
        (["--run=c10_preact18_erm", "--epochs=many"], "--epochs=many: must be a whole"),
        (["--run=c10_preact18_erm", "--alpha=x"], "flag --alpha=x: must be a number"),
        (["--scale=small", "--rows=", "--workdir=w"], "--rows names no row"),
        ([*TINY, "--cpu_devices=-1", "--workdir=w"], "cpu_devices must be at least 0"),
        (["--run=c10_preact18_erm", "--lr_drops=a,b"], "lr_drops takes whole numbers"),
        (["c10_preact18_erm"], "do not know what to do with 'c10_preact18_erm'"),
        ([*TINY, "--alpha=-1", "--workdir=w"], "alpha must be a finite number"),
        ([*EVEN, "--dataset=cifar11", "--workdir=w"], "Did you mean 'cifar10'"),
        ([*TINY, "--model=resnet", "--workdir=w"], "unknown model 'resnet'"),
        ([*TINY, "--parallel=pmapp", "--workdir=w"], "Did you mean 'pmap'"),
    ],
)
def test_a_mistake_gets_exit_code_2_and_one_message(
    arguments, message, monkeypatch, capsys, tmp_path
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["cifar", *arguments])
    with pytest.raises(SystemExit) as stop:
        common.main(partial(reproduction.main, cifar.REPRODUCTION, cifar.__doc__))
    assert stop.value.code == 2
    err = capsys.readouterr().err
    assert message in err
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


def test_exit_code_2_reaches_the_shell_without_a_traceback():
    code, _, err = finish(start("--run=nothing"))
    assert code == 2
    assert err.startswith("error: unknown run 'nothing'")
    assert "Traceback" not in err


def test_list_and_help_show_runs_fields_and_the_paper():
    code, out, _ = finish(start("--list"))
    assert code == 0
    names = [line.split()[0] for line in out.strip().split("\n") if line]
    assert names[:2] == ["c10_preact18_erm", "c10_preact18_mixup"]
    code, out, _ = finish(start("--help"))
    assert code == 0
    assert "figure 3a" in out
    assert "--alpha" in out


def test_smoke_tries_the_papers_network_on_named_stand_in_data(tmp_path):
    arguments = ["--run=c10_preact18_mixup", "--smoke", "--depth=10"]
    code, out, err = finish(
        start(*arguments, "--dtype=bfloat16", f"--workdir={tmp_path}")
    )
    assert code == 0, err
    assert "MNIST, 5,000 digits" in out
    assert "CIFAR" not in out
    # What XLA was told is said, and kept with the run.
    assert "individual_convolution" in err
    content = json.loads((tmp_path / "config.json").read_text())
    assert "individual_convolution" in content["environment"]["xla_flags"]


def test_the_toy_separates_its_rings(tmp_path):
    arguments = ["--run=toy_mixup", f"--workdir={tmp_path}", "--epochs=5"]
    arguments.append("--lr_drops=4")
    code, _, err = finish(start(*arguments, module="experiments.toy"))
    assert code == 0, err
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["test_error_last"] < 0.02


def test_the_demo_shows_that_erm_learns_wrong_labels_by_heart(tmp_path):
    arguments = [f"--workdir={tmp_path}", "--seeds=2", "--epochs=15"]
    code, out, err = finish(start(*arguments, module="experiments.demo"))
    assert code == 0, err
    assert "MNIST, 5,000 digits" in out
    assert "paper, CIFAR-10" in out
    results = {
        name: json.loads((tmp_path / f"{name}_seed0" / "result.json").read_text())
        for name in ("erm", "mixup")
    }
    wrong = {name: row["train_error_corrupted"] for name, row in results.items()}
    assert wrong["erm"] < 0.5 < wrong["mixup"]
    last = {name: row["test_error_last"] for name, row in results.items()}
    assert last["mixup"] < last["erm"]
    for name in ("curves.png", "figure1b.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "table.md").read_text().strip() in out
