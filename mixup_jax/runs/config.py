"""What a run is: every choice that can change its result, and nothing else."""

import dataclasses
import math
import numbers
from collections.abc import Sequence
from typing import Any

import flax.linen as nn

from mixup_jax import models
from mixup_jax.data.options import DataOptions
from mixup_jax.errors import UsageError, out_of_range, unknown
from mixup_jax.training import optimizer
from mixup_jax.vicinity.vicinity import Vicinity

DTYPES = ("float32", "bfloat16")


def _field(default: Any, help: str) -> Any:
    return dataclasses.field(default=default, metadata={"help": help})


@dataclasses.dataclass(frozen=True)
class RunConfig(Vicinity, DataOptions):
    """One run. The defaults are the paper's CIFAR-10 setting with ERM (section 3.2).

    The fields of `Vicinity` and of `DataOptions` are fields of the run too: each has
    its flag.

    Two runs with equal configs end in equal parameters, whatever the wrapper or the
    directories; batch statistics are per device unless `sync_batch_norm`.
    """

    model: str = _field("preact_resnet18", "network; docs/networks.md names them")
    depth: int = _field(0, "layers of the network; 0: the paper's")
    width: int = _field(0, "channels or units of its first stage; 0: the paper's")
    dropout: float = _field(0.0, "probability of a zero, where the network has dropout")
    init: str = _field(
        "", "initialisation, such as torch2017; empty: the network's own"
    )
    dtype: str = _field(
        "float32", "of the computation, float32 or bfloat16; parameters stay float32"
    )
    sync_batch_norm: bool = _field(
        False, "batch statistics over all devices, not each its own"
    )
    ghost_batch_norm: int = _field(
        0, "batch statistics over groups of so many examples; 0: over a device's"
    )
    epochs: int = _field(200, "passes over the training set")
    batch_size: int = _field(128, "examples per step, over all devices")
    steps_per_call: int = _field(
        1, "steps that a compiled call takes, where a step is short for its device"
    )
    accumulate: int = _field(
        1, "parts of a device's batch, one after another: less memory"
    )
    remat: bool = _field(
        False, "less memory, more time on a GPU or TPU; a CPU ignores it"
    )
    ema: float = _field(
        0.0, "decay of averaged parameters, which are evaluated; 0: none"
    )
    drop_last: bool = _field(False, "leave out the short last batch of an epoch")
    optimizer: str = _field("sgd", "sgd or adam")
    learning_rate: float = _field(0.1, "of the whole batch, before the first drop")
    lr_drops: tuple[int, ...] = _field((100, 150), "epochs at which the rate drops")
    lr_factor: float = _field(0.1, "what each drop multiplies the rate by")
    lr_delay: int = _field(0, "epochs by which drops are late; official script: 1")
    lr_warmup: int = _field(0, "epochs over which the rate rises to learning_rate")
    lr_warmup_from: float = _field(0.0, "the rate that it rises from")
    momentum: float = _field(0.9, "of SGD; 0: none")
    nesterov: bool = _field(False, "Nesterov's form of momentum")
    weight_decay: float = _field(1e-4, "L2 on all parameters, added to the gradient")
    decay_norm: bool = _field(True, "batch norm's parameters decay too")
    eval_batch_size: int = _field(500, "examples per evaluation step")
    train_error_every: int = _field(
        0, "epochs between measures of training error; 0: after the last; -1: never"
    )
    seed: int = _field(0, "seed of initialisation, order, augmentation and mixing")

    def validate(self) -> None:
        """Raises one UsageError that lists everything wrong with this config."""
        problems = [
            *self.vicinity.problems(),
            *self.data.problems(),
            *self._wrong_run_numbers(),
            *self._wrong_names(),
        ]
        if problems:
            raise UsageError("\n".join(problems))

    @property
    def vicinity(self) -> Vicinity:
        """How virtual examples are made."""
        return self._part(Vicinity)

    @property
    def data(self) -> DataOptions:
        """What is learned from."""
        return self._part(DataOptions)

    def _part(self, kind: Any) -> Any:
        fields = dataclasses.fields(kind)
        return kind(**{field.name: getattr(self, field.name) for field in fields})

    def _wrong_run_numbers(self) -> list[str]:
        ranges = {
            **dict.fromkeys(_AT_LEAST_1, (1, math.inf)),
            **dict.fromkeys(_COUNTS, (0, math.inf)),
            "train_error_every": (-1, math.inf),
        }
        problems = out_of_range(self, ranges)
        for name in ("momentum", "ema"):
            value = getattr(self, name)
            if not (isinstance(value, numbers.Real) and 0 <= float(value) < 1):
                problems.append(f"{name} must be from 0 to below 1, got {value!r}")
        if self.accumulate > 1 and self.mixes and self.stage:
            problems.append(
                f"mix_at {self.mix_at} mixes within the network, whose partners "
                "accumulate would leave in other parts; set accumulate to 1"
            )
        if not (isinstance(self.seed, numbers.Integral) and 0 <= self.seed < 2**32):
            problems.append(f"seed must be from 0 to 2**32 - 1, got {self.seed!r}")
        if not (
            isinstance(self.lr_drops, Sequence)
            and all(isinstance(epoch, numbers.Integral) for epoch in self.lr_drops)
        ):
            return [*problems, f"lr_drops must be epochs, got {self.lr_drops!r}"]
        if any(problem.startswith(("lr_", "learning_rate")) for problem in problems):
            return problems  # a schedule cannot be built of these numbers
        return problems + _messages(self.schedule, 1)

    def _wrong_names(self) -> list[str]:
        names = [
            ("optimizer", self.optimizer, optimizer.NAMES),
            ("dtype", self.dtype, DTYPES),
        ]
        problems = [
            str(unknown(kind, name, known))
            for kind, name, known in names
            if name not in known
        ]
        # Whose own complaint of a dtype would be the second.
        known = dataclasses.replace(self, dtype=DTYPES[0])
        return problems + _messages(known.check_network, None, 2)

    def check_network(self, inputs: tuple[int, ...] | None, num_classes: int) -> None:
        """Raises UsageError if the network cannot be built, or cannot read the inputs.

        Args:
          inputs: Shape of one example; None for what the paper used the network on.
          num_classes: K.
        """
        # Any axis name: options that exclude each other must show here.
        network = self.network(num_classes, axis_name="devices")
        inputs = inputs or models.BUILDERS[self.model].inputs
        try:
            models.shapes(network, inputs)
        except UsageError:
            raise
        except (ValueError, TypeError, ZeroDivisionError) as error:
            raise UsageError(
                f"{self.model} cannot read examples of shape {inputs}: {error}"
            ) from error
        stages = getattr(network, "num_stages", 0)
        if self.mixes and self.stage > stages:
            raise UsageError(
                f"mix_at {self.mix_at}: {self.model} has stages 1 to {stages}"
            )

    def network(self, num_classes: int, axis_name: str | None = None) -> nn.Module:
        """Returns the network, sized as this config says."""
        sizes = {name: getattr(self, name) for name in ("depth", "width", "dropout")}
        return models.create(
            self.model,
            num_classes,
            dtype=self.dtype,
            init=self.init or None,
            axis_name=axis_name if self.sync_batch_norm else None,
            ghost=self.ghost_batch_norm,
            **{name: size for name, size in sizes.items() if size},
        )

    def schedule(self, steps_per_epoch: int):
        """Returns the learning rate as a function of the step."""
        return optimizer.step_schedule(
            self.learning_rate,
            self.lr_drops,
            steps_per_epoch=steps_per_epoch,
            factor=self.lr_factor,
            delay=self.lr_delay,
            warmup=self.lr_warmup,
            warmup_from=self.lr_warmup_from,
        )

    def steps_per_epoch(self, examples: int) -> int:
        """Returns the steps of an epoch over so many training examples."""
        whole, rest = divmod(examples, self.batch_size)
        return whole + (rest > 0 and not self.drop_last)


_AT_LEAST_1 = "epochs batch_size eval_batch_size accumulate steps_per_call".split()
_COUNTS = (
    "depth ghost_batch_norm learning_rate lr_delay lr_factor lr_warmup lr_warmup_from "
    "weight_decay width"
).split()


def config_from_json(content: dict[str, Any]) -> RunConfig:
    """Returns the config that config.json holds; JSON has no tuples."""
    names = {field.name for field in dataclasses.fields(RunConfig)}
    if unknown_names := sorted(content.keys() - names):
        raise UsageError(f"config.json has unknown fields: {', '.join(unknown_names)}")
    fields = dict(content)
    fields["lr_drops"] = tuple(fields.get("lr_drops", ()))
    return RunConfig(**fields)


def _messages(build, *args) -> list[str]:
    try:
        build(*args)
    except UsageError as error:
        return [str(error)]
    return []
