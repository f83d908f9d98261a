import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
import scipy.special
import sklearn.calibration
import sklearn.metrics
from hypothesis import given, settings
from hypothesis import strategies as st

from mixup_jax.evaluation import calibration

KEY = jax.random.key(0)
RELIABILITY, ECE, MCE = (
    jax.jit(function, static_argnames=("bins", "by"))
    for function in (
        calibration.reliability,
        calibration.expected_calibration_error,
        calibration.maximum_calibration_error,
    )
)
NLL, BRIER, TEMPERATURE = map(
    jax.jit,
    (
        calibration.negative_log_likelihood,
        calibration.brier_score,
        calibration.fit_temperature,
    ),
)


def two_class(confidence, right):
    """Logits that predict class 1 with these confidences, and the labels."""
    confidence = np.asarray(confidence)
    logits = np.log(np.stack([1 - confidence, confidence], axis=1))
    return jnp.asarray(logits, jnp.float32), jnp.asarray(right, jnp.int32)


def random_case(seed, count=200, classes=4, scale=2.0):
    rng = np.random.default_rng(seed)
    logits = scale * rng.normal(size=(count, classes))
    # The greatest of logits with Gumbel noise is a draw from their softmax.
    labels = np.argmax(logits / 2 + rng.gumbel(size=logits.shape), axis=1)
    return jnp.asarray(logits, jnp.float32), jnp.asarray(labels, jnp.int32)


# Confidence .6 with 3 of 4 right; .9 with 2 of 4 right; .95 with 0 of 2.
HAND = two_class([0.6] * 4 + [0.9] * 4 + [0.95] * 2, [1, 1, 1, 0, 1, 1, 0, 0, 0, 0])


def test_a_diagram_matches_hand_computed_bins():
    got = RELIABILITY(*HAND, bins=10)
    want = np.full(10, np.nan)
    want[[5, 8, 9]] = [0.6, 0.9, 0.95]
    np.testing.assert_allclose(got.confidence, want, rtol=1e-5)
    want[[5, 8, 9]] = [0.75, 0.5, 0.0]
    np.testing.assert_allclose(got.accuracy, want, rtol=1e-5)
    np.testing.assert_allclose(got.share, [0, 0, 0, 0, 0, 0.4, 0, 0, 0.4, 0.2])


def test_errors_match_hand_computed_values():
    # .4 * .15 + .4 * .4 + .2 * .95; the greatest gap is .95.
    got = ECE(*HAND, bins=10)
    np.testing.assert_allclose(got, 0.41, rtol=1e-5)
    got = MCE(*HAND, bins=10)
    np.testing.assert_allclose(got, 0.95, rtol=1e-5)
    # In five bins .9 and .95 are together: 2 of 6 right at a mean of .91667.
    got = ECE(*HAND, bins=5)
    np.testing.assert_allclose(got, 0.4 * 0.15 + 0.6 * (0.916667 - 1 / 3), rtol=1e-5)


def test_accuracy_and_confidence_of_a_bin_stay_together():
    # Accuracy falls as confidence rises. Sorting both by themselves (peers.md, 2.3
    # item 7) would pair .55 with 0 and .95 with 1, for an error of .3.
    confidence = np.repeat([0.55, 0.75, 0.95], 10)
    right = np.repeat([1, 1, 0], 10)
    got = ECE(*two_class(confidence, right), bins=10)
    np.testing.assert_allclose(got, (0.45 + 0.25 + 0.95) / 3, rtol=1e-5)


@pytest.mark.parametrize(("equals", "place"), [(1, 3), (2, 1), (3, 1), (4, 0)])
def test_bins_hold_their_upper_end(equals, place):
    # Confidences of 1, 1/2, 1/3 and 1/4 without rounding, in bins of width 1/4.
    logits = jnp.where(jnp.arange(4) < equals, 0.0, -jnp.inf)[None]
    got = RELIABILITY(logits, jnp.array([0]), bins=4)
    assert np.flatnonzero(got.share).tolist() == [place]


