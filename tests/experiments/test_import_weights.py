"""The command: there and back, and what it refuses."""

import subprocess
import sys

import numpy as np
import pytest

from experiments import import_weights
from mixup_jax import models
from mixup_jax.errors import UsageError
from mixup_jax.models import weights

SMALL = ["--model=mlp", "--num_classes=3", "--inputs=5", "--option=width=4"]


def _run(*arguments):
    import_weights.main(["import_weights", *SMALL, *map(str, arguments)])


def test_weights_go_there_and_back(tmp_path, capsys):
    torch = pytest.importorskip("torch")
    network = torch.nn.Sequential(
        *(torch.nn.Linear(5, 4), torch.nn.ReLU()),
        *(torch.nn.Linear(4, 4), torch.nn.ReLU()),
        torch.nn.Linear(4, 3),
    )
    torch.save(network.state_dict(), tmp_path / "in.pth")
    _run(f"--input={tmp_path}/in.pth", f"--output={tmp_path}/ours.npz")
    assert "6 tensors of mlp" in capsys.readouterr().out
    ours = models.create("mlp", 3, width=4)
    variables = weights.load(tmp_path / "ours.npz", models.shapes(ours, (5,)))
    np.testing.assert_array_equal(
        variables["params"]["hidden1"]["kernel"], network[0].weight.detach().T
    )
    back = (f"--input={tmp_path}/ours.npz", f"--output={tmp_path}/out.pth")
    _run("--export", "--style=plain", *back)
    exported = torch.load(tmp_path / "out.pth", weights_only=True)
    network.load_state_dict(exported)
    np.testing.assert_array_equal(exported["4.bias"], network[4].bias.detach())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--input=x.pth"], "--output is missing"),
        (["--input=x.pth", "--output=y.npz"], r"no file x\.pth"),
        (["--input=x", "--output=y", "--option=depth"], "field=value"),
        (["--input=x", "--output=y", "--option=dept=2"], "Did you mean 'depth'"),
        (["--input=x", "--output=y", "--inputs=0"], "whole numbers from 1"),
    ],
)
def test_wrong_usage_is_named(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=message):
        _run(*arguments)


def test_wrong_usage_ends_with_2_and_no_traceback():
    command = [sys.executable, "-m", "experiments.import_weights", "--model=resnet5"]
    done = subprocess.run(
        [*command, "--input=x.pth", "--output=y.npz"], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "Did you mean 'resnet50'" in done.stderr
    assert "Traceback" not in done.stderr
