"""How the cost of our step grows with the batch, the network and the data set.

Nothing is compared here: what counts is that time grows as the work does. Devices have
a program of their own, `experiments.scaling`.
"""

from collections.abc import Mapping
from typing import Any

from experiments.benchmarks import our_side
from experiments.benchmarks.suite import Comparison, Options, compare

_BATCHES = (16, 32, 64, 128)
_WIDTHS = (16, 32, 64)
_EXAMPLES = (1_000, 10_000, 50_000)


def measure(options: Options) -> list[Comparison]:
    """Returns a comparison for each batch, width and size; nothing with `quick`."""
    if options.quick:
        return []
    found = [_step({"batch_size": size}, options) for size in _BATCHES]
    found += [_step({"width": width}, options) for width in _WIDTHS]
    return found + [_step({"examples": count}, options) for count in _EXAMPLES]


def _step(changed: Mapping[str, Any], options: Options) -> Comparison:
    chosen: dict[str, Any] = {
        "batch_size": 32,
        "width": 32,
        "examples": None,
        **changed,
    }
    step = our_side.step(
        "preact_resnet18",
        (32, 32, 3),
        10,
        batch_size=chosen["batch_size"],
        overrides={"width": chosen["width"]},
        examples=chosen["examples"],
    )
    ((name, value),) = changed.items()
    return compare(
        f"growth, {name.replace('_', ' ')} {value:,}",
        {"ours": step},
        options,
        amount=chosen["batch_size"],
        unit="examples",
    )
