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
