import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
from hypothesis import given, settings
from hypothesis import strategies as st

from mixup_jax import losses
from mixup_jax.vicinity import mix

KEY = jax.random.key(0)


def test_soft_cross_entropy_matches_a_hand_computed_value():
    # softmax(0, ln 3) = (1/4, 3/4)
    logits = jnp.log(jnp.array([[1.0, 3.0]]))
    got = losses.soft_cross_entropy(logits, jnp.array([[0.5, 0.5]]))
    np.testing.assert_allclose(got, [-0.5 * np.log(0.25) - 0.5 * np.log(0.75)], 1e-6)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), scale=st.sampled_from([0.1, 1.0, 100.0]))
def test_soft_cross_entropy_agrees_with_scipy(seed, scale):
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(5, 4)).astype(np.float32) * np.float32(scale)
    targets = rng.dirichlet(np.ones(4), size=5).astype(np.float32)
    want = -(targets * scipy.special.log_softmax(logits.astype(np.float64), -1)).sum(-1)
    got = losses.soft_cross_entropy(jnp.asarray(logits), jnp.asarray(targets))
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)


def test_gradient_is_softmax_minus_target():
    logits = jax.random.normal(KEY, (3, 5))
    targets = jax.nn.softmax(jax.random.normal(jax.random.key(1), (3, 5)))
    slope = jax.grad(lambda z: losses.soft_cross_entropy(z, targets).sum())(logits)
    np.testing.assert_allclose(slope, jax.nn.softmax(logits) - targets, atol=1e-6)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), alpha=st.sampled_from([0.0, 0.2, 1.0]))
def test_two_targets_equal_the_mixed_one_hot_target(seed, alpha):
    keys = jax.random.split(jax.random.key(seed), 3)
    logits = 3 * jax.random.normal(keys[0], (6, 4))
    labels = jax.random.randint(keys[1], (6,), 0, 4)
    draw = mix.draw_mixing(keys[2], 6, alpha=alpha)
    soft = losses.soft_cross_entropy(
        logits, mix.apply_mixing(draw, jax.nn.one_hot(labels, 4))
    )
    two = losses.two_target_cross_entropy(
        logits, labels, labels[draw.partner], draw.lam
    )
    np.testing.assert_allclose(two, soft, rtol=1e-5, atol=1e-5)


def test_two_targets_take_a_lambda_per_example():
    logits = jnp.log(jnp.array([[1.0, 3.0], [1.0, 3.0]]))
    got = losses.two_target_cross_entropy(
        logits, jnp.array([0, 0]), jnp.array([1, 1]), jnp.array([1.0, 0.0])
    )
    np.testing.assert_allclose(got, [np.log(4), np.log(4 / 3)], rtol=1e-6)


def test_losses_are_float32_for_bfloat16_logits():
    logits = jnp.zeros((2, 3), jnp.bfloat16)
    assert losses.soft_cross_entropy(logits, jnp.ones((2, 3)) / 3).dtype == jnp.float32
    ids = jnp.array([0, 1])
    assert losses.two_target_cross_entropy(logits, ids, ids, 0.5).dtype == jnp.float32


def test_class_ids_in_place_of_targets_are_refused():
    with pytest.raises(ValueError, match="one-hot encode class ids first"):
        losses.soft_cross_entropy(jnp.zeros((4, 3)), jnp.zeros((4, 1)))


def test_one_hot_labels_in_place_of_class_ids_are_refused():
    logits, ids = jnp.zeros((4, 3)), jnp.zeros(4, jnp.int32)
    with pytest.raises(ValueError, match=r"partner_labels must be class ids.*float32"):
        losses.two_target_cross_entropy(logits, ids, jnp.zeros((4, 3)), 0.5)
    with pytest.raises(ValueError, match=r"labels must have shape \(4,\).*got \(2,\)"):
        losses.two_target_cross_entropy(logits, ids[:2], ids, 0.5)


@pytest.mark.parametrize("bad", [-1, 3])
def test_a_class_id_outside_the_range_gives_nan(bad):
    got = losses.two_target_cross_entropy(
        jnp.zeros((2, 3)), jnp.array([0, bad]), jnp.array([1, 1]), 0.5
    )
    assert np.isfinite(got[0])
    assert np.isnan(got[1])


def test_losses_work_on_one_example_and_under_vmap():
    logits, targets = jnp.zeros((4, 3)), jnp.ones((4, 3)) / 3
    one = jax.vmap(losses.soft_cross_entropy)(logits, targets)
    np.testing.assert_allclose(one, losses.soft_cross_entropy(logits, targets))
