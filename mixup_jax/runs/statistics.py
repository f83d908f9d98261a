"""Numbers over seeds."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import scipy.stats

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
    error = float(scipy.stats.sem(values))
    quantile = float(scipy.stats.t.ppf((1 + level) / 2, len(values) - 1))
    return Interval(float(np.mean(values)), quantile * error)


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
    error = float(scipy.stats.sem(gaps))
    if error == 0:
        return PairedDifference(mean, 0.0, 0.0)
    p_value = 2 * float(scipy.stats.t.sf(abs(mean) / error, len(gaps) - 1))
    return PairedDifference(mean, half_width, p_value)
