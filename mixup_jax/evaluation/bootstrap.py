"""How far a measure would have varied with other test examples."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from mixup_jax.evaluation.predict import AnyArray
from mixup_jax.types import Key


class BootstrapInterval(NamedTuple):
    """A measure of all examples, and the ends of its percentile interval."""

    value: Float[Array, ""]
    low: Float[Array, ""]
    high: Float[Array, ""]


def bootstrap_interval(
    key: Key,
    statistic: Callable[..., Any],
    *arrays: AnyArray,
    resamples: int = 1000,
    level: float = 0.95,
    paired: bool = True,
) -> BootstrapInterval:
    """Draws examples with replacement and takes percentiles of the statistic.

    Says nothing of the spread between training runs. A calibration error is biased
    upwards, and in resamples more so, so that its interval may lie above its value.

    Args:
      key: Consumed here.
      statistic: Of the arrays to one number, in JAX: error rates, calibration, AUROC.
      *arrays: Logits and labels, say; row i of each belongs to example i. Or scores of
        two sets, with `paired=False`.
      resamples: At least a few hundred for a 95 % interval.
      level: Of confidence, between 0 and 1.
      paired: Whether rows of the arrays are drawn together. Otherwise every array is
        drawn from by itself, and may be of another length.

    Raises:
      ValueError: If there are no examples or resamples, paired arrays differ in length,
        level is not between 0 and 1, or the statistic is no number.

    Source: Efron and Tibshirani (1993), section 13.3.
    """
    lengths = {len(array) for array in arrays}
    if not lengths or 0 in lengths or (paired and len(lengths) > 1):
        raise ValueError(
            f"the arrays need rows, and equally many if paired: {sorted(lengths)}"
        )
    if resamples < 1 or not 0 < level < 1:
        raise ValueError(
            f"need at least 1 resample and a level between 0 and 1, got {resamples} "
            f"and {level}"
        )
    given = [jnp.asarray(array) for array in arrays]

    value = jnp.asarray(statistic(*given))
    if value.ndim:
        raise ValueError(f"statistic must return one number, got shape {value.shape}")

    def draw(key, array):
        return array[jax.random.randint(key, (len(array),), 0, len(array))]

    def once(key):
        keys = [key] * len(given) if paired else jax.random.split(key, len(given))
        return statistic(*map(draw, keys, given))

    draws = lax.map(once, jax.random.split(key, resamples))
    ends = jnp.quantile(draws, jnp.array([(1 - level) / 2, (1 + level) / 2]))
    return BootstrapInterval(value, ends[0], ends[1])
