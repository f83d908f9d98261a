"""What each vicinity costs, beside a training step of the paper's network.

Virtual examples are made as in training: from a data set on the device, with crops,
flips and normalisation (random bytes stand for CIFAR-10). "Over ERM" is the time that a
vicinity adds to making a batch, as a share of a whole ERM step, forward and backward,
of PreAct ResNet-18; what is mixed inside the network is measured as whole steps
instead, which varies more.
"""

import dataclasses
import functools
from collections.abc import Callable, Collection
from typing import Any, NamedTuple

import jax
import numpy as np
from absl import flags

from experiments import timing
from experiments.ablation import VICINITIES
from experiments.benchmarks.suite import Options
from mixup_jax import models
from mixup_jax.data.augment import augment, normalise
from mixup_jax.errors import UsageError, unknown
from mixup_jax.training.optimizer import make_optimizer
from mixup_jax.training.placement import Placement
from mixup_jax.training.recipe import TrainRecipe
from mixup_jax.training.state import initial_state
from mixup_jax.training.step import train_step, virtual_examples
from mixup_jax.training.step_data import Share, TrainData
from mixup_jax.vicinity.neighbours import Neighbours
from mixup_jax.vicinity.vicinity import Vicinity

_EXAMPLES, _CLASSES, _SHAPE = 10_000, 10, (32, 32, 3)

# The paper's, and what stands beside them.
_SIDES: dict[str, dict[str, Any]] = {
    **VICINITIES,
    "lambda per pair": {"alpha": 1.0, "lam_per": "pair"},
    "lambda per example": {"alpha": 1.0, "lam_per": "example"},
    "Dirichlet of 3": {"alpha": 1.0, "mixed_examples": 3},
    "CutMix": {"cutmix_probability": 1.0},
    "mixup or CutMix": {"alpha": 1.0, "cutmix_probability": 0.5},
    "pairs within a device": {"alpha": 1.0, "pairing_scope": "device"},
}
_STREAMED = "partners fetched from the other devices"


@dataclasses.dataclass(frozen=True)
class Bench:
    """A network and random data of CIFAR-10's shape, on one device or several."""

    width: int
    batch_size: int
    placement: Placement

    def recipe(self, vicinity: Vicinity) -> TrainRecipe:
        """The training step's parts."""
        return TrainRecipe(
            models.create("preact_resnet18", _CLASSES, width=self.width),
            make_optimizer("sgd", lambda step: 0.1, weight_decay=1e-4),
            _prepare,
            num_classes=_CLASSES,
            batch_size=self.batch_size,
            steps_per_epoch=_EXAMPLES // self.batch_size,
            epochs=200,
            vicinity=vicinity,
        )

    @functools.cached_property
    def data(self) -> TrainData:
        """Random images and labels, and a table of random neighbours."""
        rng = np.random.default_rng(0)
        near = rng.integers(0, _EXAMPLES, (_EXAMPLES, 200), np.int32)
        data = TrainData(
            rng.integers(0, 256, (_EXAMPLES, *_SHAPE), np.uint8),
            rng.integers(0, _CLASSES, _EXAMPLES, np.int32),
            np.arange(_EXAMPLES, dtype=np.int32),
            jax.random.key(0),
            np.array(1, np.float32),
            Neighbours(near, np.full(_EXAMPLES, 200, np.int32)),
        )
        return self.placement.replicate(data)

    def batches(self, vicinity: Vicinity, *, streamed: bool = False) -> Callable:
        """Makes the virtual examples of one batch.

        With `streamed`, a device has its own share of the batch alone, as if it had
        come from the host, and partners are fetched from the other devices.
        """
        recipe = self.recipe(vicinity)

        def make(step, data, share):
            indices = data.order[: self.batch_size]
            return virtual_examples(recipe, data, step, indices, share)[0]

        run = self.placement.parallelise(make)
        step = self.placement.replicate(np.int32(3))
        share = self.share(streamed)
        data = self.data._replace(inputs=None) if streamed else self.data
        return lambda: run(step, data, share)

    def steps(self, vicinity: Vicinity) -> Callable:
        """Takes whole training steps, one after another."""
        recipe = self.recipe(vicinity)
        run = self.placement.parallelise(functools.partial(train_step, recipe))
        variables = models.initialise(recipe.network, jax.random.key(0), _SHAPE)
        opt_state = recipe.optimizer.init(variables["params"])
        state = self.placement.replicate(initial_state(variables, opt_state))
        share = self.share()
        return lambda: run(state, self.data, share)

    def share(self, streamed: bool = False) -> Share:
        """Positions in the batch; if streamed, with the inputs there."""
        positions = self.placement.positions(self.batch_size)
        if not streamed:
            return Share(positions)
        inputs = np.asarray(self.data.inputs)[: self.batch_size]
        return Share(positions, self.placement.split(inputs))


