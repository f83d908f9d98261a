"""Between training examples: misses and gradients along lines (paper, figure 2)."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Shaped

from mixup_jax.evaluation.classification import top_k_wrong
from mixup_jax.evaluation.predict import (
    AnyArray,
    Predict,
    check_labels,
    count_classes,
    in_chunks,
    wide_dtype,
    widen,
)
from mixup_jax.losses import soft_cross_entropy
from mixup_jax.types import Key
from mixup_jax.vicinity.mix import blend

# Steps of .05, read off the figure.
GRID = tuple(step / 20 for step in range(21))


class InBetween(NamedTuple):
    """Means over pairs at each lambda.

    Attributes:
      lam: Share of the first example.
      misses: Share of points predicted as neither example's class.
      gradients: L2 norm of the loss's gradient with respect to the input, per unit of
        the inputs: dividing them by their std multiplies it.
      loss: The loss itself.
    """

    lam: Float[np.ndarray, " L"]
    misses: Float[np.ndarray, " L"]
    gradients: Float[np.ndarray, " L"]
    loss: Float[np.ndarray, " L"]


def sample_pairs(key: Key, examples: int, count: int) -> Int[Array, "P 2"]:
    """Draws pairs of two different examples, uniformly and independently.

    Raises:
      ValueError: With fewer than two examples or no pair.
    """
    if examples < 2:
        raise ValueError(f"a pair needs at least 2 examples, got {examples}")
    if count < 1:
        raise ValueError(f"count must be at least 1 pair, got {count}")
    first_key, other_key = jax.random.split(key)
    first = jax.random.randint(first_key, (count,), 0, examples)
    ahead = jax.random.randint(other_key, (count,), 1, examples)
    return jnp.stack([first, (first + ahead) % examples], axis=1)


def in_between(
    predict: Predict,
    inputs: Shaped[AnyArray, "N ..."],
    labels: Int[AnyArray, " N"],
    pairs: Int[AnyArray, "P 2"],
    *,
    lam: Sequence[float] = GRID,
    loss: Callable[[Any, Any], Any] = soft_cross_entropy,
    chunk_size: int = 256,
) -> InBetween:
    """Measures a network on the lines between pairs of examples.

    Args:
      predict: From inputs to logits.
      inputs: Examples, floating-point, such as the training set without augmentation.
      labels: Their class ids.
      pairs: Rows of inputs, such as `sample_pairs` draws.
      lam: Shares of the first of each pair.
      loss: Of logits and mixed one-hot targets, one number per row; the default is the
        cross-entropy of mixup.
      chunk_size: Pairs that are computed together.

    Raises:
      ValueError: If labels are not class ids, pairs are not of rows of inputs, a lambda
        is not finite, or there are none of either.

    Source: paper, section 2 and figure 2. It says neither how pairs are drawn, nor
    which label and norm the gradient is of; cross-entropy and L2 are the likely ones.
    """
    classes = count_classes(predict, inputs)
    check_labels(labels, classes, len(inputs))
    if len(pairs) == 0 or len(lam) == 0:
        raise ValueError("nothing to measure: there are no pairs, or no lambdas")
    if not np.isfinite(lam).all():
        raise ValueError(f"lam must be finite numbers, got {tuple(lam)}")
    if pairs.ndim != 2 or pairs.shape[1] != 2 or pairs.dtype.kind not in "iu":
        raise ValueError(
            f"pairs must be rows of two examples, whole numbers [P, 2], got "
            f"{pairs.dtype} {pairs.shape}"
        )
    if np.min(pairs) < 0 or np.max(pairs) >= len(labels):
        raise ValueError(f"pairs must be of rows 0 .. {len(labels) - 1} of the inputs")
    inputs, labels, pairs = (np.asarray(a) for a in (inputs, labels, pairs))
    dtype = wide_dtype(inputs)

    def run(pairs):
        first, other = pairs[:, 0], pairs[:, 1]
        ends = inputs[first].astype(dtype), inputs[other].astype(dtype)
        ids = labels[first], labels[other]
        points = (_measure(predict, loss, classes, ends, ids, value) for value in grid)
        return [np.stack(each, axis=1) for each in zip(*points, strict=True)]

    grid = [jnp.float32(value) for value in lam]
    rows = in_chunks(run, pairs, chunk_size=min(chunk_size, len(pairs)))
    means = (each.mean(axis=0, dtype=np.float64) for each in rows)
    return InBetween(np.asarray(lam, np.float64), *means)


@partial(jax.jit, static_argnames=("predict", "loss", "classes"))
def _measure(
    predict: Predict,
    loss: Callable[[Any, Any], Any],
    classes: int,
    ends: tuple[Float[AnyArray, "B ..."], Float[AnyArray, "B ..."]],
    ids: tuple[Int[AnyArray, " B"], Int[AnyArray, " B"]],
    lam: Float[Array, ""],
) -> tuple[Bool[Array, " B"], Float[Array, " B"], Float[Array, " B"]]:
    """Returns misses, norms of the gradient, and losses, at one lambda."""
    first, other = (jax.nn.one_hot(labels, classes) for labels in ids)
    targets = blend(first, other, lam)

    def total(points):
        logits = widen(predict(points))
        losses = loss(logits, targets)
        missed = (top_k_wrong(logits, jnp.asarray(each), 1) for each in ids)
        return losses.sum(), (losses, jnp.logical_and(*missed))

    slope, (losses, missed) = jax.grad(total, has_aux=True)(
        blend(ends[0], ends[1], lam)
    )
    norms = jnp.sqrt(jnp.sum(slope.reshape(len(slope), -1) ** 2, axis=-1))
    return missed, norms, losses
