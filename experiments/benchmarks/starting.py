"""From the start of a program to its first step: cold, and with compiled programs kept.

Each is a process of its own, with a cache of compiled programs that is empty at first.
"""

import json
import os
import subprocess
import sys
import tempfile
from typing import Any, NamedTuple

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
# What is timed; IMPORTS and BUILD are each side's.
_TIMED = """
import json, time
begin = time.perf_counter()
IMPORTS
imported = time.perf_counter()
BUILD
initialised = time.perf_counter()
step()
first = time.perf_counter()
step()
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


class _Program(NamedTuple):
    """What one side imports, and how it comes by its `step`."""

    imports: str
    build: str

    def code(self) -> str:
        timed = _TIMED.replace("IMPORTS", self.imports).replace("BUILD", self.build)
        return _PEAK + timed


_OURS = """
import jax
from mixup_jax import runtime
runtime.start()
"""


def _step(model: str, batch_size: int) -> _Program:
    arguments = f"{model!r}, (32, 32, 3), 10, batch_size={batch_size}, overrides={{}}"
    return _Program(
        _OURS + "from experiments.benchmarks import our_side",
        f"""
run = our_side.step({arguments})
step = lambda: jax.block_until_ready(run())
""",
    )


# What `make demo` does before its first step of mixup, files aside.
_DEMO = _Program(
    _OURS + "from experiments import demo",
    """
from mixup_jax.runs.runner import build
from mixup_jax.runs.session import Session
parts = build(demo.METHODS["mixup"], Session())
steps = parts.steps(parts.placement.replicate(parts.initial_state()))
step = lambda: jax.block_until_ready(next(steps))
""",
)
_TORCH = _Program(
    "from experiments.benchmarks import torch_networks, torch_side",
    """
torch_side.set_threads(THREADS)
network = torch_networks.PreActResNet(10, 18, 64, official=False)
layout = torch_side.LAYOUTS["PyTorch, channels last"]
step = torch_side.train_step(network, (3, 32, 32), 10, batch_size=128, layout=layout)
""",
)


# The last has the most layers of all, and each of its own width.
_PROGRAMS = {
    "demo's MLP": (_DEMO, ("cold", "warm")),
    "PreAct ResNet-18": (_step("preact_resnet18", 128), ("cold", "warm")),
    "DenseNet-BC-190, batch 8": (_step("densenet_bc190_40", 8), ("cold",)),
}


def measure(threads: int) -> dict[str, dict[str, float]]:
    """Returns seconds and gigabytes of cold starts, warm ones, and PyTorch's."""
    found = {}
    for name, (program, states) in _PROGRAMS.items():
        with tempfile.TemporaryDirectory() as cache:
            for state in states:
                found[f"{name}, ours, {state}"] = _run(program.code(), cache)
    theirs = _TORCH.code().replace("THREADS", str(threads))
    found["PreAct ResNet-18, PyTorch, channels last"] = _run(theirs, None)
    return found


def _run(program: str, cache: str | None) -> dict[str, Any]:
    environment = {**os.environ, "JAX_ENABLE_COMPILATION_CACHE": "true"}
    # Else every start compiles each Python module anew, here and in PyTorch's.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    if cache:
        environment["XDG_CACHE_HOME"] = cache
        environment.pop("JAX_COMPILATION_CACHE_DIR", None)
    done = subprocess.run(
        [sys.executable, "-c", _PEAK + program],
        env=environment,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise RunError(f"a program to be timed failed: {done.stderr[-500:]}")
    return json.loads(done.stdout)
