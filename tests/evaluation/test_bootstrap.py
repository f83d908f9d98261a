import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from mixup_jax.evaluation import calibration, detection
from mixup_jax.evaluation.bootstrap import bootstrap_interval

KEY = jax.random.key(0)


def test_the_interval_agrees_with_scipy():
    values = np.random.default_rng(0).exponential(size=80).astype(np.float32)
    got = bootstrap_interval(KEY, jnp.mean, values, resamples=4000, level=0.9)
    want = scipy.stats.bootstrap(
        (values,),
        np.mean,
        n_resamples=4000,
        confidence_level=0.9,
        method="percentile",
        rng=np.random.default_rng(1),
    ).confidence_interval
    np.testing.assert_allclose(got.value, values.mean(), rtol=1e-5)
    # The standard error is .11; percentiles of 4,000 draws are good to .005.
    np.testing.assert_allclose([got.low, got.high], [want.low, want.high], atol=0.015)


def test_the_interval_covers_the_truth_as_often_as_it_says():
    def once(key):
        keys = jax.random.split(key)
        values = jax.random.normal(keys[0], (60,))
        got = bootstrap_interval(keys[1], jnp.mean, values, resamples=200, level=0.8)
        return (got.low <= 0) & (got.high >= 0)

    covered = jax.vmap(once)(jax.random.split(KEY, 400))
    # 80 % less about 1 for the percentile method; sigma is 2 %.
    assert 0.72 < covered.mean() < 0.86


def test_rows_of_all_arrays_are_drawn_together():
    first = jnp.arange(50.0)
    got = bootstrap_interval(
        KEY, lambda a, b: jnp.max(jnp.abs(a - b)), first, first, resamples=20
    )
    assert (float(got.low), float(got.value), float(got.high)) == (0.0, 0.0, 0.0)


def test_draws_depend_on_the_key_alone():
    values = jnp.arange(30.0)
    first = bootstrap_interval(KEY, jnp.mean, values)
    assert first == bootstrap_interval(KEY, jnp.mean, values)
    other = bootstrap_interval(jax.random.key(1), jnp.mean, values)
    assert other.low != first.low
    np.testing.assert_allclose(other.low, first.low, atol=0.5)


def test_measures_of_logits_have_intervals():
    logits = jax.random.normal(KEY, (300, 4))
    labels = jax.random.categorical(jax.random.key(1), logits)
    for measure in (
        calibration.expected_calibration_error,
        lambda z, y: jnp.mean(jnp.argmax(z, axis=1) != y),
    ):
        got = bootstrap_interval(KEY, measure, logits, labels, resamples=100)
        assert float(got.low) < float(got.high)
        np.testing.assert_allclose(got.value, measure(logits, labels), rtol=1e-6)


def test_the_interval_of_an_area_resamples_each_side_by_itself():
    rng = np.random.default_rng(0)
    inside, outside = rng.normal(1, 1, 60), rng.normal(0, 1, 35)
    got = bootstrap_interval(
        KEY,
        detection.auroc,
        inside.astype(np.float32),
        outside.astype(np.float32),
        resamples=1000,
        paired=False,
    )
    want = scipy.stats.bootstrap(
        (inside, outside),
        lambda a, b: scipy.stats.mannwhitneyu(a, b).statistic / (60 * 35),
        n_resamples=1000,
        vectorized=False,
        method="percentile",
        rng=rng,
    ).confidence_interval
    # The standard error is .04; ends of 1,000 draws are good to .004.
    np.testing.assert_allclose([got.low, got.high], [want.low, want.high], atol=0.015)


def test_arrays_that_are_not_paired_are_drawn_from_by_themselves():
    first = jnp.arange(50.0)
    got = bootstrap_interval(
        KEY,
        lambda a, b: jnp.mean(jnp.abs(a - b)),
        first,
        first,
        resamples=20,
        paired=False,
    )
    # Two uniform draws of 0 .. 49 are a third of 50 apart.
    assert float(got.value) == 0
    assert 10 < got.low < got.high < 24


@pytest.mark.parametrize(
    ("arrays", "options", "words"),
    [
        ((jnp.ones(3), jnp.ones(2)), {}, r"equally many if paired: \[2, 3\]"),
        ((jnp.ones(0),), {}, r"need rows, .*: \[0\]"),
        ((jnp.ones(3), jnp.ones(0)), {"paired": False}, "need rows"),
        ((), {}, "need rows"),
        ((jnp.ones(3),), {"resamples": 0}, "got 0 and 0.95"),
        ((jnp.ones(3),), {"level": 1.0}, "got 1000 and 1.0"),
        ((jnp.ones(3),), {"level": 0.0}, "got 1000 and 0.0"),
    ],
)
def test_what_cannot_be_resampled_is_refused(arrays, options, words):
    with pytest.raises(ValueError, match=words):
        bootstrap_interval(KEY, lambda *a: a[0].mean(), *arrays, **options)


def test_a_statistic_that_is_no_number_is_refused():
    with pytest.raises(ValueError, match=r"must return one number, got shape \(3,\)"):
        bootstrap_interval(jax.random.key(0), lambda scores: scores, jnp.ones(3))
