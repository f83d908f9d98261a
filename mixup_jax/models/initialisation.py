"""The initialisations of the references, by name.

Sources: PyTorch issues 1667 (weights) and 12259 (gamma); szagoruyko's
wide-residual-networks (models/wide-resnet.lua; pytorch/utils.py of 2017-09-04 and
of today); Veit's densenet-pytorch; Goyal et al. (2017), arXiv:1706.02677, section
5.1; fb.resnet.torch.
"""

import contextlib
import contextvars
import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.linen.initializers import Initializer
from jaxtyping import Array


class Tape:
    """Numbers drawn beforehand, handed out in the order that initialisers ask.

    A program with one draw compiles in a fraction of the time of one with a draw for
    every kernel. Without numbers a tape only counts what it is asked for.
    """

    def __init__(self, **numbers: Array):
        self.numbers = numbers
        self.used = {"normal": 0, "uniform": 0}

    def take(self, kind: str, shape: tuple[int, ...], dtype: Any) -> Array:
        """Returns the next numbers of a kind: standard normal, or uniform in [0, 1)."""
        start = self.used[kind]
        self.used[kind] += math.prod(shape)
        if not self.numbers:
            return jnp.zeros(shape, dtype)
        taken = self.numbers[kind][start : self.used[kind]]
        return taken.reshape(shape).astype(dtype)


_tape: contextvars.ContextVar[Tape | None] = contextvars.ContextVar(
    "tape", default=None
)


@contextlib.contextmanager
def drawing_from(tape: Tape) -> Iterator[None]:
    """Within, the initialisers of this module take from the tape, not from keys."""
    token = _tape.set(tape)
    try:
        yield
    finally:
        _tape.reset(token)


def _normal(key, shape, dtype) -> Array:
    tape = _tape.get()
    if tape is None:
        return jax.random.normal(key, shape, dtype)
    return tape.take("normal", shape, dtype)


def _uniform(key, shape, dtype) -> Array:
    tape = _tape.get()
    if tape is None:
        return jax.random.uniform(key, shape, dtype)
    return tape.take("uniform", shape, dtype)


class Initialisation(NamedTuple):
    """Initialisers of kernels (shape: ..., inputs, outputs), biases and gammas."""

    conv: Initializer
    dense: Initializer
    dense_bias: Callable[[int], Initializer]  # by the number of inputs
    gamma: Initializer
    last_gamma: Initializer  # of the batch norm that ends a residual branch


def uniform_fan_in(key, shape, dtype=jnp.float32) -> Array:
    """U(-b, b) with b = 1 / sqrt(fan_in): (Py)Torch's for convolutions and dense."""
    bound = math.prod(shape[:-1]) ** -0.5
    return bound * (2 * _uniform(key, shape, dtype) - 1)


def uniform_bias(fan_in: int) -> Initializer:
    """U(-b, b) with b = 1 / sqrt(fan_in): (Py)Torch's for biases."""

    def init(key, shape, dtype=jnp.float32):
        return fan_in**-0.5 * (2 * _uniform(key, shape, dtype) - 1)

    return init


def normal_fan_in(gain: float) -> Initializer:
    """N(0, gain^2 / fan_in), not truncated."""

    def init(key, shape, dtype=jnp.float32):
        return gain * math.prod(shape[:-1]) ** -0.5 * _normal(key, shape, dtype)

    return init


def normal(std: float) -> Initializer:
    """N(0, std^2), not truncated."""

    def init(key, shape, dtype=jnp.float32):
        return std * _normal(key, shape, dtype)

    return init


def normal_fan_out(key, shape, dtype=jnp.float32) -> Array:
    """N(0, 2 / fan_out), not truncated; fan_out = kernel area x all outputs."""
    fan_out = math.prod(shape[:-2]) * shape[-1]
    return math.sqrt(2 / fan_out) * _normal(key, shape, dtype)


def unit_uniform(key, shape, dtype=jnp.float32) -> Array:
    """U(0, 1): batch norm's gamma in (Py)Torch until late 2018."""
    return _uniform(key, shape, dtype)


def _no_bias(fan_in: int) -> Initializer:
    del fan_in
    return nn.initializers.zeros


def _same_gamma(conv, dense, dense_bias, gamma) -> Initialisation:
    return Initialisation(conv, dense, dense_bias, gamma, gamma)


_ONES, _ZEROS = nn.initializers.ones, nn.initializers.zeros
_HE = normal_fan_in(2**0.5)
_TWO = normal_fan_in(2.0)

INITIALISATIONS = {
    # PyTorch's default at the time of the paper, and today's.
    "torch2017": _same_gamma(
        uniform_fan_in, uniform_fan_in, uniform_bias, unit_uniform
    ),
    "torch": _same_gamma(uniform_fan_in, uniform_fan_in, uniform_bias, _ONES),
    # WideResNet: the authors' Lua, their PyTorch port of 2017 and of today.
    "wrn_lua": _same_gamma(_HE, uniform_fan_in, _no_bias, unit_uniform),
    "wrn2017": _same_gamma(_TWO, _TWO, _no_bias, unit_uniform),
    "wrn": _same_gamma(_HE, _HE, _no_bias, unit_uniform),
    # Veit's DenseNet; fb.resnet.torch and ResNeXt initialise alike.
    "fan_out": _same_gamma(normal_fan_out, uniform_fan_in, _no_bias, _ONES),
    # ImageNet in one hour: residual branches start at zero.
    "goyal": Initialisation(normal_fan_out, normal(0.01), _no_bias, _ONES, _ZEROS),
}
