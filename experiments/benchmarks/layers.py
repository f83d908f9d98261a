"""Layers alone, value and gradients: the forms that a CPU gets beside XLA's own."""

import contextlib
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array

from experiments.benchmarks.suite import Comparison, Options, compare
from mixup_jax.models.convolution import convolve, plainly
from mixup_jax.models.normalisation import EPSILON, normalise
from mixup_jax.models.pooling import max_pool

# Input, kernel and groups of convolutions of stride 1.
_CONVOLUTIONS = {
    "3x3, 256 channels": ((64, 8, 8, 256), (3, 3, 256, 256), 1),
    "1x1, 256 to 64 channels": ((8, 56, 56, 256), (1, 1, 256, 64), 1),
    "3x3, 32 groups of 4": ((8, 28, 28, 128), (3, 3, 4, 128), 32),
}
_NORMALISED = ((128, 32, 32, 64), (8, 14, 14, 1024))
_POOLED = (32, 157, 97, 20)


def measure(options: Options) -> list[Comparison]:
    """Compares each layer; nothing with `quick`."""
    if options.quick:
        return []
    return [
        *(_convolution(name, *what, options) for name, what in _CONVOLUTIONS.items()),
        *(_norm(shape, options) for shape in _NORMALISED),
        _layer(
            "max pooling 2x2",
            {"ours": lambda x: max_pool(x, 2), "XLA": _pool},
            [_POOLED],
            options,
        ),
    ]


def _convolution(
    name: str, x: tuple, kernel: tuple, groups: int, options: Options
) -> Comparison:
    def apply(x: Array, kernel: Array) -> Array:
        pad = kernel.shape[0] // 2
        return convolve(
            x,
            kernel,
            (1, 1),
            [(pad, pad)] * 2,
            feature_group_count=groups,
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )

    return _layer(name, {"ours": apply, "XLA": apply}, [x, kernel], options)


def _norm(shape: tuple[int, ...], options: Options) -> Comparison:
    channels = shape[-1:]

    def ours(x: Array, scale: Array, bias: Array) -> Array:
        return normalise(x, scale, bias, None)[0]

    def plain(x: Array, scale: Array, bias: Array) -> Array:
        mean, var = (f(axis=(0, 1, 2), keepdims=True) for f in (x.mean, x.var))
        y = (x - mean) * jax.lax.rsqrt(var + EPSILON)
        return y * scale[None, None, None] + bias[None, None, None]

    shapes = [shape, channels, channels]
    return _layer("batch norm", {"ours": ours, "XLA": plain}, shapes, options)


def _pool(x: Array) -> Array:
    return nn.max_pool(x, (2, 2), strides=(2, 2))


def _layer(
    name: str, forms: dict[str, Callable], shapes: list[tuple], options: Options
) -> Comparison:
    keys = jax.random.split(jax.random.key(0), len(shapes))
    values = [jax.random.normal(*each) for each in zip(keys, shapes, strict=True)]
    sides = {side: _compiled(form, values, side) for side, form in forms.items()}
    item = f"{name}, {'x'.join(map(str, shapes[0]))}"
    return compare(item, sides, options, amount=1, unit="layers")


def _compiled(form: Callable, values: list[Array], side: str) -> Callable[[], Any]:
    def both(*values: Array):
        y, pull = jax.vjp(form, *values)
        return y, pull(jnp.ones_like(y))

    with plainly() if side == "XLA" else contextlib.nullcontext():
        program = jax.jit(both).lower(*values).compile()
    return lambda: program(*values)
