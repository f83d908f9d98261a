"""Programs of the project as a person starts them: in processes of their own."""

import os
import subprocess
import sys
import time

from tests.blocks import ROOT


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
