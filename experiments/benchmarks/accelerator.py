"""Steps on a GPU: ours against PyTorch compiled, channels last, in two precisions.

The share of the peak is of what a product of large matrices reaches in the same
precision in the same process. Not run by default: on a CPU it takes hours.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from experiments import markdown, timing
from experiments.benchmarks import our_side, steps
from experiments.benchmarks.suite import Comparison, Options, compare
from mixup_jax import models
from mixup_jax.models.cost import multiply_adds

# Examples of a batch.
SIZES = {"PreAct ResNet-18": 512, "WideResNet-28-10": 128, "ResNet-50": 128}
PRECISIONS = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}
_SIDE = 8192  # of the matrices


class Measured(NamedTuple):
    """A comparison, and what our side computes.

    Attributes:
      comparison: Of a step.
      precision: Of both sides.
      share: Of the operations per second that a product of matrices reaches.
    """

    comparison: Comparison
    precision: str
    share: float


def measure(options: Options, *, side: int = _SIDE) -> list[Measured]:
    """Compares all networks in both precisions; with `quick`, one at a batch of 8."""
    found = []
    sizes = {"PreAct ResNet-18": 8} if options.quick else SIZES
    for precision, dtype in PRECISIONS.items():
        peak = _operations_per_second(side, dtype, options)
        for name, batch_size in sizes.items():
            family = steps.FAMILIES[name]._replace(batch_size=batch_size)
            sides = _sides(family, precision)
            item = f"step, {name}, batch {batch_size}, {precision}"
            done = compare(item, sides, options, amount=batch_size, unit="images")
            rate = batch_size / done.sides["ours"].median
            found.append(Measured(done, precision, _operations(family) * rate / peak))
    return found


def table(found: list[Measured]) -> str:
    """Returns the short table in Markdown."""
    rows = [
        [
            each.comparison.item,
            *(
                f"{each.comparison.amount / took.median:,.0f}"
                for took in each.comparison.sides.values()
            ),
            f"{each.comparison.ratio(list(each.comparison.sides)[1]):.2f}",
            f"{each.share:.0%}",
        ]
        for each in found
    ]
    head = [
        "work",
        "ours, images/s",
        "PyTorch",
        "ours / PyTorch",
        "of a product's rate",
    ]
    return markdown.table(head, rows)


def _sides(family: steps.Family, precision: str) -> dict[str, Callable[[], Any]]:
    from experiments.benchmarks import torch_networks, torch_side

    kind, arguments = family.torch
    *space, channels = family.inputs
    dtype = PRECISIONS[precision]
    theirs = torch_side.train_step(
        getattr(torch_networks, kind)(family.classes, **arguments),
        (channels, *space),
        family.classes,
        batch_size=family.batch_size,
        layout=torch_side.LAYOUTS["PyTorch, channels last"],
        bfloat16=precision == "bfloat16",
        compiled=jax.default_backend() != "cpu",
    )
    ours = our_side.step(
        family.model,
        family.inputs,
        family.classes,
        batch_size=family.batch_size,
        overrides={**family.overrides, "dtype": dtype},
    )
    return {"ours": ours, "PyTorch": theirs}


def _operations(family: steps.Family) -> int:
    """Of a training step on one example: forward, and twice that backward."""
    network = models.create(family.model, family.classes, **family.overrides)
    return 3 * 2 * multiply_adds(network, family.inputs)


def _operations_per_second(side: int, dtype: Any, options: Options) -> float:
    matrix = jnp.ones((side, side), dtype)
    product = jax.jit(lambda a: a @ a)
    times = timing.in_turns({"product": lambda: product(matrix)}, rounds=options.rounds)
    return 2 * side**3 / times["product"].best
