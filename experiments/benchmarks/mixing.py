"""Mixing alone, against a copy of the batch: what memory allows.

The whole of a draw, partners and the mix; the copy is NumPy's into memory that is there
already. "As the formula is written" is PyTorch's of the official script.
"""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

import mixup_jax
from experiments.benchmarks.suite import Comparison, Options, compare

SHAPES = {"128x32x32x3": (128, 32, 32, 3), "1024x224x224x3": (1024, 224, 224, 3)}


def measure(options: Options) -> list[Comparison]:
    """Compares both sizes; with `quick`, the small one alone."""
    names = list(SHAPES)[: 1 if options.quick else None]
    return [_size(name, SHAPES[name], options) for name in names]


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
