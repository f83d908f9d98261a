"""Our networks against independent PyTorch ones: one step of each, measured.

Used by test_torch_equality.py and by experiments/models_table.py.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import torch

from experiments.benchmarks import torch_networks as reference
from mixup_jax import models
from mixup_jax.models import convert


class Member(NamedTuple):
    """A network small enough to compile in seconds, and its PyTorch counterpart."""

    overrides: dict
    inputs: tuple
    torch: partial
    classes: int = 5


_ONES, _SPEECH = (1, 1, 1, 1), (41, 37, 1)
_PREACT = partial(reference.PreActResNet, depth=18, width=4)
_OFFICIAL = partial(reference.PreActResNet, depth=18, width=4, official=True)

SMALL = {
    "preact_resnet18": Member(
        {"width": 4}, (16, 16, 3), partial(_PREACT, official=False)
    ),
    "preact_resnet18_official": Member({"width": 4}, (16, 16, 3), _OFFICIAL),
    "wide_resnet28_10": Member(
        {"depth": 16, "width": 1},
        (16, 16, 3),
        partial(reference.WideResNet, depth=16, width=1),
    ),
    "densenet_bc190_40": Member(
        {"depth": 16, "growth": 5},
        (16, 16, 3),
        partial(reference.DenseNet, depth=16, growth=5),
    ),
    "resnet50": Member(
        {"depth": 26, "width": 8},
        (48, 48, 3),
        partial(reference.ResNet, blocks=(2, 2, 2, 2), width=8),
    ),
    "resnext101_32x4d": Member(
        {"depth": 14, "width": 16, "cardinality": 4, "group_width": 8},
        (48, 48, 3),
        partial(reference.ResNet, blocks=_ONES, width=16, groups=4, group_width=8),
    ),
    "speech_lenet": Member(
        {"width": 6, "hidden": 24, "dropout": 0.0},
        _SPEECH,
        partial(reference.SpeechLeNet, width=6, hidden=24, flat=6 * 7 * 6, dropout=0.0),
    ),
    "speech_vgg11": Member(
        {"width": 4, "hidden": 24},
        (65, 37, 1),
        partial(reference.SpeechVGG, width=4, hidden=24, flat=32 * 2 * 1),
    ),
    "mlp": Member({"width": 16}, (9,), lambda k: reference.Perceptron([9, 16, 16, k])),
    "gan_generator": Member(
        {"width": 16}, (2,), lambda k: reference.Perceptron([2, 16, 16, 16, k])
    ),
    "gan_discriminator": Member(
        {"width": 16}, (2,), lambda k: reference.Perceptron([2, 16, 16, 16, k])
    ),
}


_CIFAR, _IMAGENET = (32, 32, 3), (224, 224, 3)
_RESNET = partial(reference.ResNet, width=64)
_LONG = (3, 4, 23, 3)

# The networks of the paper, whole.
FULL = {
    "preact_resnet18": Member(
        {},
        _CIFAR,
        partial(reference.PreActResNet, depth=18, width=64, official=False),
        10,
    ),
    "preact_resnet18_official": Member(
        {},
        _CIFAR,
        partial(reference.PreActResNet, depth=18, width=64, official=True),
        10,
    ),
    "wide_resnet28_10": Member(
        {}, _CIFAR, partial(reference.WideResNet, depth=28, width=10), 10
    ),
    "densenet_bc190_40": Member(
        {}, _CIFAR, partial(reference.DenseNet, depth=190, growth=40), 10
    ),
    "resnet50": Member({}, _IMAGENET, partial(_RESNET, blocks=(3, 4, 6, 3)), 1000),
    "resnet101": Member({}, _IMAGENET, partial(_RESNET, blocks=_LONG), 1000),
    "resnext101_32x4d": Member(
        {}, _IMAGENET, partial(_RESNET, blocks=_LONG, groups=32, group_width=4), 1000
    ),
    "resnext101_64x4d": Member(
        {}, _IMAGENET, partial(_RESNET, blocks=_LONG, groups=64, group_width=4), 1000
    ),
    "speech_lenet": Member(
        {"dropout": 0.0},
        (161, 101, 1),
        partial(reference.SpeechLeNet, width=20, hidden=1000, flat=16_280, dropout=0.0),
        30,
    ),
    "speech_vgg11": Member(
        {},
        (161, 101, 1),
        partial(reference.SpeechVGG, width=64, hidden=512, flat=7680),
        30,
    ),
    "mlp": Member({}, (8,), lambda k: reference.Perceptron([8, 128, 128, k]), 28),
    "gan_generator": Member(
        {}, (2,), lambda k: reference.Perceptron([2, 512, 512, 512, k]), 2
    ),
    "gan_discriminator": Member(
        {}, (2,), lambda k: reference.Perceptron([2, 512, 512, 512, k]), 1
    ),
}


class Step(NamedTuple):
    """What one evaluation and one training step give, by PyTorch's names."""

    logits: np.ndarray
    loss: np.ndarray
    gradients: dict[str, np.ndarray]
    statistics: dict[str, np.ndarray]


