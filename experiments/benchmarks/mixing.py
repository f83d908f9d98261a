"""Mixing alone, against a copy of the batch: what memory allows.

The whole of a draw, partners and the mix; the copy is NumPy's into memory that is there
already. "As the formula is written" is PyTorch's of the official script.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import mixup_jax
from experiments.benchmarks.suite import Comparison, Options, compare
from mixup_jax.data.augment import normalise
from mixup_jax.vicinity.mix import combine, shares, sources

SHAPES = {"128x32x32x3": (128, 32, 32, 3), "1024x224x224x3": (1024, 224, 224, 3)}


def measure(options: Options) -> list[Comparison]:
    """Compares both sizes; with `quick`, the small one alone."""
    if options.quick:
        name, shape = next(iter(SHAPES.items()))
        return [_size(name, shape, options)]
    return [
        *(_size(name, shape, options) for name, shape in SHAPES.items()),
        *(_bytes(name, shape, options) for name, shape in SHAPES.items()),
        _losses(options),
        _lambdas(options),
    ]


def _size(name: str, shape: tuple[int, ...], options: Options) -> Comparison:
    x = jax.random.normal(jax.random.key(0), shape)
    source = np.asarray(x)
    target = np.empty_like(source)
    sides: dict[str, Callable[[], Any]] = {
        "mixup": _mixing(x, "batch"),
        "mixup, lambda per example": _mixing(x, "example"),
        "CutMix": _cutmix(x),
        "copy": lambda: np.copyto(target, source),
        **_torch_sides(shape, options),
    }
    megabytes = x.nbytes / 1e6
    return compare(f"mixing {name}", sides, options, amount=megabytes, unit="MB")


def _bytes(name: str, shape: tuple[int, ...], options: Options) -> Comparison:
    """As training makes a batch of a data set that lies in memory."""
    from experiments.benchmarks import torch_side

    rng = np.random.default_rng(0)
    stored = jnp.asarray(rng.integers(0, 256, shape, np.uint8))
    mean, std = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)

    @jax.jit
    def mix(key, stored):
        draw = mixup_jax.draw_mixing(key, len(stored), alpha=1.0)
        rows = (stored, *(stored[partner] for partner in sources(draw)))
        return combine([normalise(each, mean, std) for each in rows], shares(draw))

    source = np.zeros(shape, np.float32)
    target = np.empty_like(source)
    batch, height, width, channels = shape
    first = (batch, channels, height, width)
    key = jax.random.key(1)
    sides: dict[str, Callable[[], Any]] = {
        "ours": lambda: mix(key, stored),
        "copy of the result": lambda: np.copyto(target, source),
        "PyTorch": torch_side.normalised_and_mixed(first, mean, std),
    }
    item, megabytes = f"bytes normalised and mixed, {name}", source.nbytes / 1e6
    return compare(item, sides, options, amount=megabytes, unit="MB")


def _losses(options: Options) -> Comparison:
    """Loss and gradient of mixed class ids: XLA never writes the one-hot targets."""
    rng = np.random.default_rng(0)
    logits = jnp.asarray(rng.normal(size=(1024, 1000)), jnp.float32)
    own, theirs = (jnp.asarray(rng.integers(0, 1000, 1024, np.int32)) for _ in range(2))

    def soft(logits):
        hot = [jax.nn.one_hot(ids, 1000) for ids in (own, theirs)]
        targets = combine(hot, [jnp.float32(0.3), jnp.float32(0.7)])
        return mixup_jax.soft_cross_entropy(logits, targets).mean()

    def by_id(logits):
        loss = mixup_jax.two_target_cross_entropy
        return loss(logits, own, theirs, jnp.float32(0.3)).mean()

    sides = {
        name: functools.partial(jax.jit(jax.value_and_grad(loss)), logits)
        for name, loss in (("soft targets, as training", soft), ("by class id", by_id))
    }
    item = "loss and gradient, 1024 x 1000 logits"
    return compare(item, sides, options, amount=1024, unit="examples")


def _lambdas(options: Options) -> Comparison:
    """One lambda: in closed form, and by rejection in loops as JAX draws a Beta."""
    key = jax.random.key(0)
    ours = jax.jit(lambda key: mixup_jax.sample_lambda(key, 0.2))
    loops = jax.jit(lambda key: jax.random.beta(key, 0.2, 0.2))
    sides = {"ours": lambda: ours(key), "jax.random.beta": lambda: loops(key)}
    return compare("one lambda, alpha 0.2", sides, options, amount=1, unit="draws")


def _mixing(x: jax.Array, lam_per: str) -> Callable[[], Any]:
    @jax.jit
    def mix(key, x):
        draw = mixup_jax.draw_mixing(key, len(x), alpha=1.0, lam_per=lam_per)
        return mixup_jax.apply_mixing(draw, x)

    key = jax.random.key(1)
    return lambda: mix(key, x)


def _cutmix(x: jax.Array) -> Callable[[], Any]:
    targets = jax.nn.one_hot(np.arange(len(x)) % 10, 10)
    mix = jax.jit(lambda key, x: mixup_jax.cutmix(key, x, targets, alpha=1.0))
    key = jax.random.key(1)
    return lambda: mix(key, x)


def _torch_sides(
    shape: tuple[int, ...], options: Options
) -> dict[str, Callable[[], Any]]:
    from experiments.benchmarks import torch_side

    torch_side.set_threads(options.threads)
    batch, height, width, channels = shape
    first = (batch, channels, height, width)
    return {
        "PyTorch, as the formula is written": torch_side.mixed(first),
        "the same, lambda per example": torch_side.mixed(first, per_example=True),
    }
