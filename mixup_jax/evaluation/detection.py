"""Telling inputs of the training distribution from others; beyond the paper.

Scores are of logits, and greater for what looks familiar. Areas and rates are of two
sets of scores, `inside` of the distribution and `outside`, and take `inside` for the
positive class.
"""

import math

import jax
import jax.numpy as jnp
from jax.scipy.special import logsumexp
from jaxtyping import Array, Float

from mixup_jax.evaluation.predict import widen


def max_probability(logits: Float[Array, "N K"]) -> Float[Array, " N"]:
    """The greatest probability; Hendrycks and Gimpel (2017), arXiv:1610.02136.

    Its logarithm, which has the same order, and whose values do not all round to the
    same where a network is sure to seven digits or more.
    """
    logits = widen(logits)
    top = (
        jnp.argmax(logits, axis=-1, keepdims=True) == jnp.arange(logits.shape[-1])[None]
    )
    others = jnp.exp(logits - logits.max(axis=-1, keepdims=True))
    return -jnp.log1p(jnp.sum(jnp.where(top, 0.0, others), axis=-1))


def max_logit(logits: Float[Array, "N K"]) -> Float[Array, " N"]:
    """The greatest logit; Hendrycks et al. (2022), arXiv:1911.11132."""
    return jnp.max(widen(logits), axis=-1)


def negative_entropy(logits: Float[Array, "N K"]) -> Float[Array, " N"]:
    """Minus the entropy of the probabilities, in nats."""
    logs = jax.nn.log_softmax(widen(logits), axis=-1)
    # 0 log 0 is 0; a logit may be minus infinity.
    return jnp.sum(jnp.where(jnp.isneginf(logs), 0.0, jnp.exp(logs) * logs), axis=-1)


def negative_energy(
    logits: Float[Array, "N K"], *, temperature: float = 1.0
) -> Float[Array, " N"]:
    """T log sum exp(logits / T); Liu et al. (2020), equation (4), arXiv:2010.03759.

    Raises:
      ValueError: If the temperature is not above 0.
    """
    if not temperature > 0:
        raise ValueError(f"temperature must be above 0, got {temperature}")
    return temperature * logsumexp(widen(logits) / temperature, axis=-1)


SCORES = {
    "max_probability": max_probability,
    "max_logit": max_logit,
    "negative_entropy": negative_entropy,
    "negative_energy": negative_energy,
}


def auroc(inside: Float[Array, " N"], outside: Float[Array, " M"]) -> Float[Array, ""]:
    """Area under the ROC curve: the chance that an inside score is the greater one.

    Exact but for float32 rounding, by counting pairs; equal scores count half.

    Returns:
      0 to 1, 1/2 for scores that tell nothing; NaN if a score is NaN.

    Raises:
      ValueError: If there are no scores on one of the sides.
    """
    inside, outside = _two_sides(inside, outside)
    ordered = jnp.sort(outside)
    less = jnp.searchsorted(ordered, inside, side="left")
    upto = jnp.searchsorted(ordered, inside, side="right")
    area = jnp.mean((less + upto).astype(inside.dtype)) / (2 * len(outside))
    return _unless_nan(area, inside, outside)


def aupr(inside: Float[Array, " N"], outside: Float[Array, " M"]) -> Float[Array, ""]:
    """Area under the precision-recall curve, as a sum of steps (average precision).

    With the sides exchanged and all signs changed, the outside is the positive class.

    Returns:
      0 to 1; N / (N + M) for scores that tell nothing; NaN if a score is NaN.

    Raises:
      ValueError: As `auroc`.
    """
    inside, outside = _two_sides(inside, outside)
    # Every inside score in turn is the threshold, and as much recall as any other.
    hits, alarms = (_at_least(side, inside) for side in (inside, outside))
    return _unless_nan(jnp.mean(hits / (hits + alarms)), inside, outside)


def fpr_at_tpr(
    inside: Float[Array, " N"], outside: Float[Array, " M"], *, tpr: float = 0.95
) -> Float[Array, ""]:
    """Share of outside scores that pass where at least `tpr` of the inside ones do.

    Args:
      inside: Scores of inputs of the distribution.
      outside: Of others.
      tpr: In (0, 1]; the threshold is the greatest that lets so many inside ones pass.

    Raises:
      ValueError: As `auroc`, or if tpr is not in (0, 1].
    """
    if not 0 < tpr <= 1:
        raise ValueError(f"tpr must be in (0, 1], got {tpr}")
    inside, outside = _two_sides(inside, outside)
    # .95 * 60 is 57 only up to rounding.
    passing = math.ceil(tpr * len(inside) - 1e-9)
    threshold = jnp.sort(inside)[len(inside) - passing]
    rate = jnp.mean((outside >= threshold).astype(inside.dtype))
    return _unless_nan(rate, inside, outside)


def _two_sides(inside: Array, outside: Array) -> tuple[Array, Array]:
    inside, outside = jnp.asarray(inside), jnp.asarray(outside)
    if inside.ndim != 1 or outside.ndim != 1:
        raise ValueError(
            f"scores are one number for each example, [N] and [M], got "
            f"{inside.shape} and {outside.shape}; `SCORES` are of logits"
        )
    if len(inside) == 0 or len(outside) == 0:
        raise ValueError(
            f"scores of both sides are needed, got {len(inside)} and {len(outside)}"
        )
    return widen(inside), widen(outside)


def _at_least(scores: Array, thresholds: Array) -> Array:
    less = jnp.searchsorted(jnp.sort(scores), thresholds, side="left")
    return (len(scores) - less).astype(scores.dtype)


def _unless_nan(value: Array, inside: Array, outside: Array) -> Array:
    # A sort puts NaN last, which would pass for the most familiar.
    bad = jnp.isnan(inside).any() | jnp.isnan(outside).any()
    return jnp.where(bad, jnp.nan, value)
