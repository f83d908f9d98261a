import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import scipy.stats
import sklearn.metrics
from hypothesis import given, settings
from hypothesis import strategies as st

from mixup_jax.evaluation import detection

AUROC, AUPR = jax.jit(detection.auroc), jax.jit(detection.aupr)
FPR = jax.jit(detection.fpr_at_tpr, static_argnames="tpr")
MAX_PROBABILITY, MAX_LOGIT, NEGATIVE_ENTROPY = map(
    jax.jit,
    (detection.max_probability, detection.max_logit, detection.negative_entropy),
)
NEGATIVE_ENERGY = jax.jit(detection.negative_energy, static_argnames="temperature")
MEASURES = (AUROC, AUPR, FPR)
# Few sizes, as each is compiled.
SIZES = st.sampled_from([(1, 4), (12, 9), (25, 3)])


def sides(inside, outside):
    return tuple(jnp.asarray(np.array(s, np.float32)) for s in (inside, outside))


def coarse_scores(seed, sizes):
    """Scores with many ties."""
    rng = np.random.default_rng(seed)
    return [rng.integers(-3, 4, size) for size in sizes]


def as_positives(inside, outside):
    truth = np.r_[np.ones(len(inside)), np.zeros(len(outside))]
    return truth, np.r_[inside, outside]


def test_areas_match_hand_computed_values():
    # Pairs of (3, 2, 1) with (2, 0): 1 1, 1/2 1, 0 1.
    got = AUROC(*sides([3, 2, 1], [2, 0]))
    np.testing.assert_allclose(got, 4.5 / 6, rtol=1e-6)
    # Precision at 3 is 1, at 2 is 2 of 3, at 1 is 3 of 4.
    got = AUPR(*sides([3, 2, 1], [2, 0]))
    np.testing.assert_allclose(got, (1 + 2 / 3 + 3 / 4) / 3, rtol=1e-6)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    sizes=SIZES,
    tpr=st.sampled_from([0.3, 0.8, 0.95, 1.0]),
)
def test_areas_and_rates_agree_with_scikit_learn_ties_included(seed, sizes, tpr):
    inside, outside = coarse_scores(seed, sizes)
    truth, scores = as_positives(inside, outside)
    both = sides(inside, outside)
    np.testing.assert_allclose(
        AUROC(*both), sklearn.metrics.roc_auc_score(truth, scores), atol=1e-6
    )
    np.testing.assert_allclose(
        AUPR(*both),
        sklearn.metrics.average_precision_score(truth, scores),
        atol=1e-6,
    )
    alarms, hits, _ = sklearn.metrics.roc_curve(truth, scores, drop_intermediate=False)
    want = alarms[np.argmax(hits >= tpr - 1e-9)]
    np.testing.assert_allclose(FPR(*both, tpr=tpr), want, atol=1e-6)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), sizes=SIZES)
def test_exchanging_the_sides_gives_the_rest_of_the_area(seed, sizes):
    one, two = sides(*coarse_scores(seed, sizes))
    whole = AUROC(one, two) + AUROC(two, one)
    np.testing.assert_allclose(whole, 1.0, atol=1e-6)
    np.testing.assert_allclose(AUROC(-two, -one), AUROC(one, two), atol=1e-6)


def test_perfect_and_useless_scores():
    apart = sides(range(50, 100), range(50))
    useless = sides([1] * 30, [1] * 10)
    for measure, best, chance in (
        (AUROC, 1, 0.5),
        (AUPR, 1, 0.75),
        (FPR, 0, 1),
    ):
        np.testing.assert_allclose(measure(*apart), best, atol=1e-6)
        np.testing.assert_allclose(measure(*useless), chance, atol=1e-6)


def test_95_per_cent_of_20_inside_scores_pass():
    # The threshold is 2, the second least inside score, and 2 and 9 of 4 pass it.
    got = FPR(*sides(range(1, 21), [0, 1, 2, 9]))
    assert float(got) == 0.5
    # Of 60 inside scores 57 pass: the fourth least is 4.
    got = FPR(*sides(range(1, 61), [3.5, 4]))
    assert float(got) == 0.5


@pytest.mark.parametrize("count", [20, 40, 60, 100, 1000])
@pytest.mark.parametrize("tpr", [0.55, 0.7, 0.95])
def test_rounding_does_not_move_the_threshold(count, tpr):
    # round() as these products are whole up to rounding.
    passing = round(tpr * count)
    scores = jnp.arange(count, dtype=jnp.float32)
    at, below = count - passing, count - passing - 0.5
    got = FPR(scores, jnp.array([at, below], jnp.float32), tpr=tpr)
    assert float(got) == 0.5


def test_areas_of_many_scores_are_exact():
    rng = np.random.default_rng(0)
    inside = rng.normal(1, 1, 60_000).astype(np.float32)
    outside = rng.normal(0, 1, 50_000).astype(np.float32)
    truth, scores = as_positives(inside, outside)
    got = AUROC(jnp.asarray(inside), jnp.asarray(outside))
    want = sklearn.metrics.roc_auc_score(truth, scores)
    np.testing.assert_allclose(got, want, rtol=2e-6)
    # Phi(1 / sqrt(2)) for two normals; the standard error is .0015.
    np.testing.assert_allclose(got, scipy.stats.norm.cdf(0.5**0.5), atol=0.005)


