import numpy as np
import pytest
import scipy.stats

from mixup_jax.errors import UsageError
from mixup_jax.runs.statistics import mean_interval


def test_the_interval_matches_a_hand_computed_one():
    # Values 1, 2, 3: mean 2, standard error 1 / sqrt(3), t(0.975; 2) = 4.302653.
    mean, half = mean_interval([1.0, 2.0, 3.0])
    assert mean == 2.0
    assert half == pytest.approx(4.302653 / np.sqrt(3), rel=1e-6)


def test_the_interval_covers_the_mean_as_often_as_it_says():
    rng = np.random.default_rng(0)
    intervals = [
        mean_interval(rng.normal(5, 2, 4).tolist(), level=0.8) for _ in range(2000)
    ]
    covered = sum(abs(mean - 5) <= half for mean, half in intervals)
    assert scipy.stats.binomtest(covered, 2000, 0.8).pvalue > 1e-3


def test_one_seed_has_no_interval():
    with pytest.raises(UsageError, match="at least 2 seeds, got 1"):
        mean_interval([1.0])
