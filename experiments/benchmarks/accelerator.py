"""Steps on a GPU: ours against PyTorch compiled, channels last, in two precisions.

Each side takes some steps, of which only the last is waited for, as training does.
PyTorch has what makes it fast: `torch.compile` of the network, once with CUDA graphs,
convolutions chosen by measuring, a fused optimizer, TF32 for float32, which is JAX's
default too. The share of the peak is of what a product of large random matrices reaches
in the same precision in the same process. Not run by default: on a CPU it takes hours.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from experiments import markdown, timing
from experiments.benchmarks import steps
from experiments.benchmarks.suite import Comparison, Options, compare
from mixup_jax import models
from mixup_jax.models.cost import multiply_adds

# Networks and examples of a batch; the paper's of 128 first.
WORK = (
    ("PreAct ResNet-18", 128),
    ("PreAct ResNet-18", 512),
    ("WideResNet-28-10", 128),
    ("ResNet-50", 128),
)
_QUICK = (("PreAct ResNet-18", 8),)
PRECISIONS = {"bfloat16": jnp.bfloat16, "float32": jnp.float32}
_COMPILED = {"PyTorch": "default", "PyTorch, CUDA graphs": "reduce-overhead"}
_STEPS = 20  # of a call
_SIDE = 8192  # of the matrices


class Measured(NamedTuple):
    """A comparison, and what our side computes.

    Attributes:
      comparison: Of some steps.
      precision: Of both sides.
      share: Of the operations per second that a product of matrices reaches.
    """

    comparison: Comparison
    precision: str
    share: float


def measure(options: Options, *, side: int = _SIDE) -> list[Measured]:
    """Compares all networks in both precisions; with `quick`, one at a batch of 8."""
    found = []
    for precision, dtype in PRECISIONS.items():
        peak = _operations_per_second(side, dtype, options)
        for name, batch_size in _QUICK if options.quick else WORK:
            family = steps.FAMILIES[name]._replace(batch_size=batch_size)
            count = 1 if options.quick else _STEPS
            sides = _sides(family, precision, count)
            item = f"step, {name}, batch {batch_size}, {precision}"
            amount = count * batch_size
            done = compare(item, sides, options, amount=amount, unit="images")
            rate = amount / done.sides["ours"].median
            found.append(Measured(done, precision, _operations(family) * rate / peak))
            print(table(found[-1:]).splitlines()[-1], flush=True)
            jax.clear_caches()  # programs hold memory that the next network needs
    return found


def table(found: list[Measured]) -> str:
    """Returns the short table in Markdown: images per second of every side."""
    names = list(found[0].comparison.sides)
    rows = []
    for each in found:
        done = each.comparison
        rates = [f"{done.amount / done.sides[name].median:,.0f}" for name in names]
        ratios = [f"{done.ratio(name):.2f}" for name in names[1:]]
        rows.append([done.item, *rates, *ratios, f"{each.share:.0%}"])
    head = ["images per second", *names, *(f"ours / {name}" for name in names[1:])]
    return markdown.table([*head, "of a product's rate"], rows)


def _sides(
    family: steps.Family, precision: str, count: int
) -> dict[str, Callable[[], Any]]:
    dtype = PRECISIONS[precision]
    ours = functools.partial(steps.ours, family, calls=count, dtype=dtype)
    return {
        "ours": ours(),
        "ours, ERM": ours(alpha=0.0),
        **{
            name: _torch_side(family, precision, count, mode)
            for name, mode in _COMPILED.items()
        },
    }


def _torch_side(
    family: steps.Family, precision: str, count: int, mode: str
) -> Callable[[], float]:
    from experiments.benchmarks import torch_networks, torch_side

    torch_side.choose_fast_kernels()
    kind, arguments = family.torch
    *space, channels = family.inputs
    return torch_side.train_step(
        getattr(torch_networks, kind)(family.classes, **arguments),
        (channels, *space),
        family.classes,
        batch_size=family.batch_size,
        layout=torch_side.LAYOUTS["PyTorch, channels last"],
        bfloat16=precision == "bfloat16",
        compiled="" if jax.default_backend() == "cpu" else mode,
        steps=count,
    )


def _operations(family: steps.Family) -> int:
    """Of a training step on one example: forward, and twice that backward."""
    network = models.create(family.model, family.classes, **family.overrides)
    return 3 * 2 * multiply_adds(network, family.inputs)


def _operations_per_second(side: int, dtype: Any, options: Options) -> float:
    matrix = jax.random.normal(jax.random.key(0), (side, side), dtype)
    product = jax.jit(lambda a: a @ a)
    times = timing.in_turns({"product": lambda: product(matrix)}, rounds=options.rounds)
    return 2 * side**3 / times["product"].best
