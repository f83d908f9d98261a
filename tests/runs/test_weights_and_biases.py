"""Curves in Weights & Biases: a stand-in for the package, and the package itself."""

import contextlib
import dataclasses
import importlib.util
import json
import os
import signal
import sys
from types import SimpleNamespace

import pytest

from mixup_jax.errors import UsageError
from mixup_jax.runs import execution, run
from mixup_jax.runs.directory import RunDirectory
from mixup_jax.runs.interrupt import Interrupted
from tests.programs import TINY, finish, start


class Refused(Exception):
    pass


class FakeRun:
    """As the package has it online: knows the last step that it got, over resumes."""

    def __init__(self, asked):
        self.asked, self.step, self.got, self.exit_codes = asked, 0, [], []

    def log(self, values, step):
        self.step = step + 1
        self.got.append((step, values))

    def finish(self, exit_code):
        self.exit_codes.append(exit_code)


@pytest.fixture
def runs(monkeypatch):
    """The runs that a stand-in for the package was asked for, by their id."""
    kept = {}

    def init(**asked):
        return kept.setdefault(asked["id"], FakeRun(asked))

    wandb = SimpleNamespace(
        init=init,
        setup=lambda: SimpleNamespace(settings=SimpleNamespace(mode="online")),
        login=lambda: True,
        Settings=dict,
        errors=SimpleNamespace(Error=Refused),
    )
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    return kept


@pytest.fixture
def watched(session):
    return dataclasses.replace(session, wandb="thesis")


def test_the_curves_have_the_names_values_and_steps_of_tensorboard(
    tmp_path, config, watched, runs, monkeypatch
):
    scalars = []

    @contextlib.contextmanager
    def board(self, step):
        yield SimpleNamespace(add_scalar=lambda *scalar: scalars.append(scalar))

    monkeypatch.setattr(RunDirectory, "tensorboard", board)
    run(config, tmp_path / "mine", watched)
    (only,) = runs.values()
    sent = [(n, v, step) for step, values in only.got for n, v in values.items()]
    assert sent == scalars
    assert {"train_loss", "test_error"} <= {name for name, _, _ in sent}
    assert (only.asked["project"], only.asked["name"]) == ("thesis", "mine")
    assert only.asked["config"]["alpha"] == 1.0
    assert only.exit_codes == [0]


def test_a_run_that_was_stopped_goes_on_as_the_same_and_sends_no_step_again(
    tmp_path, config, watched, runs, monkeypatch
):
    def step_then_signal(self, step, *_):
        if step == 4:
            os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(execution.Progress, "step", step_then_signal)
        with pytest.raises(Interrupted):
            run(config, tmp_path, watched)
    (only,) = runs.values()
    only.step = 7  # as if a kill had come after the next epoch was sent
    run(config, tmp_path, watched)
    (same,) = runs.values()
    assert same is only
    assert [step for step, _ in only.got] == [3, 9]
    assert only.exit_codes == [1, 0]


def test_another_project_is_refused(tmp_path, config, watched, runs):
    run(config, tmp_path, watched)
    (tmp_path / "result.json").unlink()
    with pytest.raises(UsageError, match=r"to --wandb=thesis, not to other"):
        run(config, tmp_path, dataclasses.replace(watched, wandb="other"))


def test_without_the_package_nothing_is_written(tmp_path, config, watched, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(UsageError, match=r"pip install 'mixup-jax\[wandb\]'"):
        run(config, tmp_path / "run", watched)
    assert not (tmp_path / "run").exists()


def test_without_a_login_nothing_is_written(
    tmp_path, config, watched, runs, monkeypatch
):
    def login():
        raise Refused("No API key.")

    monkeypatch.setattr(sys.modules["wandb"], "login", login)
    with pytest.raises(UsageError, match=r"thesis: No API key\. .*WANDB_MODE=offline"):
        run(config, tmp_path / "run", watched)
    assert not (tmp_path / "run").exists()


@pytest.mark.skipif(
    importlib.util.find_spec("wandb") is None,
    reason="needs Weights & Biases: pip install 'mixup-jax[wandb]'",
)
def test_the_package_itself_keeps_a_run_on_this_machine(tmp_path):
    command = [*TINY, "--epochs=2", "--lr_drops=1", f"--workdir={tmp_path}"]
    process = start(*command, "--wandb=thesis", more={"WANDB_MODE": "offline"})
    code, out, err = finish(process)
    assert code == 0, err
    assert out.startswith("{")  # the results alone
    kept = json.loads((tmp_path / "wandb.json").read_text())
    (file,) = tmp_path.glob(f"wandb/offline-run-*-{kept['id']}/run-*.wandb")
    assert b"train_loss" in file.read_bytes()
