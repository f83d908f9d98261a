"""Checks of numbers that may be traced, and then cannot be checked."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from mixup_jax.types import PyTree

_REAL = (jnp.floating, jnp.integer, jnp.bool_)


def traced(*values: ArrayLike) -> bool:
    """Returns whether any value is unknown until the program runs."""
    return any(isinstance(value, jax.core.Tracer) for value in values)


def check_float(name: str, value: ArrayLike) -> None:
    """Raises ValueError for integers: class ids and bytes are not to be averaged."""
    dtype = jnp.result_type(value)
    if not jnp.issubdtype(dtype, jnp.inexact):
        raise ValueError(
            f"{name} has dtype {dtype}, and averaging class ids or bytes means "
            "nothing: one-hot encode first (labels), or convert to float (images)"
        )


def check_rows(tree: PyTree, size: int) -> None:
    """Raises ValueError unless the leading axis of every leaf is the batch's."""
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        if jnp.ndim(leaf) == 0 or jnp.shape(leaf)[0] != size:
            raise ValueError(
                f"leaf{jax.tree_util.keystr(path)} has shape {jnp.shape(leaf)}, "
                f"but the leading (batch) axis must be {size}"
            )


def check(
    name: str, rule: str, value: ArrayLike, holds: Callable[[np.ndarray], np.ndarray]
) -> None:
    """Raises ValueError unless a concrete value, each of its entries, obeys a rule."""
    if traced(value):
        return
    array = np.asarray(value)
    real = any(jnp.issubdtype(array.dtype, kind) for kind in _REAL)
    if not real or not np.all(holds(array)):
        raise ValueError(f"{name} must be {rule}, got {value}")
