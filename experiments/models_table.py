r"""The table of the paper's networks: sizes, agreement with PyTorch, compile time.

  python -m experiments.models_table > models.md
  python -m experiments.models_table --compile --only=resnet50
  python -m experiments.models_table --whole --only=preact_resnet18

Differences are between one step here and one of independent PyTorch networks with
the same weights (`tests/models/comparison.py`, so this needs a checkout and the
package torch), as shares of the greatest value. They are measured on small members
of each family in float32, or with --whole on the paper's own networks in float64 (in
float32 rounding decides the side of 0 for some of their ReLUs, in PyTorch too).
With --compile, the processor's seconds (of all cores together, so that other work on
the machine does not count) for initialising the paper's own network, compiling
included, and for compiling its training step.
"""

import sys
import time
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from absl import flags

from experiments import common
from mixup_jax import losses, models, runtime
from mixup_jax.errors import UsageError, unknown
from mixup_jax.models import cost

_HEAD = (
    "network",
    "parameters",
    "of the reference",
    "multiply-adds",
    "logits differ by",
    "gradients differ by",
    "measured on",
    "initialise, s",
    "compile the step, s",
)
# Whose small member of the same family stands for a network.
_FAMILY = {"resnet101": "resnet50", "resnext101_64x4d": "resnext101_32x4d"}


def main(argv: Sequence[str]) -> None:
    values = flags.FlagValues()
    here = {"flag_values": values}
    flags.DEFINE_list("only", None, "names of networks [all]", **here)
    flags.DEFINE_bool("whole", False, "compare whole networks (minutes each)", **here)
    flags.DEFINE_bool("compile", False, "time compilation (minutes in all)", **here)
    if common.parse(values, __doc__, argv):
        return
    for name in values.only or ():
        if name not in models.BUILDERS:
            raise unknown("model", name, models.BUILDERS)
    if values.whole and values.compile:
        raise UsageError("--compile times float32, --whole compares in float64")
    runtime.start(cache=not values.compile)
    jax.config.update("jax_enable_x64", values.whole)
    print("| " + " | ".join(_HEAD) + " |")
    print("|" + "---|" * len(_HEAD))
    for name in values.only or models.BUILDERS:
        row = _row(name, whole=values.whole, compiling=values.compile)
        print("| " + " | ".join(row) + " |", flush=True)


def _row(name: str, *, whole: bool, compiling: bool) -> list[str]:
    comparison = _comparison()
    member = comparison.FULL[name]
    network = models.create(name, member.classes)
    small = _FAMILY.get(name, name)
    measured = member if whole else comparison.SMALL[small]
    batch = 2 if whole else 8
    difference = comparison.compare(
        name if whole else small, measured, batch, double=whole
    )
    print(name, difference, file=sys.stderr)
    return [
        f"`{name}`",
        f"{cost.parameters(network, member.inputs):,}",
        f"{comparison.reference_parameters(name):,}",
        f"{cost.multiply_adds(network, member.inputs):,}",
        f"{difference.logits:.0e}",
        f"{difference.gradients:.0e}",
        "the whole, float64" if whole else _described(small, measured.overrides),
        *(_seconds(network, member.inputs) if compiling else ("", "")),
    ]


def _described(name: str, overrides: dict[str, int | float]) -> str:
    fields = ", ".join(f"{field} {value}" for field, value in overrides.items())
    return f"`{name}`, {fields}"


def _seconds(network, inputs: tuple[int, ...]) -> tuple[str, str]:
    start = time.process_time()
    jax.block_until_ready(models.initialise(network, jax.random.key(0), inputs))
    initialising = time.process_time() - start
    return f"{initialising:.1f}", f"{_compile_seconds(network, inputs):.1f}"


def _compile_seconds(network, inputs: tuple[int, ...]) -> float:
    """Returns what a training step takes from Python to compiled, gradients and all."""
    variables = models.shapes(network, inputs)
    x = jax.ShapeDtypeStruct((8, *inputs), jnp.float32)
    targets = jax.ShapeDtypeStruct((8, network.num_classes), jnp.float32)
    keys = jax.eval_shape(lambda: jax.random.split(jax.random.key(0), 8))

    def step(variables, x, targets, keys):
        def loss(params):
            logits, updated = network.apply(
                {**variables, "params": params},
                x,
                train=True,
                dropout_keys=keys,
                mutable=["batch_stats"],
            )
            return losses.soft_cross_entropy(logits, targets).mean(), updated

        return jax.value_and_grad(loss, has_aux=True)(variables["params"])

    start = time.process_time()
    jax.jit(step).lower(variables, x, targets, keys).compile()
    return time.process_time() - start


def _comparison():
    try:
        from tests.models import comparison
    except ImportError as error:
        raise UsageError(
            f"this runs in a checkout with PyTorch: {error}; pip install torch"
        ) from error
    return comparison


if __name__ == "__main__":
    common.main(main)