def test_bins_of_equal_mass_match_hand_computed_ones():
    # Sorted .55 .6 .65 | .7 .8 | .9 .95 in three bins of 7 examples.
    confidence = [0.9, 0.55, 0.7, 0.95, 0.6, 0.8, 0.65]
    right = [1, 0, 1, 0, 1, 1, 0]
    got = RELIABILITY(*two_class(confidence, right), bins=3, by="mass")
    np.testing.assert_allclose(got.confidence, [0.6, 0.75, 0.925], rtol=1e-6)
    np.testing.assert_allclose(got.accuracy, [1 / 3, 1.0, 0.5], rtol=1e-6)
    np.testing.assert_allclose(got.share, [3 / 7, 2 / 7, 2 / 7], rtol=1e-6)
    error = ECE(*two_class(confidence, right), bins=3, by="mass")
    want = (3 * (0.6 - 1 / 3) + 2 * 0.25 + 2 * 0.425) / 7
    np.testing.assert_allclose(error, want, rtol=1e-5)


def test_bins_of_equal_mass_do_not_depend_on_the_order_of_equals():
    # All equally sure and half of them right: no order may make bins that are all so.
    logits, _ = two_class(np.full(40, 0.9), np.ones(40))
    for right in (np.arange(40) < 20, np.arange(40) % 2 == 0):
        got = RELIABILITY(logits, jnp.asarray(right, jnp.int32), bins=4, by="mass")
        np.testing.assert_allclose(got.accuracy, np.full(4, 0.5), rtol=1e-6)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), by=st.sampled_from(["width", "mass"]))
def test_errors_do_not_depend_on_the_order_and_agree_with_loops(seed, by):
    logits, labels = random_case(seed)
    order = np.random.default_rng(seed).permutation(200)
    got = [float(error(logits, labels, by=by)) for error in (ECE, MCE)]
    mixed = [float(error(logits[order], labels[order], by=by)) for error in (ECE, MCE)]
    np.testing.assert_allclose(got, mixed, atol=1e-5)
    labels = np.asarray(labels)
    chances = scipy.special.softmax(np.asarray(logits, np.float64), axis=1)
    confidence, guess = chances.max(axis=1), chances.argmax(axis=1)
    if by == "width":
        groups = [
            np.flatnonzero((confidence > m / 15) & (confidence <= (m + 1) / 15))
            for m in range(15)
        ]
    else:
        ordered = np.argsort(confidence)
        groups = [ordered[np.arange(200) * 15 // 200 == m] for m in range(15)]
        assert {len(group) for group in groups} == {13, 14}
    gaps = [
        (len(g) / 200, abs((guess[g] == labels[g]).mean() - confidence[g].mean()))
        for g in groups
        if len(g)
    ]
    want = [sum(share * gap for share, gap in gaps), max(gap for _, gap in gaps)]
    np.testing.assert_allclose(got, want, atol=1e-5)


@pytest.mark.parametrize(("by", "theirs"), [("width", "uniform"), ("mass", "quantile")])
def test_diagrams_agree_with_scikit_learn(by, theirs):
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0.5, 1, 300)
    right = (rng.uniform(size=300) < confidence**2).astype(int)
    got = RELIABILITY(*two_class(confidence, right), bins=10, by=by)
    accuracy, mean = sklearn.calibration.calibration_curve(
        right, confidence, n_bins=10, strategy=theirs
    )
    filled = np.asarray(got.share) > 0
    np.testing.assert_allclose(np.asarray(got.accuracy)[filled], accuracy, atol=1e-5)
    np.testing.assert_allclose(np.asarray(got.confidence)[filled], mean, atol=1e-5)


def test_a_calibrated_classifier_has_almost_no_error():
    logits = jax.random.normal(KEY, (40_000, 3))
    labels = jax.random.categorical(jax.random.key(1), logits)
    # A bin of 4,000 is off by .006 on average.
    assert ECE(logits, labels, bins=10) < 0.012
    assert ECE(3 * logits, labels, bins=10) > 0.15


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_likelihood_and_brier_score_agree_with_scikit_learn(seed):
    logits, labels = random_case(seed)
    chances = scipy.special.softmax(np.asarray(logits, np.float64), axis=1)
    np.testing.assert_allclose(
        NLL(logits, labels),
        sklearn.metrics.log_loss(labels, chances, labels=range(4)),
        rtol=1e-5,
    )
    squares = ((chances - np.eye(4)[np.asarray(labels)]) ** 2).sum(axis=1)
    got = BRIER(logits, labels)
    np.testing.assert_allclose(got, squares.mean(), rtol=1e-5)


def test_the_brier_score_of_two_classes_is_twice_the_binary_one():
    logits, labels = random_case(3, classes=2)
    chances = scipy.special.softmax(np.asarray(logits, np.float64), axis=1)
    binary = sklearn.metrics.brier_score_loss(labels, chances[:, 1])
    got = BRIER(logits, labels)
    np.testing.assert_allclose(got, 2 * binary, rtol=1e-5)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), scale=st.sampled_from([0.2, 2.0, 30.0]))