class Differences(NamedTuple):
    logits: float
    loss: float
    gradients: float
    statistics: float


def batch(inputs, classes, size=8, seed=0):
    """Returns inputs and soft targets, as mixing makes them."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(size, *inputs)).astype(np.float32)
    targets = rng.dirichlet(np.ones(classes), size).astype(np.float32)
    return x, targets


def torch_step(network, x, targets) -> Step:
    if x.ndim == 4:
        x = x.transpose(0, 3, 1, 2)
    x, targets = torch.from_numpy(np.ascontiguousarray(x)), torch.from_numpy(targets)
    logits = network.eval()(x).detach().numpy()
    network.train()
    network.zero_grad()
    # F.cross_entropy of PyTorch takes soft targets.
    loss = torch.nn.functional.cross_entropy(network(x), targets)
    loss.backward()
    gradients = {k: p.grad.numpy() for k, p in network.named_parameters()}
    buffers = {k: b.numpy() for k, b in network.named_buffers() if "num_b" not in k}
    return Step(logits, loss.detach().numpy(), gradients, buffers)


def compiled_quickly(function, *args):
    """Compiles a function without the passes that make it fast."""
    lowered = jax.jit(function).lower(*args)
    return lowered.compile({"xla_backend_optimization_level": "0"})


def quickly(function, *args):
    return compiled_quickly(function, *args)(*args)


def thoroughly(function, *args):
    """Compiles for speed: a whole network runs longer than it compiles."""
    return jax.jit(function)(*args)


def jax_step(network, variables, x, targets, run=quickly) -> Step:
    params, stats = variables["params"], variables.get("batch_stats", {})

    def loss_fn(params):
        state = {"params": params, "batch_stats": stats}
        logits, updated = network.apply(state, x, train=True, mutable=["batch_stats"])
        return optax.softmax_cross_entropy(logits, targets).mean(), updated

    def both(params):
        state = {"params": params, "batch_stats": stats}
        return network.apply(state, x, train=False), jax.value_and_grad(
            loss_fn, has_aux=True
        )(params)

    logits, ((loss, updated), gradients) = run(both, params)
    named = convert.to_torch(network, {"params": gradients, **updated})
    statistics = {k: v for k, v in named.items() if "running" in k}
    gradients = {k: v for k, v in named.items() if "running" not in k}
    return Step(np.asarray(logits), np.asarray(loss), gradients, statistics)


def relative(ours, theirs, floor=0.0) -> float:
    """Returns the greatest difference, as a share of the greatest value."""
    assert ours.shape == theirs.shape, (ours.shape, theirs.shape)
    scale = max(np.abs(theirs).max(), floor) or 1.0
    return float(np.abs(ours.astype(np.float64) - theirs).max() / scale)


def differences(ours: Step, theirs: Step) -> Differences:
    assert ours.gradients.keys() == theirs.gradients.keys()
    assert ours.statistics.keys() == theirs.statistics.keys()
    # A bias before batch norm has a gradient of 0, of which both give the rounding.
    floor = 1e-2 * max(np.abs(g).max() for g in theirs.gradients.values())
    pairs = [(ours.gradients[k], theirs.gradients[k]) for k in ours.gradients]
    stats = [(ours.statistics[k], theirs.statistics[k]) for k in ours.statistics]
    return Differences(
        relative(ours.logits, theirs.logits),
        relative(ours.loss, theirs.loss),
        max(relative(a, b, floor) for a, b in pairs),
        max((relative(a, b) for a, b in stats), default=0.0),
    )


def reference_parameters(name: str) -> int:
    """Returns the parameters of PyTorch's whole network, without making any."""
    member = FULL[name]
    with torch.device("meta"):
        network = member.torch(member.classes)
    return sum(parameter.numel() for parameter in network.parameters())


def compare(
    name: str, member: Member | None = None, size: int = 8, double: bool = False
) -> Differences:
    """Returns how far one of our networks is from PyTorch's with the same weights.

    Whole networks are to be compared in double precision (and with jax_enable_x64):
    in single precision some of their millions of ReLUs fall on either side of 0 by
    rounding alone, and a gradient then jumps by per cents, within PyTorch too.
    """
    member = member or SMALL[name]
    theirs = reference.randomise(member.torch(member.classes))
    dtype = jnp.float64 if double else jnp.float32
    ours = models.create(name, member.classes, dtype=dtype, **member.overrides)
    tensors = {k: v.numpy() for k, v in theirs.state_dict().items()}
    like = models.shapes(ours, member.inputs)
    variables = convert.from_torch(ours, tensors, like)
    x, targets = batch(member.inputs, member.classes, size)
    if double:
        theirs, x, targets = theirs.double(), x.astype("d"), targets.astype("d")
        variables = jax.tree.map(lambda leaf: leaf.astype(dtype), variables)
    return differences(
        jax_step(
            ours,
            variables,
            jnp.asarray(x),
            jnp.asarray(targets),
            run=thoroughly if double else quickly,
        ),
        torch_step(theirs, x, targets),
    )
