"""Programs of the project as a person starts them: in processes of their own."""

import os
import subprocess
import sys
import time

from tests.blocks import ROOT

# A run of experiments.cifar in seconds.
TINY = [
    "--run=c10_preact18_mixup",
    "--dataset=mnist5k",
    "--model=mlp",
    "--width=16",
    "--crop_pad=0",
    "--noflip",
    "--corruption=0.5",
    "--lr_drops=20",
    "--learning_rate=0.01",
    "--batch_size=100",
    "--train_examples=1050",
]


def environment():
    kept = {k: v for k, v in os.environ.items() if k not in ("XLA_FLAGS", "NPROC")}
    return kept | {"PYTHONUNBUFFERED": "1"}


def start(*arguments, module="experiments.cifar", more=None):
    """Starts a program; `more` are variables of its environment."""
    return subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        env=environment() | (more or {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process):
    out, err = process.communicate(timeout=300)
    return process.returncode, out, err


def wait_for(path, process, seconds=120.0):
    end = time.monotonic() + seconds
    while not path.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end, f"{path} did not appear"
        time.sleep(0.01)
