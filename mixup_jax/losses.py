"""Losses on soft targets, one number per example; the caller takes the mean."""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Shaped


def soft_cross_entropy(
    logits: Float[Array, "*B K"], targets: Float[Array, "..."]
) -> Float[Array, "*B"]:
    """Cross-entropy between a target distribution and softmax(logits).

    Args:
      logits: Unnormalised log-probabilities of any float dtype.
      targets: Weights of the classes, [*B, K], such as mixed one-hot labels. They need
        not sum to one; the loss is linear in them.

    Returns:
      -sum_k targets_k log softmax(logits)_k in nats, at least float32.

    Raises:
      ValueError: If the shapes differ; class ids must be one-hot encoded first.
    """
    if logits.shape != targets.shape:
        raise ValueError(
            f"logits {logits.shape} and targets {targets.shape} must have the same "
            "shape; one-hot encode class ids first"
        )
    return -jnp.sum(targets * _log_softmax(logits), axis=-1)


def two_target_cross_entropy(
    logits: Float[Array, "*B K"],
    labels: Shaped[Array, "..."],
    partner_labels: Shaped[Array, "..."],
    lam: ArrayLike,
) -> Float[Array, "*B"]:
    """lam * CE(labels) + (1 - lam) * CE(partner_labels), from class ids.

    Equal to `soft_cross_entropy` on the mixed one-hot labels, without building them.

    Args:
      logits: Unnormalised log-probabilities of any float dtype.
      labels: Class ids of the first examples, [*B].
      partner_labels: Class ids of their partners.
      lam: Share of the first example, [] or [*B].

    Returns:
      Nats, at least float32; NaN where a class id is outside 0 .. K-1.

    Raises:
      ValueError: If labels are not whole numbers, or of another shape than [*B].

    Source: the criterion of the reference implementation (paper, figure 1a).
    """
    for name, ids in {"labels": labels, "partner_labels": partner_labels}.items():
        _check_ids(name, ids, logits)
    log_probs = _log_softmax(logits)
    first, other = _pick(log_probs, labels), _pick(log_probs, partner_labels)
    lam = jnp.asarray(lam)
    return -(lam * first + (1 - lam) * other)


def _check_ids(name: str, ids: Array, logits: Array) -> None:
    if not jnp.issubdtype(ids.dtype, jnp.integer):
        raise ValueError(
            f"{name} must be class ids, whole numbers, but have dtype {ids.dtype}; "
            "one-hot labels go to soft_cross_entropy"
        )
    if ids.shape != logits.shape[:-1]:
        raise ValueError(
            f"{name} must have shape {logits.shape[:-1]}, one id for each row of "
            f"logits {logits.shape}, got {ids.shape}"
        )


def _log_softmax(logits: Array) -> Array:
    wide = jnp.promote_types(logits.dtype, jnp.float32)
    return jax.nn.log_softmax(logits.astype(wide))


def _pick(log_probs: Array, labels: Array) -> Array:
    # Indexing wraps negative ids and would hide an "ignore" label of -1.
    valid = (labels >= 0) & (labels < log_probs.shape[-1])
    picked = jnp.take_along_axis(log_probs, labels[..., None], axis=-1)[..., 0]
    return jnp.where(valid, picked, jnp.nan)