def test_the_temperature_is_that_of_a_scalar_search(seed, scale):
    logits, labels = random_case(seed, scale=1.0)
    logits = logits * scale
    wide, rows = np.asarray(logits, np.float64), np.arange(200)

    def loss(log_temperature):
        scaled = wide / np.exp(log_temperature)
        return -scipy.special.log_softmax(scaled, axis=1)[rows, labels].mean()

    want = scipy.optimize.minimize_scalar(
        loss, bounds=np.log(calibration.TEMPERATURES), options={"xatol": 1e-9}
    )
    got = float(TEMPERATURE(logits, labels))
    np.testing.assert_allclose(got, np.exp(want.x), rtol=2e-3)
    assert loss(np.log(got)) <= want.fun + 1e-6


def test_the_temperature_undoes_a_scaling_and_ignores_a_shift():
    logits = jax.random.normal(KEY, (20_000, 5)) * 2
    labels = jax.random.categorical(jax.random.key(1), logits)
    plain = float(TEMPERATURE(logits, labels))
    np.testing.assert_allclose(plain, 1.0, atol=0.03)
    scaled = TEMPERATURE(7 * logits + 1000, labels)
    # The shift of 1000 rounds logits to 6e-5.
    np.testing.assert_allclose(scaled, 7 * plain, rtol=1e-3)


def test_temperatures_beyond_the_range_are_its_ends():
    logits = jnp.array([[2.0, 0.0], [0.0, 1.0]])
    always = TEMPERATURE(logits, jnp.array([0, 1]))
    never = TEMPERATURE(logits, jnp.array([1, 0]))
    np.testing.assert_allclose([always, never], calibration.TEMPERATURES, rtol=1e-4)


def test_logits_that_are_no_numbers_have_no_calibration():
    logits, labels = random_case(0)
    for bad in (jnp.nan, jnp.inf):
        worse = logits.at[3, 1].set(bad)
        assert np.isnan(TEMPERATURE(worse, labels))
        assert np.isnan(ECE(worse, labels))
        assert np.isnan(BRIER(worse, labels))


def test_measures_work_under_jit_and_vmap_and_in_bfloat16():
    logits, labels = random_case(0, count=60)
    stack = jnp.stack([logits, 2 * logits])
    rough = logits.astype(jnp.bfloat16)
    for measure in (
        calibration.expected_calibration_error,
        lambda z, y: calibration.expected_calibration_error(z, y, by="mass"),
        calibration.maximum_calibration_error,
        calibration.negative_log_likelihood,
        calibration.brier_score,
        calibration.fit_temperature,
    ):
        compiled = jax.jit(measure)
        plain = measure(logits, labels)
        np.testing.assert_allclose(compiled(logits, labels), plain, rtol=1e-5)
        several = jax.jit(jax.vmap(measure, (0, None)))(stack, labels)
        np.testing.assert_allclose(several[1], compiled(stack[1], labels), rtol=1e-4)
        half = compiled(rough, labels)
        assert half.dtype == jnp.float32
        wide = compiled(rough.astype(jnp.float32), labels)
        np.testing.assert_allclose(half, wide, rtol=1e-5)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"bins": 0}, "bins must be at least 1, got 0"),
        ({"by": "size"}, 'by must be "width" or "mass", got .size.'),
        ({"labels": jnp.array([0, -1])}, r"labels must be in 0 \.\. 2, got -1 \.\. 0"),
        ({"labels": jnp.array([0, 3])}, r"labels must be in 0 \.\. 2, got 0 \.\. 3"),
        # One label would be taken for that of all.
        ({"labels": jnp.array([0])}, "1 labels do not fit 2 examples"),
        ({"logits": jnp.zeros(2)}, r"logits must be \[N, K\], got shape \(2,\)"),
    ],
)
def test_what_cannot_be_binned_is_refused(options, words, untyped):
    given = {"logits": jnp.zeros((2, 3)), "labels": jnp.array([0, 1])}
    with pytest.raises(ValueError, match=words):
        calibration.reliability(**{**given, **options})


def test_no_examples_are_refused():
    for measure in (calibration.brier_score, calibration.fit_temperature):
        with pytest.raises(ValueError, match="no examples"):
            measure(jnp.zeros((0, 3)), jnp.zeros(0, jnp.int32))
