"""Error rates, as sums that add up over batches and devices."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from mixup_jax.losses import soft_cross_entropy


class Sums(NamedTuple):
    """Weighted sums over examples, one per group G."""

    loss: Float[Array | np.ndarray, " G"]
    errors: Float[Array | np.ndarray, " G"]
    count: Float[Array | np.ndarray, " G"]


def error_sums(
    logits: Float[Array, "B K"], labels: Int[Array, " B"], weights: Float[Array, "B G"]
) -> Sums:
    """Sums cross-entropy, top-1 errors and examples over a batch.

    Args:
      logits: Of the network; the first of equal maxima is the prediction.
      labels: Class ids.
      weights: Share of each example in each group; 0 for padding.
    """
    targets = jax.nn.one_hot(labels, logits.shape[-1])
    loss = soft_cross_entropy(logits, targets)
    # Padding may hold anything; 0 times a loss that is not finite is not 0.
    loss = jnp.where(weights.sum(axis=1) > 0, loss, 0.0)
    wrong = (jnp.argmax(logits, axis=-1) != labels).astype(jnp.float32)
    return Sums(loss @ weights, wrong @ weights, weights.sum(axis=0))


def add(total: Sums | None, sums: Sums) -> Sums:
    """Adds a batch's sums on the host, in float64."""
    sums = Sums(*(np.asarray(value, np.float64) for value in sums))
    return sums if total is None else Sums(*map(np.add, total, sums))


def error_rate(sums: Sums, group: int = 0) -> float:
    """Share of wrong predictions in a group, 0 to 1; NaN for an empty one."""
    count = float(sums.count[group])
    return float(sums.errors[group]) / count if count else float("nan")


def mean_loss(sums: Sums, group: int = 0) -> float:
    """Mean cross-entropy of a group in nats; NaN for an empty one."""
    count = float(sums.count[group])
    return float(sums.loss[group]) / count if count else float("nan")
