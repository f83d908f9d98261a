import numpy as np
import pytest
import scipy.stats

from mixup_jax.errors import UsageError
from mixup_jax.runs.statistics import mean_interval, paired_difference


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


def test_the_paired_difference_is_the_t_test_of_the_differences():
    # Differences 1, 2, 3: mean 2, standard error 1 / sqrt(3), t = 2 sqrt(3).
    first, second = [11.0, 22.0, 33.0], [10.0, 20.0, 30.0]
    mean, half, p_value = paired_difference(first, second)
    assert mean == pytest.approx(2)
    # Student's t with 2 degrees of freedom: the quantile is 4.302653, and the law has
    # the closed form p = 1 - t / sqrt(2 + t^2).
    assert half == pytest.approx(4.302653 / 3**0.5, rel=1e-6)
    t = 2 * 3**0.5
    assert p_value == pytest.approx(1 - t / (2 + t**2) ** 0.5, rel=1e-9)


def test_what_seeds_share_cancels_out():
    shared = np.random.default_rng(0).normal(0, 100, 8)
    better = shared - 1 + np.linspace(-0.1, 0.1, 8)
    mean, half, p_value = paired_difference(better.tolist(), shared.tolist())
    assert mean == pytest.approx(-1)
    assert half < 0.1 and p_value < 1e-6


@pytest.mark.parametrize(("gap", "p_value"), [(0.0, 1.0), (0.5, 0.0)])
def test_differences_without_spread_have_no_interval(gap, p_value):
    found = paired_difference([1.0 + gap, 2.0 + gap], [1.0, 2.0])
    assert found == (gap, 0.0, p_value)


def test_differences_that_are_alike_but_for_rounding_are_clear_without_a_warning():
    first = [0.1 + seed / 1000 for seed in range(3)]
    mean, half, p_value = paired_difference(first, [x + 0.1 for x in first])
    assert mean == pytest.approx(-0.1)
    assert half < 1e-12 and p_value < 1e-12


def test_the_p_value_is_scipys():
    rng = np.random.default_rng(1)
    first, second = rng.normal(size=(2, 9)).tolist()
    want = scipy.stats.ttest_rel(first, second).pvalue
    assert paired_difference(first, second).p_value == pytest.approx(want, rel=1e-9)


def test_pairs_that_are_none_are_refused():
    with pytest.raises(UsageError, match="got 2 and 3"):
        paired_difference([1.0, 2.0], [1.0, 2.0, 3.0])
    with pytest.raises(UsageError, match="at least 2 seeds"):
        paired_difference([1.0], [2.0])
