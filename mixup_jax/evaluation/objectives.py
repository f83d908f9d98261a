"""What attacks maximise: losses of logits and class ids, one number per example."""

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

from mixup_jax.evaluation.predict import widen
from mixup_jax.losses import two_target_cross_entropy

# The authors' program has it too: three equal logits make 0 / 0.
_TINY = 1e-12


def cross_entropy(
    logits: Float[Array, "B K"], labels: Int[Array, " B"]
) -> Float[Array, " B"]:
    """Cross-entropy in nats; NaN for a label outside 0 .. K-1."""
    return two_target_cross_entropy(logits, labels, labels, 1.0)


def margin(logits: Float[Array, "B K"], labels: Int[Array, " B"]) -> Float[Array, " B"]:
    """The greatest other logit minus the label's: above 0 where it is wrong."""
    logits = widen(logits)
    own = jnp.arange(logits.shape[-1])[None] == labels[:, None]
    others = jnp.where(own, -jnp.inf, logits)
    return jnp.max(others, axis=-1) - _pick(logits, labels)


def dlr(logits: Float[Array, "B K"], labels: Int[Array, " B"]) -> Float[Array, " B"]:
    """Difference of logits ratio: `margin` over the gap of the 1st and 3rd logit.

    Unlike cross-entropy it does not change when logits are scaled, so that a confident
    network does not hide its gradient.

    Raises:
      ValueError: With fewer than 3 classes.

    Source: Croce and Hein (2020), equation (6), arXiv:2003.01690.
    """
    top = _top(logits, 3)
    return margin(logits, labels) / (top[:, 0] - top[:, 2] + _TINY)


def targeted_dlr(
    logits: Float[Array, "B K"], labels: Int[Array, " B"], targets: Int[Array, " B"]
) -> Float[Array, " B"]:
    """Difference of logits ratio towards one other class.

    Raises:
      ValueError: With fewer than 4 classes.

    Source: Croce and Hein (2020), equation (7), arXiv:2003.01690.
    """
    top = _top(logits, 4)
    logits = widen(logits)
    gap = top[:, 0] - (top[:, 2] + top[:, 3]) / 2
    return (_pick(logits, targets) - _pick(logits, labels)) / (gap + _TINY)


def _top(logits: Array, count: int) -> Array:
    if logits.shape[-1] < count:
        raise ValueError(
            f"this loss needs at least {count} classes, got {logits.shape[-1]}; take "
            "cross_entropy or margin"
        )
    return lax.top_k(widen(logits), count)[0]


def _pick(logits: Array, labels: Array) -> Array:
    return jnp.take_along_axis(logits, labels[:, None], axis=-1)[:, 0]
