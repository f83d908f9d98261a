import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mixup_jax.data import debian_fashion, tfds_source

_PREPARE = (
    "import sys; from mixup_jax import data;"
    " data.load('fashion_mnist', data_dir=sys.argv[1])"
)


@pytest.fixture(scope="session")
def killed_preparation(tmp_path_factory, tensorflow):
    """A data_dir in which a process that prepared Fashion-MNIST was killed."""
    if not debian_fashion.FOLDER.is_dir():
        pytest.skip("needs Debian's package dataset-fashion-mnist")
    root = tmp_path_factory.mktemp("tfds")
    process = subprocess.Popen([sys.executable, "-c", _PREPARE, str(root)])
    try:
        _wait_for(lambda: list(root.glob("fashion_mnist/*incomplete*")), process)
        time.sleep(1)  # into the middle of it
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    return root, {path.name for path in (root / "fashion_mnist").iterdir()}


@pytest.fixture(scope="session")
def fashion(killed_preparation):
    """Fashion-MNIST, prepared where a preparation had been killed: (data_dir, set)."""
    root: Path = killed_preparation[0]
    return root, tfds_source.load("fashion_mnist", data_dir=str(root))


def _wait_for(condition, process, *, seconds=120):
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, "the preparation ended before it was killed"
        assert time.monotonic() < end, os.listdir()
        time.sleep(0.05)
