"""A training step of every network family: ours, PyTorch, plain Flax.

Ours draws, mixes, scales bytes to floats and updates; PyTorch mixes and updates random
floats. The largest networks have fewer layers here than in the paper, and all smaller
batches where one would take long; layers are of the paper's widths.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax.typing import DTypeLike

from experiments.benchmarks import our_side, plain_flax
from experiments.benchmarks.suite import Comparison, Options, compare


class Family(NamedTuple):
    """A network, and the same in PyTorch.

    Attributes:
      model: Name of ours.
      inputs: Shape of one example, channels last.
      classes: K.
      batch_size: Examples.
      torch: Class in `torch_networks`, and its arguments after the classes.
      overrides: Fields of ours.
      adam: The optimizer.
    """

    model: str
    inputs: tuple[int, ...]
    classes: int
    batch_size: int
    torch: tuple[str, dict[str, Any]]
    overrides: Mapping[str, Any] = {}
    adam: bool = False


_CIFAR, _IMAGENET, _SPEECH = (32, 32, 3), (224, 224, 3), (161, 101, 1)
_PREACT = ("PreActResNet", {"depth": 18, "width": 64, "official": False})
FAMILIES = {
    "PreAct ResNet-18": Family("preact_resnet18", _CIFAR, 10, 128, _PREACT),
    "WideResNet-28-10": Family(
        "wide_resnet28_10", _CIFAR, 10, 16, ("WideResNet", {"depth": 28, "width": 10})
    ),
    "DenseNet-BC-40, k = 40": Family(
        "densenet_bc190_40",
        _CIFAR,
        10,
        32,
        ("DenseNet", {"depth": 40, "growth": 40}),
        {"depth": 40},
    ),
    "ResNet-50": Family(
        "resnet50",
        _IMAGENET,
        1000,
        8,
        ("ResNet", {"blocks": (3, 4, 6, 3), "width": 64}),
    ),
    "ResNeXt-50 32x4d": Family(
        "resnext101_32x4d",
        _IMAGENET,
        1000,
        8,
        (
            "ResNet",
            {"blocks": (3, 4, 6, 3), "width": 64, "groups": 32, "group_width": 4},
        ),
        {"depth": 50},
    ),
    "speech LeNet": Family(
        "speech_lenet",
        _SPEECH,
        30,
        100,
        ("SpeechLeNet", {"width": 20, "hidden": 1000, "flat": 16280}),
    ),
    "speech VGG-11": Family(
        "speech_vgg11",
        _SPEECH,
        30,
        32,
        ("SpeechVGG", {"width": 64, "hidden": 512, "flat": 7680}),
    ),
    "MLP, 2 x 128": Family(
        "mlp", (10,), 10, 16, ("Perceptron", {"sizes": [10, 128, 128, 10]}), {}, True
    ),
}


def measure(options: Options) -> list[Comparison]:
    """Compares the families; with `quick`, the first alone on a smaller batch."""
    chosen = dict(FAMILIES)
    if options.quick:
        name, family = next(iter(chosen.items()))
        chosen = {name: family._replace(batch_size=32)}
    return [_family(name, family, options) for name, family in chosen.items()]


def ours(
    family: Family,
    *,
    calls: int = 0,
    alpha: float = 1.0,
    dtype: DTypeLike = jnp.float32,
) -> Callable[[], Any]:
    """Returns our step of a family; for `calls` and `alpha` see `our_side.step`."""
    return our_side.step(
        family.model,
        family.inputs,
        family.classes,
        batch_size=family.batch_size,
        overrides={**family.overrides, "dtype": dtype},
        alpha=alpha,
        adam=family.adam,
        calls=calls,
    )


def _family(name: str, family: Family, options: Options) -> Comparison:
    sides: dict[str, Callable] = {
        "ours": ours(family),
        **_torch_sides(family, options),
    }
    if family.model == "preact_resnet18" and not options.quick:
        sides["plain Flax"] = plain_flax.train_step(family.batch_size, 64)
        sides["ours, ERM"] = ours(family, alpha=0.0)
    item = f"step, {name}, batch {family.batch_size}"
    return compare(item, sides, options, amount=family.batch_size, unit="examples")


def _torch_sides(family: Family, options: Options) -> dict[str, Callable]:
    from experiments.benchmarks import torch_networks, torch_side

    torch_side.set_threads(options.threads)
    kind, arguments = family.torch
    *space, channels = family.inputs
    images = len(family.inputs) == 3

    def step(layout):
        if kind == "Perceptron":
            network = torch_networks.Perceptron(**arguments)
        else:
            network = getattr(torch_networks, kind)(family.classes, **arguments)
        return torch_side.train_step(
            network,
            (channels, *space),
            family.classes,
            batch_size=family.batch_size,
            layout=layout,
            adam=family.adam,
        )

    layouts = list(torch_side.LAYOUTS.items())[: None if images else 1]
    return {name: step(layout) for name, layout in layouts}
