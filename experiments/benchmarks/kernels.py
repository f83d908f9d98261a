"""Where a step's time goes on an accelerator: our training step, kernel by kernel.

Steps are traced by JAX's profiler. Not run by default.
"""

import collections
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax

from experiments import markdown
from experiments.benchmarks import steps
from experiments.benchmarks.accelerator import PRECISIONS
from experiments.benchmarks.suite import Options

WORK = (("PreAct ResNet-18", 128), ("WideResNet-28-10", 128), ("ResNet-50", 128))
_STEPS = 10
_SHOWN = 25  # kernels of a step


class Kernel(NamedTuple):
    """All launches of one kernel by one operation.

    Attributes:
      name: Of the kernel.
      operation: Of XLA that it serves, where the trace says so.
      launches: In a step.
      milliseconds: Of a step.
    """

    name: str
    operation: str
    launches: float
    milliseconds: float


class Profile(NamedTuple):
    """A step by kernel, the longest first."""

    item: str
    kernels: list[Kernel]

    def content(self) -> dict[str, Any]:
        """Returns all of it, for a file."""
        return {"item": self.item, "kernels": [k._asdict() for k in self.kernels]}


def measure(options: Options) -> list[Profile]:
    """Traces the networks in both precisions; with `quick`, one at a batch of 8."""
    found = []
    for precision, dtype in PRECISIONS.items():
        for name, size in (("PreAct ResNet-18", 8),) if options.quick else WORK:
            family = steps.FAMILIES[name]._replace(batch_size=size)
            run = steps.ours(family, calls=_STEPS, dtype=dtype)
            item = f"{name}, batch {size}, {precision}"
            found.append(Profile(item, _traced(run, _STEPS)))
            print(table(found[-1:]), flush=True)
    return found


def table(found: list[Profile]) -> str:
    """Returns what takes longest of each step, in Markdown."""
    rows = []
    for profile in found:
        whole = sum(kernel.milliseconds for kernel in profile.kernels)
        item = profile.item
        for kernel in profile.kernels[:_SHOWN]:
            share = f"{kernel.milliseconds / whole:.1%}"
            name, took = kernel.name[:60], f"{kernel.milliseconds:.3f}"
            launches = f"{kernel.launches:g}"
            rows.append([item, name, kernel.operation, launches, took, share])
            item = ""
        rows.append(["", "all", "", "", f"{whole:.3f}", ""])
    head = ["step", "kernel", "operation", "launches", "ms", "share"]
    return markdown.table(head, rows)


def _traced(run: Callable[[], Any], count: int) -> list[Kernel]:
    jax.block_until_ready(run())
    with tempfile.TemporaryDirectory() as directory:
        with jax.profiler.trace(directory):
            jax.block_until_ready(run())
        (path,) = Path(directory).rglob("*.xplane.pb")
        return _kernels(jax.profiler.ProfileData.from_file(str(path)), count)


def _kernels(data: Any, count: int) -> list[Kernel]:
    """Adds up the kernels of `count` steps."""
    nanoseconds: collections.Counter = collections.Counter()
    launches: collections.Counter = collections.Counter()
    for plane in data.planes:
        if not plane.name.startswith("/device:"):
            continue
        for line in plane.lines:
            if not line.name.startswith("Stream"):
                continue
            for event in line.events:
                operation = dict(event.stats).get("hlo_op", "")
                nanoseconds[event.name, str(operation)] += event.duration_ns
                launches[event.name, str(operation)] += 1
    return [
        Kernel(name, operation, launches[name, operation] / count, time / count / 1e6)
        for (name, operation), time in nanoseconds.most_common()
    ]
