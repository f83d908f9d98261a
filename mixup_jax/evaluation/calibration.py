"""Whether a classifier is as often right as it says; beyond the paper.

All take logits; of probabilities, give their logarithms.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

from mixup_jax.evaluation.objectives import cross_entropy
from mixup_jax.evaluation.predict import check_labels, widen

# Where a temperature is looked for. Of logits that are always right the best one is 0,
# of those worse than chance infinity.
TEMPERATURES = (0.01, 100.0)


class Reliability(NamedTuple):
    """A reliability diagram: of each bin by confidence.

    Attributes:
      confidence: Mean greatest probability; NaN in an empty bin.
      accuracy: Share of right predictions, of the same examples; NaN likewise.
      share: Of all examples.
    """

    confidence: Float[Array, " bins"]
    accuracy: Float[Array, " bins"]
    share: Float[Array, " bins"]


def reliability(
    logits: Float[Array, "N K"],
    labels: Int[Array, " N"],
    *,
    bins: int = 15,
    by: str = "width",
) -> Reliability:
    """Groups examples by confidence.

    Args:
      logits: Of held-out examples; the first of equal maxima is the prediction.
      labels: Class ids.
      bins: How many.
      by: "width": bin m has confidences in (m / bins, (m + 1) / bins]. "mass": every
        bin has as many examples, to within one. Examples with equal confidence share
        their accuracy, so that their order does not matter.

    Raises:
      ValueError: If bins is below 1, by is something else, a label is no class id, or
        there are no examples.

    Source: Guo et al. (2017), section 2, arXiv:1706.04599; equal mass: Nguyen and
    O'Connor (2015), arXiv:1508.05154.
    """
    if bins < 1:
        raise ValueError(f"bins must be at least 1, got {bins}")
    probabilities = jax.nn.softmax(_checked(logits, labels), axis=-1)
    confidence = jnp.max(probabilities, axis=-1)
    right = (jnp.argmax(logits, axis=-1) == labels).astype(confidence.dtype)
    if by == "width":
        place = jnp.ceil(confidence * bins).astype(jnp.int32) - 1
        place = jnp.clip(place, 0, bins - 1)
    elif by == "mass":
        confidence, right = _sorted(confidence, right)
        place = jnp.arange(len(right)) * bins // len(right)
    else:
        raise ValueError(f'by must be "width" or "mass", got {by!r}')
    count, sure, hits = (
        jax.ops.segment_sum(values, place, bins)
        for values in (jnp.ones_like(right), confidence, right)
    )
    return Reliability(sure / count, hits / count, count / len(right))


def expected_calibration_error(
    logits: Float[Array, "N K"],
    labels: Int[Array, " N"],
    *,
    bins: int = 15,
    by: str = "width",
) -> Float[Array, ""]:
    """Mean over examples of |accuracy - confidence| of their bin, 0 to 1.

    Args, Raises: As `reliability`.

    Source: Naeini et al. (2015); Guo et al. (2017), equation (3).
    """
    diagram = reliability(logits, labels, bins=bins, by=by)
    return jnp.sum(diagram.share * _gaps(diagram))


def maximum_calibration_error(
    logits: Float[Array, "N K"],
    labels: Int[Array, " N"],
    *,
    bins: int = 15,
    by: str = "width",
) -> Float[Array, ""]:
    """Greatest |accuracy - confidence| of a bin that is not empty; as above.

    Source: Guo et al. (2017), equation (5).
    """
    return jnp.max(_gaps(reliability(logits, labels, bins=bins, by=by)))


def negative_log_likelihood(
    logits: Float[Array, "N K"], labels: Int[Array, " N"]
) -> Float[Array, ""]:
    """Mean cross-entropy in nats."""
    return cross_entropy(_checked(logits, labels), labels).mean()


def brier_score(
    logits: Float[Array, "N K"], labels: Int[Array, " N"]
) -> Float[Array, ""]:
    """Mean squared distance of the probabilities from the one-hot label, 0 to 2.

    Summed over classes, as Brier (1950) has it; for two classes twice the binary score.
    """
    probabilities = jax.nn.softmax(_checked(logits, labels), axis=-1)
    target = jax.nn.one_hot(labels, logits.shape[-1], dtype=probabilities.dtype)
    return jnp.mean(jnp.sum((probabilities - target) ** 2, axis=-1))


def fit_temperature(
    logits: Float[Array, "N K"], labels: Int[Array, " N"]
) -> Float[Array, ""]:
    """Returns the T for which logits / T have the least negative log-likelihood.

    That is convex in 1 / T, so that bisection of its derivative's sign finds the one
    optimum, with no rate to choose.

    Args:
      logits: Of held-out examples, not those that are then measured.
      labels: Class ids.

    Returns:
      Within .01 .. 100, whose ends stand for whatever is beyond; NaN if a logit is not
      finite.

    Source: Guo et al. (2017), section 4.2.
    """
    logits = _checked(logits, labels)
    centred = logits - logits.max(axis=-1, keepdims=True)
    own = jnp.take_along_axis(centred, labels[:, None], axis=-1)[:, 0]

    def too_cold(log_temperature):
        chances = jax.nn.softmax(centred / jnp.exp(log_temperature), axis=-1)
        # The derivative of the likelihood in 1 / T.
        return jnp.mean(jnp.sum(chances * centred, axis=-1) - own) > 0

    def halve(_, ends):
        middle = (ends[0] + ends[1]) / 2
        cold = too_cold(middle)
        return jnp.where(cold, middle, ends[0]), jnp.where(cold, ends[1], middle)

    ends = tuple(jnp.log(jnp.asarray(end, logits.dtype)) for end in TEMPERATURES)
    low, high = lax.fori_loop(0, 40, halve, ends)
    fitted = jnp.exp((low + high) / 2)
    return jnp.where(jnp.isfinite(logits).all(), fitted, jnp.nan)


def _checked(logits: Array, labels: Array) -> Array:
    if logits.ndim != 2:
        raise ValueError(f"logits must be [N, K], got shape {logits.shape}")
    check_labels(labels, logits.shape[1], len(logits))
    return widen(logits)


def _gaps(diagram: Reliability) -> Float[Array, " bins"]:
    gap = jnp.abs(diagram.accuracy - diagram.confidence)
    return jnp.where(diagram.share > 0, gap, 0.0)


def _sorted(
    confidence: Float[Array, " N"], right: Float[Array, " N"]
) -> tuple[Float[Array, " N"], Float[Array, " N"]]:
    """Sorts by confidence, with the mean accuracy of equals in place of their own."""
    order = jnp.argsort(confidence)
    confidence, right = confidence[order], right[order]
    new = jnp.diff(confidence, prepend=confidence[:1]) > 0
    group = jnp.cumsum(new)
    hits = jax.ops.segment_sum(right, group, len(right))
    size = jax.ops.segment_sum(jnp.ones_like(right), group, len(right))
    return confidence, (hits / size)[group]
