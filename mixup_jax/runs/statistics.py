"""Numbers over seeds."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import special  # scipy.stats takes half a second to import

from mixup_jax.errors import UsageError


class Interval(NamedTuple):
    """A mean and the half-width of its confidence interval."""

    mean: float
    half_width: float


class PairedDifference(NamedTuple):
    """How much one method differs from another, seed by seed.

    Attributes:
      mean: Of the first minus the second.
      half_width: Of the confidence interval of the mean.
      p_value: Of the paired t-test, two-sided: how often a difference as large would be
        seen if there were none.
    """

    mean: float
    half_width: float
    p_value: float


def mean_interval(values: Sequence[float], *, level: float = 0.95) -> Interval:
    """Returns the mean over seeds with Student's t interval.

    Args:
      values: One per seed, at least two.
      level: Of confidence, between 0 and 1.

    Raises:
      UsageError: With fewer than two values, which say nothing of spread.
    """
    if len(values) < 2:
        raise UsageError(f"an interval needs at least 2 seeds, got {len(values)}")
    quantile = float(special.stdtrit(len(values) - 1, (1 + level) / 2))
    return Interval(float(np.mean(values)), quantile * _standard_error(values))


def paired_difference(
    first: Sequence[float], second: Sequence[float], *, level: float = 0.95
) -> PairedDifference:
    """Returns the mean difference of two methods that shared their seeds.

    Args:
      first: One per seed, at least two.
      second: Of the same seeds in the same order.
      level: Of confidence, between 0 and 1.

    Raises:
      UsageError: If there are fewer than two, or not as many of either.
    """
    if len(first) != len(second):
        raise UsageError(
            f"pairs need as many of either, got {len(first)} and {len(second)}"
        )
    gaps = np.subtract(first, second)
    mean, half_width = mean_interval(gaps.tolist(), level=level)
    if not gaps.any():  # 0 / 0
        return PairedDifference(0.0, 0.0, 1.0)
    # Not ttest_rel, which warns of differences that are alike but for rounding.
    error = _standard_error(gaps)
    if error == 0:
        return PairedDifference(mean, 0.0, 0.0)
    p_value = 2 * float(special.stdtr(len(gaps) - 1, -abs(mean) / error))
    return PairedDifference(mean, half_width, p_value)


def _standard_error(values: Sequence[float] | np.ndarray) -> float:
    return float(np.std(values, ddof=1)) / math.sqrt(len(values))
