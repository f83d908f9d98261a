"""From the start of a program to its first step: cold, and with compiled programs kept.

Each is a process of its own, with a cache of compiled programs that is empty at first.
"""

import json
import os
import subprocess
import sys
import tempfile
from typing import Any

from mixup_jax.errors import RunError

# Not getrusage, whose maximum a new program takes over from the one that started it.
_PEAK = """
import pathlib
def peak_memory():
    status = pathlib.Path("/proc/self/status")  # of Linux; else not known
    lines = status.read_text().splitlines() if status.exists() else []
    found = [line for line in lines if line.startswith("VmHWM")]
    return int(found[0].split()[1]) / 1e6 if found else float("nan")
"""
# What is timed, with PreAct ResNet-18 at a batch of 128.
_PROGRAM = """
import json, time
begin = time.perf_counter()
import jax
from mixup_jax import runtime
runtime.start()
from experiments.benchmarks import our_side
imported = time.perf_counter()
step = our_side.step("preact_resnet18", (32, 32, 3), 10, batch_size=128, overrides={})
initialised = time.perf_counter()
jax.block_until_ready(step())
first = time.perf_counter()
jax.block_until_ready(step())
again = time.perf_counter()
print(json.dumps({
    "import_s": imported - begin,
    "initialise_s": initialised - imported,
    "compile_s": (first - initialised) - (again - first),
    "step_s": again - first,
    "first_step_after_s": first - begin,
    "peak_memory_gb": peak_memory(),
}))
"""
_TORCH = """
import json, time
begin = time.perf_counter()
from experiments.benchmarks import torch_networks, torch_side
torch_side.set_threads(THREADS)
imported = time.perf_counter()
network = torch_networks.PreActResNet(10, 18, 64, official=False)
step = torch_side.train_step(
    network, (3, 32, 32), 10, batch_size=128,
    layout=torch_side.LAYOUTS["PyTorch, channels last"],
)
initialised = time.perf_counter()
step()
first = time.perf_counter()
step()
again = time.perf_counter()
print(json.dumps({
    "import_s": imported - begin,
    "initialise_s": initialised - imported,
    "compile_s": 0.0,
    "step_s": again - first,
    "first_step_after_s": first - begin,
    "peak_memory_gb": peak_memory(),
}))
"""


def measure(threads: int) -> dict[str, dict[str, float]]:
    """Returns seconds and gigabytes of a cold start, a warm one, and PyTorch's."""
    with tempfile.TemporaryDirectory() as cache:
        cold, warm = (_run(_PROGRAM, cache) for _ in range(2))
    theirs = _run(_TORCH.replace("THREADS", str(threads)), None)
    return {"ours, cold": cold, "ours, warm": warm, "PyTorch, channels last": theirs}


def _run(program: str, cache: str | None) -> dict[str, Any]:
    environment = {**os.environ, "JAX_ENABLE_COMPILATION_CACHE": "true"}
    if cache:
        environment["JAX_COMPILATION_CACHE_DIR"] = cache
    done = subprocess.run(
        [sys.executable, "-c", _PEAK + program],
        env=environment,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise RunError(f"a program to be timed failed: {done.stderr[-500:]}")
    return json.loads(done.stdout)
