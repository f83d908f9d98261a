"""Max pooling: XLA's on a TPU, and elsewhere one with a gradient of its own.

On a CPU XLA finds each window's greatest place again in the backward pass, with five
numbers for each that the window has, and scatters. On a GPU it adds what it scatters in
whatever order it comes. Here the windows' places are slices, and the gradient goes
where a slice is the greatest: as in XLA and PyTorch the first of those that are equal.
What it gains: docs/speed.md.
"""

import functools
from collections.abc import Iterator

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float


def max_pool(
    x: Float[Array, "B H W C"], size: int, *, stride: int = 2, padding: int = 0
) -> Float[Array, "B h w C"]:
    """Returns the greatest of every square window.

    Args:
      x: Images.
      size: Height and width of a window.
      stride: Between windows, down and right.
      padding: On every side, with what is less than any number.
    """
    if jax.default_backend() in ("cpu", "gpu"):
        return _of_slices(x, size, stride, padding)
    sides = ((padding, padding), (padding, padding))
    return nn.max_pool(x, (size, size), strides=(stride, stride), padding=sides)


@functools.partial(jax.custom_vjp, nondiff_argnums=(1, 2, 3))
def _of_slices(x: Array, size: int, stride: int, padding: int) -> Array:
    return functools.reduce(jnp.maximum, _slices(x, size, stride, padding))


def _forward(x: Array, size: int, stride: int, padding: int):
    y = _of_slices(x, size, stride, padding)
    return y, (x, y)


def _backward(size: int, stride: int, padding: int, residuals, dy: Array):
    def of_batch(x: Array, y: Array, dy: Array) -> Array:
        return _gradient(x, y, dy, size=size, stride=stride, padding=padding)

    def of_example(arrays: tuple[Array, Array, Array]) -> Array:
        x, y, dy = (each[None] for each in arrays)
        return of_batch(x, y, dy)[0]

    if jax.default_backend() != "cpu":
        x, y = residuals
        return (of_batch(x, y, dy),)
    # In a loop, or else XLA computes it anew wherever it is read, place by place in the
    # order of the reader.
    return (lax.map(of_example, (*residuals, dy)),)


def _gradient(
    x: Array, y: Array, dy: Array, *, size: int, stride: int, padding: int
) -> Array:
    found = jnp.zeros(y.shape, bool)
    dx = jnp.zeros_like(x)
    for place, part in enumerate(_slices(x, size, stride, padding)):
        here = (part == y) & ~found
        found |= here
        row, column = divmod(place, size)
        dx += _spread(here, dy, x, (row - padding, column - padding), stride)
    return dx


_of_slices.defvjp(_forward, _backward)


def _slices(x: Array, size: int, stride: int, padding: int) -> Iterator[Array]:
    """Yields, for each place in a window, what all windows have there."""
    sides = ((0, 0), (padding, padding), (padding, padding), (0, 0))
    padded = jnp.pad(x, sides, constant_values=-jnp.inf)
    height, width = ((n - size) // stride + 1 for n in padded.shape[1:3])
    for row in range(size):
        for column in range(size):
            rows = slice(row, row + (height - 1) * stride + 1, stride)
            columns = slice(column, column + (width - 1) * stride + 1, stride)
            yield padded[:, rows, columns]


def _spread(
    here: Bool[Array, "B h w C"],
    dy: Array,
    x: Array,
    origin: tuple[int, int],
    stride: int,
) -> Array:
    """Puts what windows get for one of their places to where it is in x."""
    gone = jnp.where(here, dy, 0)
    config = [(0, 0, 0)]
    for axis, start in zip((1, 2), origin, strict=True):
        end = start + (gone.shape[axis] - 1) * stride + 1
        config.append((start, x.shape[axis] - end, stride - 1))
    return lax.pad(gone, jnp.zeros((), gone.dtype), [*config, (0, 0, 0)])
