import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given, settings
from hypothesis import strategies as st

from mixup_jax.errors import UsageError
from mixup_jax.evaluation import classification

SUMS = jax.jit(classification.error_sums)
WRONG = jax.jit(classification.top_k_wrong, static_argnames="k")
LOGITS = jnp.log(jnp.array([[1.0, 3.0], [3.0, 1.0], [1.0, 1.0]]))


def test_sums_match_hand_computed_values():
    # Predictions 1, 0, 0 (first of equals); labels 1, 1, 0.
    sums = SUMS(LOGITS, jnp.array([1, 1, 0]), jnp.ones((3, 1), jnp.float32))
    assert float(sums.errors[0]) == 1
    assert float(sums.count[0]) == 3
    want = -np.log([3 / 4, 1 / 4, 1 / 2]).sum()
    np.testing.assert_allclose(sums.loss[0], want, rtol=1e-6)


def test_groups_are_counted_apart_and_padding_not_at_all():
    weights = jnp.array([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    logits = LOGITS.at[2].set(jnp.nan)
    sums = SUMS(logits, jnp.array([1, 1, 0]), weights)
    assert sums.errors.tolist() == [0, 1]
    assert sums.count.tolist() == [1, 1]
    assert np.isfinite(sums.loss).all()


def test_rates_are_sums_over_counts_and_nan_for_an_empty_group():
    sums = classification.Sums(
        np.array([2.0, 0.0]),
        np.array([3.0, 0.0]),
        np.array([4.0, 0.0]),
        np.array([1.0, 0.0]),
    )
    assert classification.error_rate(sums) == 0.75
    assert classification.mean_loss(sums) == 0.5
    assert classification.top5_error_rate(sums) == 0.25
    assert np.isnan(classification.error_rate(sums, 1))
    assert np.isnan(classification.mean_loss(sums, 1))
    assert np.isnan(classification.top5_error_rate(sums, 1))


@pytest.mark.parametrize("parts", [1, 7])
@pytest.mark.parametrize("fields", [3, 4])
def test_adding_parts_gives_the_whole(parts, fields):
    part = classification.Sums(
        *(np.ones(1, np.float32) * i for i in range(1, fields + 1))
    )
    total = None
    for _ in range(parts):
        total = classification.add(total, part)
    assert total is not None
    whole = [float(value[0]) for value in total[:fields]]
    assert whole == [parts * i for i in range(1, fields + 1)]
    assert all(value.dtype == np.float64 for value in total[:fields])
    assert (total.top5_errors is None) == (fields == 3)


def test_top_5_errors_match_hand_computed_ranks():
    # The label is the 1st, 5th, 6th and 7th of seven.
    logits = jnp.broadcast_to(jnp.arange(7.0)[None], (4, 7))
    sums = SUMS(
        logits, jnp.array([6, 2, 1, 0]), jnp.array([[1.0], [1.0], [1.0], [0.5]])
    )
    assert sums.top5_errors is not None
    assert float(sums.top5_errors[0]) == 1.5
    assert float(sums.errors[0]) == 2.5


def test_with_five_classes_or_fewer_no_label_is_outside_of_the_top_5():
    logits = jax.random.normal(jax.random.key(0), (50, 5))
    sums = SUMS(logits, jnp.zeros(50, jnp.int32), jnp.ones((50, 1)))
    assert classification.top5_error_rate(sums) == 0
    assert classification.error_rate(sums) > 0.5


def test_of_equal_logits_the_first_come_first():
    wrong = [
        bool(WRONG(jnp.zeros((1, 6)), jnp.array([label]), 5)[0]) for label in range(6)
    ]
    assert wrong == [False] * 5 + [True]


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), k=st.integers(1, 8))
def test_top_k_agrees_with_scikit_learn_and_k_1_with_argmax(seed, k):
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(40, 9)).astype(np.float32)
    labels = rng.integers(0, 9, 40)
    wrong = WRONG(jnp.asarray(logits), jnp.asarray(labels), k)
    want = sklearn.metrics.top_k_accuracy_score(labels, logits, k=k, labels=range(9))
    np.testing.assert_allclose(1 - np.mean(wrong), want, rtol=1e-6)
    # Coarse logits have ties, on which argmax takes the first.
    coarse = jnp.round(jnp.asarray(logits))
    np.testing.assert_array_equal(
        WRONG(coarse, jnp.asarray(labels), 1),
        np.argmax(coarse, axis=-1) != labels,
    )


@pytest.mark.parametrize("k", [1, 5, 9])
def test_rows_with_nan_and_labels_that_are_no_class_are_wrong(k):
    logits = jnp.array([[jnp.nan, 1.0, 0.0], [2.0, jnp.nan, 0.0], [1.0, 0.0, 0.0]])
    wrong = WRONG(logits, jnp.array([0, 0, 3]), k)
    assert wrong.tolist() == [True, True, True]


def test_a_label_whose_logit_is_minus_infinity_is_ranked_last():
    logits = jnp.array([[-jnp.inf, 0.0, 1.0]])
    wrong = [bool(WRONG(logits, jnp.array([0]), k)[0]) for k in (2, 3)]
    assert wrong == [True, False]


def test_sums_are_the_same_under_jit_and_for_bfloat16():
    logits = jnp.array([[1.0, 3.0, 2.0], [0.5, 0.25, 4.0]])
    labels, weights = jnp.array([2, 2]), jnp.ones((2, 1))
    plain = classification.error_sums(logits, labels, weights)
    for other in (
        jax.jit(classification.error_sums)(logits, labels, weights),
        classification.error_sums(logits.astype(jnp.bfloat16), labels, weights),
    ):
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, 1e-6), plain, other)
        assert other.loss.dtype == jnp.float32


def test_an_accelerator_does_not_round_what_it_sums():
    args = jnp.zeros((4, 6)), jnp.zeros(4, jnp.int32), jnp.ones((4, 2))
    text = str(jax.make_jaxpr(classification.error_sums)(*args))
    assert text.count("dot_general[") == text.count("precision=(Precision.HIGHEST") == 3


def test_top_5_of_sums_made_without_it_is_refused():
    sums = classification.Sums(np.ones(1), np.ones(1), np.ones(1))
    with pytest.raises(ValueError, match="make them by error_sums"):
        classification.top5_error_rate(sums)


def test_best_last_and_median_are_three_numbers():
    # The last ten are 9 8 7 6 5 4 3 2 8 6, sorted 2 3 4 5 6 6 7 8 8 9.
    errors = [1.0, 50.0, 9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 8.0, 6.0]
    assert classification.epoch_errors(errors) == (1.0, 6.0, 6.0)
    assert classification.epoch_errors(errors, window=2) == (1.0, 6.0, 7.0)
    assert classification.epoch_errors([0.5, 0.25]) == (0.25, 0.25, 0.375)


def test_no_epochs_have_no_errors():
    with pytest.raises(UsageError, match="no epoch has been evaluated"):
        classification.epoch_errors([])
    with pytest.raises(UsageError, match="window 0"):
        classification.epoch_errors([0.5], window=0)
