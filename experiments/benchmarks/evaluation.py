"""Classifying and attacking with the paper's CIFAR network, beside PyTorch."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from experiments.benchmarks.suite import Comparison, Options, compare
from mixup_jax import models
from mixup_jax.evaluation.adversarial import fgsm

_SHAPE, _CLASSES, _BATCH = (32, 32, 3), 10, 128


def measure(options: Options) -> list[Comparison]:
    """Compares evaluation and one step of FGSM; nothing with `quick`."""
    if options.quick:
        return []
    from experiments.benchmarks import torch_networks, torch_side

    torch_side.set_threads(options.threads)
    first = (_SHAPE[2], *_SHAPE[:2])
    network = functools.partial(
        torch_networks.PreActResNet, _CLASSES, 18, 64, official=False
    )
    theirs = torch_side.evaluation(network(), first, _BATCH)
    attack = torch_side.fgsm(network(), first, _CLASSES, _BATCH)
    classify, ours = _our_sides()
    last = "PyTorch, channels last"
    items = [
        ("evaluation", {"ours": classify, last: theirs}),
        ("FGSM", {"ours": ours, last: attack}),
    ]
    return [
        compare(
            f"{name}, PreAct ResNet-18, batch {_BATCH}",
            sides,
            options,
            amount=_BATCH,
            unit="images",
        )
        for name, sides in items
    ]


def _our_sides() -> tuple[Callable[[], Any], Callable[[], Any]]:
    network = models.create("preact_resnet18", _CLASSES)
    variables = models.initialise(network, jax.random.key(0), _SHAPE)
    x = jax.random.uniform(jax.random.key(1), (_BATCH, *_SHAPE))
    y = jnp.arange(_BATCH) % _CLASSES

    def predict(variables: Any, x: jax.Array) -> Any:
        return network.apply(variables, x, train=False)

    @jax.jit
    def classify(variables, x):
        return predict(variables, x).argmax(axis=1)

    @jax.jit
    def attack(variables, x, y):
        logits = functools.partial(predict, variables)
        return fgsm(logits, x, y, epsilon=4 / 255, low=0.0, high=1.0)

    return lambda: classify(variables, x), lambda: attack(variables, x, y)
