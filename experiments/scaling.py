r"""What our wrappers add to the devices' own time, on simulated devices of a CPU.

  python -m experiments.scaling --json=scaling.json
  python -m experiments.scaling --quick

The same global batch is trained on by 1, 2, 4 and 8 devices, which all share this
machine's cores: that says nothing of how fast a real device is, and all of what comes
on top of it. "Bare" is forward and backward pass of each device's share by plain jit,
one share after another on one device; a whole step also makes the virtual examples,
adds up gradients and updates. Ratios are of medians of one process, in which all sides
run in turns; each number of devices has a process of its own in every round.
"""

import dataclasses
import functools
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags

from experiments import common, markdown, timing
from mixup_jax import models, runtime
from mixup_jax.data.augment import augment, normalise
from mixup_jax.errors import RunError, UsageError
from mixup_jax.losses import soft_cross_entropy
from mixup_jax.runs.environment import environment
from mixup_jax.training.optimizer import make_optimizer
from mixup_jax.training.placement import AXIS, MODES, Placement
from mixup_jax.training.recipe import TrainRecipe
from mixup_jax.training.state import initial_state
from mixup_jax.training.step import train_step
from mixup_jax.training.step_data import Share, TrainData
from mixup_jax.vicinity.vicinity import Vicinity

_DEVICES = (1, 2, 4, 8)
_CLASSES, _SHAPE, _DEPTH = 10, (32, 32, 3), 10
# What does not depend on the number of devices, each with what it is compared with.
_INVARIANT = ("sync batch norm", "ghost groups")
_QUICK = {"width": 4, "batch_size": 16, "steps": 2, "rounds": 1}
_PATIENCE = 900  # seconds for one process


@dataclasses.dataclass(frozen=True)
class Bench:
    """A small PreAct ResNet and random images of CIFAR-10's size."""

    width: int
    batch_size: int

    def sides(self) -> dict[str, Callable]:
        """Everything that is timed, on all devices of this process."""
        wrapped = {mode: self._step(Placement(mode)) for mode in MODES}
        shared, ghost = _INVARIANT
        placement = Placement("shard_map")
        group = self.batch_size // max(_DEVICES)
        return {
            "bare": self._bare(len(placement.devices)),
            **wrapped,
            shared: self._step(placement, axis_name=AXIS),
            ghost: self._step(placement, ghost=group),
        }

    def _network(self, **options: Any):
        sizes = {"depth": _DEPTH, "width": self.width}
        return models.create("preact_resnet18", _CLASSES, **sizes, **options)

    def _inputs(self) -> np.ndarray:
        shape = (self.batch_size, *_SHAPE)
        return np.random.default_rng(0).integers(0, 256, shape, np.uint8)

    def _variables(self):
        return models.initialise(self._network(), jax.random.key(0), _SHAPE)

    def _bare(self, devices: int) -> Callable:
        """Forward and backward of one share, as often as there are devices."""
        network, size = self._network(), self.batch_size // devices
        variables = self._variables()
        stats = variables["batch_stats"]
        x = jnp.asarray(self._inputs()[:size] / 255 - 0.5, jnp.float32)
        y = jax.nn.one_hot(jnp.arange(size) % _CLASSES, _CLASSES)

        def loss(params, stats):
            all_variables = {"params": params, "batch_stats": stats}
            logits, new = network.apply(
                all_variables, x, train=True, mutable=["batch_stats"]
            )
            return soft_cross_entropy(logits, y).mean(), new

        run = jax.jit(jax.value_and_grad(loss, has_aux=True))

        def shares():
            for _ in range(devices):
                jax.block_until_ready(run(variables["params"], stats))

        return shares

    def _step(self, placement: Placement, **options: Any) -> Callable:
        """A whole training step with mixup, waited for by whoever calls it."""
        recipe = TrainRecipe(
            self._network(**options),
            make_optimizer("sgd", lambda step: 0.1, weight_decay=1e-4),
            _prepare,
            num_classes=_CLASSES,
            batch_size=self.batch_size,
            steps_per_epoch=1,
            epochs=200,
            vicinity=Vicinity(alpha=1.0),
        )
        run = placement.parallelise(functools.partial(train_step, recipe))
        variables = self._variables()
        opt_state = recipe.optimizer.init(variables["params"])
        state = placement.replicate(initial_state(variables, opt_state))
        data = placement.replicate(
            TrainData(
                self._inputs(),
                np.arange(self.batch_size, dtype=np.int32) % _CLASSES,
                np.arange(self.batch_size, dtype=np.int32),
                jax.random.key(0),
                np.array(1, np.float32),
            )
        )
        share = Share(placement.positions(self.batch_size))
        return lambda: run(state, data, share)


