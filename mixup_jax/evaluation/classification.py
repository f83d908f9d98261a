"""Error rates, as sums that add up over batches and devices; over epochs, as three."""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from mixup_jax.errors import UsageError
from mixup_jax.losses import soft_cross_entropy


class Sums(NamedTuple):
    """Weighted sums over examples, one per group G."""

    loss: Float[Array | np.ndarray, " G"]
    errors: Float[Array | np.ndarray, " G"]
    count: Float[Array | np.ndarray, " G"]
    top5_errors: Float[Array | np.ndarray, " G"] | None = None


class EpochErrors(NamedTuple):
    """Three answers to "which error did the run reach", never to be mixed.

    Attributes:
      best: Least of all epochs; picked on the set that it was measured on.
      last: Of the last epoch.
      median: Of the last epochs, 10 in the paper's table 5.
    """

    best: float
    last: float
    median: float


def top_k_wrong(
    logits: Float[Array, "B K"], labels: Int[Array, " B"], k: int
) -> Bool[Array, " B"]:
    """Returns whether the label is not among the k greatest logits.

    Args:
      logits: Of equal ones the first come first, so that k = 1 is `argmax`. A row with
        a NaN predicts nothing and is wrong.
      labels: Class ids; one that is no class is wrong.
      k: At K and above, nothing but such rows is wrong.
    """
    classes = jnp.arange(logits.shape[-1])[None]
    own = classes == labels[:, None]
    score = jnp.max(jnp.where(own, logits, -jnp.inf), axis=-1, keepdims=True)
    before = (logits > score) | ((logits == score) & (classes < labels[:, None]))
    wrong = before.sum(axis=-1) >= k
    return wrong | ~own.any(axis=-1) | jnp.isnan(logits).any(axis=-1)


def error_sums(
    logits: Float[Array, "B K"], labels: Int[Array, " B"], weights: Float[Array, "B G"]
) -> Sums:
    """Sums cross-entropy, top-1 and top-5 errors and examples over a batch.

    Args:
      logits: Of the network; for ties see `top_k_wrong`.
      labels: Class ids.
      weights: Share of each example in each group; 0 for padding.
    """
    targets = jax.nn.one_hot(labels, logits.shape[-1])
    loss = soft_cross_entropy(logits, targets)
    # Padding may hold anything; 0 times a loss that is not finite is not 0.
    loss = jnp.where(weights.sum(axis=1) > 0, loss, 0.0)
    top1, top5 = (top_k_wrong(logits, labels, k).astype(jnp.float32) for k in (1, 5))
    # Accelerators would round the losses to three digits before they add them.
    summed = functools.partial(jnp.matmul, b=weights, precision=lax.Precision.HIGHEST)
    return Sums(summed(loss), summed(top1), weights.sum(axis=0), summed(top5))


def add(total: Sums | None, sums: Sums) -> Sums:
    """Adds a batch's sums on the host, in float64."""
    sums = jax.tree.map(lambda value: np.asarray(value, np.float64), sums)
    return sums if total is None else jax.tree.map(np.add, total, sums)


def error_rate(sums: Sums, group: int = 0) -> float:
    """Share of wrong predictions in a group, 0 to 1; NaN for an empty one."""
    return _share(sums.errors, sums, group)


def top5_error_rate(sums: Sums, group: int = 0) -> float:
    """Share of examples whose label is not among the 5 greatest logits.

    Raises:
      ValueError: If the sums were made without top-5 errors.
    """
    if sums.top5_errors is None:
        raise ValueError("these sums have no top-5 errors; make them by error_sums")
    return _share(sums.top5_errors, sums, group)


def mean_loss(sums: Sums, group: int = 0) -> float:
    """Mean cross-entropy of a group in nats; NaN for an empty one."""
    return _share(sums.loss, sums, group)


def epoch_errors(errors: Sequence[float], *, window: int = 10) -> EpochErrors:
    """Sums up the errors of a run's epochs in the three ways that papers use.

    Args:
      errors: One per epoch, in order.
      window: Epochs at the end whose median is taken; all, if there are fewer.

    Raises:
      UsageError: If there are no epochs, or the window is empty.

    Source: paper, table 2 (best and last) and table 5 (median of the last 10).
    """
    if len(errors) == 0:
        raise UsageError("no epoch has been evaluated yet; train for at least one")
    if window < 1:
        raise UsageError(f"a median needs at least 1 epoch, got window {window}")
    median = float(np.median(np.asarray(errors)[-window:]))
    return EpochErrors(float(np.min(errors)), float(errors[-1]), median)


def _share(values: Array | np.ndarray, sums: Sums, group: int) -> float:
    count = float(sums.count[group])
    return float(values[group]) / count if count else float("nan")
