"""What is measured: any function from inputs to logits; and going over many examples.

`predict` takes floating-point inputs [B, ...] and returns logits [B, K]. Rows must not
influence each other, so a network is in evaluation mode. It is compiled once for each
function object, with the weights that it then has: make it once, not anew for every
batch, and anew where weights change. `jax.clear_caches` lets go of them.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from mixup_jax.types import PyTree
from mixup_jax.vicinity.checks import traced

Predict = Callable[[Any], Any]
# What is given may lie on the host.
AnyArray = Array | np.ndarray


def in_chunks(
    function: Callable[..., PyTree], *arrays: AnyArray, chunk_size: int
) -> PyTree:
    """Calls a function on a few rows at a time and joins what it returns.

    Args:
      function: Of as many arrays as are given, to a pytree of arrays with a row for
        each of theirs.
      *arrays: With one leading axis, of at least one row.
      chunk_size: Rows in every call. The last call is filled up with copies of the last
        row, whose results are dropped, so that one program serves all calls.

    Returns:
      The tree, of numpy arrays.

    Raises:
      ValueError: If there is nothing to go over, or the arrays differ in length.
    """
    lengths = {len(array) for array in arrays}
    if len(lengths) != 1 or 0 in lengths:
        raise ValueError(f"the arrays need equal lengths, not 0: {sorted(lengths)}")
    if chunk_size < 1:
        raise ValueError(f"chunk_size must be at least 1, got {chunk_size}")
    (count,) = lengths
    parts = []
    for start in range(0, count, chunk_size):
        rows = np.minimum(np.arange(start, start + chunk_size), count - 1)
        result = function(*(array[rows] for array in arrays))
        kept = min(chunk_size, count - start)
        parts.append(jax.tree.map(lambda leaf, k=kept: np.asarray(leaf)[:k], result))
    return jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)


@partial(jax.jit, static_argnames="predict")
def logits_of(predict: Predict, inputs: Array) -> Float[Array, "B K"]:
    """Returns the logits in at least float32, compiled."""
    return widen(predict(inputs))


def count_classes(predict: Predict, inputs: AnyArray) -> int:
    """Returns K without computing anything.

    Raises:
      ValueError: If predict does not map [B, ...] to [B, K], or there are no inputs.
    """
    _check_some(inputs)
    one = jax.ShapeDtypeStruct((len(inputs), *inputs.shape[1:]), wide_dtype(inputs))
    shape = jax.eval_shape(predict, one).shape
    if len(shape) != 2 or shape[0] != len(inputs):
        raise ValueError(f"predict must return [{len(inputs)}, K], got shape {shape}")
    return shape[1]


def check_labels(labels: Int[AnyArray, " B"], classes: int, count: int) -> None:
    """Raises ValueError unless labels are class ids, 0 to K - 1, one for each example.

    Args:
      labels: Where they are traced, only their number and dtype are known.
      classes: K.
      count: Of the examples.
    """
    _check_some(labels)
    if labels.ndim != 1 or not jnp.issubdtype(labels.dtype, jnp.integer):
        raise ValueError(
            f"labels must be class ids [{count}], got {labels.dtype} "
            f"{labels.shape}; of one-hot labels take labels.argmax(-1)"
        )
    if len(labels) != count:
        raise ValueError(f"{len(labels)} labels do not fit {count} examples")
    if traced(labels):
        return
    least, most = int(jnp.min(labels)), int(jnp.max(labels))
    if least < 0 or most >= classes:
        raise ValueError(
            f"labels must be in 0 .. {classes - 1}, got {least} .. {most}; leave out "
            "examples without a class"
        )


def wide_dtype(inputs: AnyArray) -> jnp.dtype:
    """Returns the dtype to compute in, at least float32; float64 if JAX has it enabled.

    Raises:
      ValueError: If the inputs are not floating-point.
    """
    if not jnp.issubdtype(inputs.dtype, jnp.floating):
        raise ValueError(
            f"inputs have dtype {inputs.dtype}; convert them to float, in the units "
            "that predict takes (bytes: divide by 255)"
        )
    wide = jnp.promote_types(inputs.dtype, jnp.float32)
    return jax.dtypes.canonicalize_dtype(wide)


def widen(values: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Returns logits or scores in at least float32."""
    return values.astype(jnp.promote_types(values.dtype, jnp.float32))


def _check_some(array: AnyArray) -> None:
    if len(array) == 0:
        raise ValueError("nothing to measure: there are no examples")