def _prepare(keys, inputs):
    mean, std = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)
    return normalise(augment(keys, inputs, pad=4, flip=True), mean, std)


def main(argv: Sequence[str]) -> None:
    values = flags.FlagValues()
    here = {"flag_values": values}
    names = [str(count) for count in _DEVICES]
    flags.DEFINE_list("devices", names, "numbers of devices", **here)
    flags.DEFINE_integer("batch_size", 128, "of all devices", **here)
    flags.DEFINE_integer("width", 8, "channels of the first stage", **here)
    flags.DEFINE_integer("rounds", 5, "processes of each number", lower_bound=1, **here)
    flags.DEFINE_integer("steps", 11, "of each side in one", lower_bound=2, **here)
    flags.DEFINE_bool("quick", False, "try it out in a minute", **here)
    flags.DEFINE_string("json", None, "file for all figures", **here)
    text = "measure here with so many devices, and print milliseconds"
    flags.DEFINE_integer("here", 0, text, **here)
    if common.parse(values, __doc__ or "", argv):
        return
    if values.quick:
        for name, value in _QUICK.items():
            values[name].value = value
    if values.batch_size < 1 or values.batch_size % max(_DEVICES):
        wanted = f"a multiple of {max(_DEVICES)}"
        raise UsageError(f"batch_size must be {wanted}, got {values.batch_size}")
    if values.width < 1:
        raise UsageError(f"width must be at least 1, got {values.width}")
    common.check_file("json", values.json)
    options = {
        "batch_size": values.batch_size,
        "width": values.width,
        "steps": values.steps,
    }
    if values.here:
        print(json.dumps(measure_here(values.here, **options)))
        return
    rounds = measure(_counts(values.devices), values.rounds, options)
    print(table(rounds))
    if values.json:
        content = {"environment": environment(), "milliseconds": rounds} | options
        Path(values.json).write_text(json.dumps(content, indent=2) + "\n")


def _counts(given: Sequence[str]) -> list[int]:
    for count in given:
        if count not in map(str, _DEVICES):
            raise UsageError(f"devices are of {_DEVICES}, got {count!r}")
    return sorted({int(count) for count in given})


def measure_here(
    devices: int, *, batch_size: int, width: int, steps: int
) -> dict[str, float]:
    """Returns milliseconds of each side on simulated devices of this process."""
    print(runtime.start(cpu_devices=devices), file=sys.stderr)
    times = timing.in_turns(Bench(width, batch_size).sides(), rounds=steps)
    return {name: 1e3 * time.median for name, time in times.items()}


def measure(
    counts: Sequence[int], rounds: int, options: Mapping[str, int]
) -> dict[int, list[dict[str, float]]]:
    """Returns each round's milliseconds by number of devices; order alternates."""
    found: dict[int, list[dict[str, float]]] = {count: [] for count in counts}
    given = [f"--{name}={value}" for name, value in options.items()]
    command = [sys.executable, "-m", "experiments.scaling", *given]
    for turn in range(rounds):
        for count in counts if turn % 2 == 0 else counts[::-1]:
            child = subprocess.run(
                [*command, f"--here={count}"],
                env=os.environ | {"JAX_PLATFORMS": "cpu"},
                capture_output=True,
                text=True,
                timeout=_PATIENCE,
            )
            if child.returncode:
                raise RunError(
                    f"measuring with {count} devices ended with {child.returncode}: "
                    f"{child.stderr.strip()[-500:]}"
                )
            found[count].append(json.loads(child.stdout.splitlines()[-1]))
            print(f"round {turn + 1}/{rounds}: {count} devices", file=sys.stderr)
    return found


def table(rounds: Mapping[int, Sequence[Mapping[str, float]]]) -> str:
    """Returns medians over the rounds, and the least and greatest, as Markdown."""
    rows = []
    for count, of_count in rounds.items():
        bare = statistics.median(each["bare"] for each in of_count)
        ratios = [(mode, "bare") for mode in MODES]
        ratios += [(name, "shard_map") for name in _INVARIANT]
        cells = [_ratio(of_count, side, base) for side, base in ratios]
        rows.append([str(count), f"{bare:.1f}", *cells])
    head = ["devices", "bare, ms", *(f"{mode} / bare" for mode in MODES)]
    return markdown.table(head + [f"{name} / own" for name in _INVARIANT], rows)


def _ratio(rounds: Sequence[Mapping[str, float]], side: str, base: str) -> str:
    values = [each[side] / each[base] for each in rounds]
    middle = statistics.median(values)
    return f"{middle:.2f} ({min(values):.2f} to {max(values):.2f})"


if __name__ == "__main__":
    common.main(main)