def test_scores_match_hand_computed_values():
    # Probabilities 1/4, 3/4.
    logits = jnp.log(jnp.array([[1.0, 3.0]]))
    np.testing.assert_allclose(MAX_PROBABILITY(logits), [np.log(0.75)], 1e-6)
    np.testing.assert_allclose(MAX_LOGIT(logits), [np.log(3)], 1e-6)
    entropy = -0.25 * np.log(0.25) - 0.75 * np.log(0.75)
    np.testing.assert_allclose(NEGATIVE_ENTROPY(logits), [-entropy], 1e-6)
    np.testing.assert_allclose(NEGATIVE_ENERGY(logits), [np.log(4)], 1e-6)
    # 2 log(1 + sqrt 3)
    got = NEGATIVE_ENERGY(logits, temperature=2.0)
    np.testing.assert_allclose(got, [2 * np.log(1 + 3**0.5)], 1e-6)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), scale=st.sampled_from([0.1, 5.0, 500.0]))
def test_scores_agree_with_scipy(seed, scale):
    logits = np.random.default_rng(seed).normal(size=(10, 6)).astype(np.float32) * scale
    logits = logits.astype(np.float32)
    wide = logits.astype(np.float64)
    chances = scipy.special.softmax(wide, axis=1)
    given_ = jnp.asarray(logits)
    np.testing.assert_allclose(
        jnp.exp(MAX_PROBABILITY(given_)), chances.max(axis=1), rtol=1e-4
    )
    np.testing.assert_allclose(
        NEGATIVE_ENTROPY(given_),
        -scipy.stats.entropy(chances, axis=1),
        rtol=1e-3,
        atol=1e-5,
    )
    np.testing.assert_allclose(
        NEGATIVE_ENERGY(given_), scipy.special.logsumexp(wide, axis=1), 1e-5
    )


def test_very_sure_networks_still_have_an_order():
    # Both probabilities round to 1, and differ from it by e^-40 and e^-50.
    logits = jnp.array([[40.0, 0.0], [0.0, 50.0]])
    assert jax.nn.softmax(logits).max(axis=1).tolist() == [1, 1]
    got = MAX_PROBABILITY(logits)
    np.testing.assert_allclose(got, [-np.exp(-40.0), -np.exp(-50.0)], rtol=1e-5)


def test_a_class_that_is_ruled_out_leaves_scores_finite():
    logits = jnp.array([[0.0, 0.0, -jnp.inf]])
    np.testing.assert_allclose(NEGATIVE_ENTROPY(logits), [-np.log(2)], 1e-6)
    np.testing.assert_allclose(NEGATIVE_ENERGY(logits), [np.log(2)], 1e-6)


@pytest.mark.parametrize("name", sorted(detection.SCORES))
def test_sure_logits_score_higher_than_flat_ones(name):
    score = detection.SCORES[name]
    sure = jax.random.normal(jax.random.key(0), (100, 5)).at[:, 0].add(8)
    flat = jax.random.normal(jax.random.key(1), (100, 5))
    assert float(AUROC(score(sure), score(flat))) > 0.98
    half = score(sure.astype(jnp.bfloat16))
    assert half.dtype == jnp.float32
    np.testing.assert_allclose(half, score(sure), rtol=0.5, atol=0.1)


def test_measures_work_under_jit_and_vmap():
    inside = jax.random.normal(jax.random.key(0), (3, 40)) + 1
    outside = jax.random.normal(jax.random.key(1), (3, 30))
    for measure in (detection.auroc, detection.aupr, detection.fpr_at_tpr):
        one = measure(inside[2], outside[2])
        np.testing.assert_allclose(jax.jit(measure)(inside[2], outside[2]), one, 1e-6)
        several = jax.jit(jax.vmap(measure))(inside, outside)
        np.testing.assert_allclose(several[2], one, 1e-6)


@pytest.mark.parametrize("side", [0, 1])
def test_scores_that_are_no_numbers_have_no_area(side):
    both = [jnp.arange(5.0), jnp.arange(5.0)]
    both[side] = both[side].at[2].set(jnp.nan)
    for measure in MEASURES:
        assert np.isnan(measure(*both))


def test_what_cannot_be_measured_is_refused():
    some, none = jnp.ones(3), jnp.ones(0)
    for measure in (detection.auroc, detection.aupr, detection.fpr_at_tpr):
        with pytest.raises(ValueError, match="both sides are needed, got 3 and 0"):
            measure(some, none)
        with pytest.raises(ValueError, match="both sides are needed, got 0 and 3"):
            measure(none, some)
    for tpr in (0.0, 1.5):
        with pytest.raises(ValueError, match=rf"tpr must be in \(0, 1\], got {tpr}"):
            detection.fpr_at_tpr(some, some, tpr=tpr)
    with pytest.raises(ValueError, match="temperature must be above 0, got"):
        detection.negative_energy(jnp.ones((1, 2)), temperature=0.0)


def test_logits_in_place_of_scores_and_lists_of_scores(untyped):
    with pytest.raises(ValueError, match=r"scores are one .*got \(3, 2\) and \(3,\)"):
        detection.auroc(jnp.ones((3, 2)), jnp.ones(3))
    assert detection.auroc([2.0, 3.0], [1.0]) == 1
    with pytest.raises(ValueError, match="temperature must be above 0, got nan"):
        detection.negative_energy(jnp.ones((1, 2)), temperature=float("nan"))
