"""A batch that does not fit at once: computed in parts, one after another."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array

from mixup_jax.types import PyTree


def mean_over_parts(
    function: Callable[..., PyTree], *arrays: PyTree, parts: int
) -> PyTree:
    """Returns the mean of what a function gives for parts of a batch.

    Args:
      function: Of as many trees as are given, to a tree of means over examples.
      *arrays: Trees of arrays [b, ...]; None stays None.
      parts: How many, of equal size; must divide b.

    Means of means over equal parts are those over the whole, up to rounding; and what
    is linear in batch statistics becomes that of as many ghost groups.
    """
    if parts == 1:
        return function(*arrays)
    cut = jax.tree.map(lambda x: x.reshape(parts, -1, *x.shape[1:]), arrays)

    def add(total: PyTree, part: PyTree) -> PyTree:
        return jax.tree.map(jnp.add, total, function(*part))

    first = function(*jax.tree.map(lambda x: x[0], cut))
    # XLA's CPU backend runs convolutions' gradients many times slower in a loop.
    if jax.default_backend() == "cpu":
        total = first
        for index in range(1, parts):
            part: Any = jax.tree.map(lambda x, i=index: x[i], cut)
            total = add(total, part)
    else:
        rest = jax.tree.map(lambda x: x[1:], cut)
        total, _ = lax.scan(lambda sums, part: (add(sums, part), None), first, rest)
    return jax.tree.map(lambda sums: _divided(sums, parts), total)


def _divided(sums: Array, parts: int) -> Array:
    return (sums / parts).astype(sums.dtype)
