import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixup_jax.evaluation import objectives

LOGITS = jnp.array([[5.0, 3.0, 2.0, 0.0], [1.0, 4.0, 2.0, 3.0]])


def test_margins_match_hand_computed_ones():
    # Of the label at 5 the best other is 3; of that at 2 it is 4.
    got = objectives.margin(LOGITS, jnp.array([0, 2]))
    np.testing.assert_array_equal(got, [-2.0, 2.0])


def test_dlr_matches_hand_computed_ratios():
    # -(5 - 3) / (5 - 2) and -(2 - 4) / (4 - 2).
    got = objectives.dlr(LOGITS, jnp.array([0, 2]))
    np.testing.assert_allclose(got, [-2 / 3, 1.0], rtol=1e-6)


def test_targeted_dlr_matches_hand_computed_ratios():
    # -(5 - 2) / (5 - (2 + 0) / 2) and -(2 - 3) / (4 - (2 + 1) / 2).
    got = objectives.targeted_dlr(LOGITS, jnp.array([0, 2]), jnp.array([2, 3]))
    np.testing.assert_allclose(got, [-3 / 4, 1 / 2.5], rtol=1e-6)


def test_cross_entropy_matches_a_hand_computed_value():
    logits = jnp.log(jnp.array([[1.0, 3.0]]))
    got = objectives.cross_entropy(logits, jnp.array([0]))
    np.testing.assert_allclose(got, [np.log(4)], rtol=1e-6)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), scale=st.sampled_from([0.01, 1.0, 100.0]))
def test_ratios_do_not_change_with_scale_or_shift(seed, scale):
    keys = jax.random.split(jax.random.key(seed), 2)
    logits = jax.random.normal(keys[0], (8, 6))
    labels = jax.random.randint(keys[1], (8,), 0, 6)
    targets = (labels + 1) % 6
    other = logits * scale + 3
    np.testing.assert_allclose(
        objectives.dlr(other, labels),
        objectives.dlr(logits, labels),
        rtol=0.02,
        atol=1e-4,  # of a ratio near 0: the shift of 3 costs digits of small logits
    )
    np.testing.assert_allclose(
        objectives.targeted_dlr(other, labels, targets),
        objectives.targeted_dlr(logits, labels, targets),
        rtol=0.02,
        atol=1e-3,
    )


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_margin_and_dlr_are_above_0_exactly_where_the_prediction_is_wrong(seed):
    keys = jax.random.split(jax.random.key(seed), 2)
    logits = jax.random.normal(keys[0], (20, 4))
    labels = jax.random.randint(keys[1], (20,), 0, 4)
    wrong = np.argmax(logits, axis=-1) != labels
    np.testing.assert_array_equal(objectives.margin(logits, labels) > 0, wrong)
    np.testing.assert_array_equal(objectives.dlr(logits, labels) > 0, wrong)


def test_equal_logits_have_finite_losses_and_gradients():
    labels, targets = jnp.array([1]), jnp.array([2])
    for loss in (
        lambda z: objectives.dlr(z, labels).sum(),
        lambda z: objectives.targeted_dlr(z, labels, targets).sum(),
    ):
        value, slope = jax.jit(jax.value_and_grad(loss))(jnp.ones((1, 5)))
        assert float(value) == 0
        assert np.isfinite(slope).all()


def test_losses_are_float32_for_bfloat16_logits():
    logits, labels = LOGITS.astype(jnp.bfloat16), jnp.array([0, 2])
    for loss in (objectives.cross_entropy, objectives.margin, objectives.dlr):
        assert loss(logits, labels).dtype == jnp.float32
        np.testing.assert_allclose(loss(logits, labels), loss(LOGITS, labels), 1e-6)
    got = objectives.targeted_dlr(logits, labels, labels + 1)
    assert got.dtype == jnp.float32


def test_too_few_classes_are_refused():
    labels = jnp.array([0])
    with pytest.raises(ValueError, match="at least 3 classes, got 2"):
        objectives.dlr(jnp.ones((1, 2)), labels)
    with pytest.raises(ValueError, match="at least 4 classes, got 3"):
        objectives.targeted_dlr(jnp.ones((1, 3)), labels, labels)
