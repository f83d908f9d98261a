"""Batch normalisation with PyTorch's conventions and its own gradient.

Two things differ from `flax.linen.BatchNorm`. The running variance is the unbiased
one, as in the PyTorch and Torch code that the paper's numbers come from. And the
gradient is written out, with sums over examples and places put as a CPU is fast with
them: left to XLA they take up to twenty times as long (docs/speed.md).
"""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.linen.initializers import Initializer
from jax import lax
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from mixup_jax.errors import UsageError

EPSILON = 1e-5  # PyTorch's
# Of a sum over rows: 4 and 16 are slower, and so are two such stages, which XLA merges.
_SLICES = 8
MOMENTUM = 0.9  # share of the old running statistics; PyTorch calls the rest 0.1

Channels = Float[Array, " C"]


class BatchNorm(nn.Module):
    """Normalises over all axes but the last; statistics and parameters in float32.

    Attributes:
      axis_name: Devices along this mapped axis share their statistics; None for
        statistics of each device's own examples.
      ghost: Take statistics over groups of so many consecutive examples, as if each
        group had a device to itself; 0 for one group. Source: Goyal et al. (2017),
        arXiv:1706.02677, section 2.3, with groups of 32.
      dtype: Of the result.
      scale_init: Of gamma; PyTorch drew it from U(0, 1) in 2017.
    """

    axis_name: str | None = None
    ghost: int = 0
    dtype: DTypeLike = jnp.float32
    scale_init: Initializer = nn.initializers.ones

    @nn.compact
    def __call__(self, x: Float[Array, "*B C"], *, train: bool) -> Float[Array, "*B C"]:
        """Raises UsageError if x is not made of whole ghost groups when training."""
        shape = x.shape[-1:]
        scale = self.param("scale", self.scale_init, shape, jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, shape, jnp.float32)
        mean = self.variable("batch_stats", "mean", jnp.zeros, shape, jnp.float32)
        var = self.variable("batch_stats", "var", jnp.ones, shape, jnp.float32)
        if not train:
            inverse = scale * lax.rsqrt(var.value + EPSILON)
            offset = bias - mean.value * inverse
            y = x * _along(x, inverse) + _along(x, offset)
            return y.astype(self.dtype)
        if self.is_initializing():
            # Outside of the mapped axis, and with a batch of any size.
            return normalise(x, scale, bias, None)[0].astype(self.dtype)
        y, batch_mean, unbiased_var = self._normalise(x, scale, bias)
        mean.value = MOMENTUM * mean.value + (1 - MOMENTUM) * batch_mean
        var.value = MOMENTUM * var.value + (1 - MOMENTUM) * unbiased_var
        return y.astype(self.dtype)

    def _normalise(self, x: Array, scale: Array, bias: Array):
        if not self.ghost:
            y, mean, var = normalise(x, scale, bias, self.axis_name)
            return y, mean, var * _unbiased(_count(x, self.axis_name))
        groups = _groups(x, self.ghost)
        y, mean, var = jax.vmap(normalise, (0, None, None, None))(
            groups, scale, bias, self.axis_name
        )
        var = var * _unbiased(_count(groups[0], self.axis_name))
        return y.reshape(x.shape), mean.mean(axis=0), var.mean(axis=0)


def _unbiased(count: int) -> float:
    return count / max(count - 1, 1)


def _groups(x: Array, size: int) -> Array:
    if x.shape[0] % size:
        raise UsageError(
            f"a batch of {x.shape[0]} examples on a device cannot be cut into ghost "
            f"groups of {size}: choose a multiple, or ghost=0"
        )
    return x.reshape(-1, size, *x.shape[1:])


@functools.partial(jax.custom_vjp, nondiff_argnums=(3,))
def normalise(
    x: Float[Array, "*B C"], scale: Channels, bias: Channels, axis_name: str | None
) -> tuple[Float[Array, "*B C"], Channels, Channels]:
    """Returns (x - mean) / std * scale + bias, the mean and the biased variance.

    Gradients flow through the first result only; the statistics are for the running
    averages.
    """
    return _forward(x, scale, bias, axis_name)[0]


def _forward(x: Array, scale: Channels, bias: Channels, axis_name: str | None):
    mean, var = _moments(_wide(x), axis_name)
    inverse = lax.rsqrt(var + EPSILON)
    centred = _wide(x) - _along(x, mean)
    y = centred * _along(x, inverse * scale) + _along(x, bias)
    return (y.astype(x.dtype), mean, var), (x, mean, inverse, scale)


def _moments(x: Array, axis_name: str | None) -> tuple[Channels, Channels]:
    # One pass over x. Measured from near the mean: in E[x^2] - E[x]^2 a mean far
    # from 0 would cancel the variance's digits.
    origin = x[0].reshape(-1, x.shape[-1]).mean(axis=0)
    shifted = x - _along(x, origin)
    count = _count(x, None)
    offset = _channel_sum(shifted) / count
    square = _channel_sum(jnp.square(shifted)) / count
    mean, var = origin + offset, jnp.maximum(square - jnp.square(offset), 0.0)
    if axis_name is None:
        return mean, var
    whole = lax.pmean(mean, axis_name)
    return whole, lax.pmean(var + jnp.square(mean - whole), axis_name)


def _backward(axis_name: str | None, residuals, cotangents):
    x, mean, inverse, scale = residuals
    dy = _wide(cotangents[0])
    centred = _wide(x) - _along(x, mean)
    normalised = centred * _along(x, inverse)
    # Of this device only: the train step averages parameter gradients itself.
    dbias = _channel_sum(dy)
    dscale = _channel_sum(dy * normalised)
    all_dbias, all_dscale = dbias, dscale
    if axis_name is not None:
        all_dbias, all_dscale = lax.psum((dbias, dscale), axis_name)
    share = _along(x, all_dbias) + normalised * _along(x, all_dscale)
    dx = _along(x, scale * inverse) * (dy - share / _count(x, axis_name))
    return dx.astype(x.dtype), dscale, dbias


normalise.defvjp(_forward, _backward)


def _count(x: Array, axis_name: str | None) -> int:
    """Values a channel's statistics are taken over."""
    devices = 1 if axis_name is None else lax.axis_size(axis_name)
    return x.size // x.shape[-1] * devices


def _wide(x: Array) -> Array:
    """Float32, or float64 where that is asked for."""
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))


def _along(x: Array, channels: Channels) -> Array:
    """Gives channels as many axes as x has."""
    return channels.reshape((1,) * (x.ndim - 1) + channels.shape)


def _channel_sum(x: Array) -> Channels:
    """Sums over all axes but the last.

    XLA's CPU backend goes through a column after the other, each a walk through all of
    memory. Slices are added row by row, and a product reads each row once.
    """
    rows = x.reshape(-1, x.shape[-1])
    length = len(rows) // _SLICES
    if jax.default_backend() != "cpu" or not length:
        return rows.sum(axis=0)
    whole = length * _SLICES
    slices = [rows[first : first + length] for first in range(0, whole, length)]
    total = jnp.ones(length, x.dtype) @ functools.reduce(jnp.add, slices)
    return total + rows[whole:].sum(axis=0) if len(rows) > whole else total