def _prepare(keys, inputs):
    mean, std = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)
    return normalise(augment(keys, inputs, pad=4, flip=True), mean, std)


class Chosen(NamedTuple):
    """What to measure: the network with its data, and names of vicinities."""

    bench: Bench
    names: Collection[str]


def check(values: flags.FlagValues) -> None:
    """Raises UsageError for unknown vicinities and sizes that cannot be."""
    for name in values.vicinities or ():
        if name not in (*_SIDES, _STREAMED):
            raise unknown("vicinity", name, [*_SIDES, _STREAMED])
    for name in ("batch_size", "width"):
        given: Any = values[name].value
        if given < 1:
            raise UsageError(f"{name} must be at least 1, got {given}")


def chosen(values: flags.FlagValues) -> Chosen:
    """Returns what the flags, which `check` has passed, ask for."""
    names = values.vicinities or [*_SIDES, _STREAMED]
    if values.quick:
        names = ["mixup_ac_rp"]
    batch_size = 32 if values.quick else values.batch_size
    bench = Bench(values.width, batch_size, Placement("shard_map"))
    return Chosen(bench, {"erm", *names})


def measure(chosen: Chosen, options: Options) -> dict[str, dict[str, Any]]:
    """Returns for each vicinity its milliseconds, and what it adds to an ERM step.

    Batches, which are quick, are timed in three times as many rounds as steps.
    """
    bench, names = chosen
    sides = {name: Vicinity(**_SIDES[name]) for name in _SIDES if name in names}
    made = {name: v for name, v in sides.items() if not v.stage}
    stepped = {name: v for name, v in sides.items() if v.stage or name == "erm"}
    makers = {name: bench.batches(v) for name, v in made.items()}
    if _STREAMED in names:
        makers[_STREAMED] = bench.batches(Vicinity(alpha=1.0), streamed=True)
    batches = timing.in_turns(makers, rounds=3 * options.rounds)
    steps = timing.in_turns(
        {name: bench.steps(v) for name, v in stepped.items()}, rounds=options.rounds
    )
    step = steps["erm"].median
    rows = {}
    for kind, times in (("batch", batches), ("step", steps)):
        for name, took in times.items():
            rows[name if name not in rows else f"{name}, whole step"] = {
                "milliseconds": 1e3 * took.median,
                "spread_milliseconds": 1e3 * took.spread,
                "over_erm": (took.median - times["erm"].median) / step,
                "measured_on": kind,
            }
    return rows


def table(rows: dict[str, dict[str, Any]]) -> str:
    """Returns the figures as Markdown."""
    lines = ["| vicinity | ms | ± | measured on | over ERM |", "|---|---|---|---|---|"]
    for name, row in rows.items():
        lines.append(
            f"| {name} | {row['milliseconds']:.2f} | {row['spread_milliseconds']:.2f} "
            f"| {row['measured_on']} | {row['over_erm']:+.2%} |"
        )
    return "\n".join(lines)
