import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import mixup_jax
from mixup_jax.vicinity.mix import Mixing, apply_mixing, draw_mixing
from mixup_jax.vicinity.targets import closer, closest, mix_loss, smooth_labels

KEY = jax.random.key(0)
SWAP = jnp.array([1, 0, 2])


def test_smoothing_by_the_papers_formula():
    # "epsilon/10 on the nine wrong classes, 1 - 9 epsilon / 10 on the right one"
    got = smooth_labels(jax.nn.one_hot(jnp.array([3]), 10), epsilon=0.2)
    expected = np.full((1, 10), 0.02)
    expected[0, 3] = 0.82
    np.testing.assert_allclose(got, expected, rtol=1e-6)


@pytest.mark.parametrize("epsilon", [-0.1, 1.1])
def test_smoothing_out_of_range_is_refused(epsilon):
    with pytest.raises(ValueError, match=r"epsilon must be in \[0, 1\]"):
        smooth_labels(jnp.eye(3), epsilon=epsilon)


def test_class_ids_cannot_be_smoothed():
    with pytest.raises(ValueError, match="targets has dtype int32"):
        smooth_labels(jnp.array([[0, 1]]), epsilon=0.1)


def test_smoothing_commutes_with_mixing():
    y = jax.nn.one_hot(jnp.array([0, 2, 1]), 3)
    draw = Mixing(jnp.float32(0.3), SWAP)
    np.testing.assert_allclose(
        smooth_labels(apply_mixing(draw, y), epsilon=0.1),
        apply_mixing(draw, smooth_labels(y, epsilon=0.1)),
        rtol=1e-6,
    )


@pytest.mark.parametrize(
    ("lam", "expected"), [(0.7, [5, 6, 7]), (0.3, [6, 5, 7]), (0.5, [5, 6, 7])]
)
def test_the_closer_examples_label_wins_and_ties_are_its_own(lam, expected):
    draw = Mixing(jnp.float32(lam), SWAP)
    np.testing.assert_array_equal(closer(draw, jnp.array([5, 6, 7])), expected)


def test_the_closer_example_is_chosen_row_by_row():
    draw = Mixing(jnp.array([0.9, 0.1, 0.2]), SWAP)
    np.testing.assert_array_equal(closer(draw, jnp.array([5, 6, 7])), [5, 5, 7])
    masks = jnp.arange(3, dtype=jnp.uint8)[:, None, None] * jnp.ones(
        (3, 2, 2), jnp.uint8
    )
    got = closer(draw, {"mask": masks})["mask"]
    assert got.dtype == jnp.uint8
    np.testing.assert_array_equal(got[:, 0, 0], [0, 0, 2])


def test_targets_of_another_batch_are_refused():
    draw, ids = Mixing(jnp.float32(0.3), SWAP), jnp.arange(2)
    with pytest.raises(ValueError, match=r"shape \(2,\), but the leading .* be 3"):
        closer(draw, ids)
    with pytest.raises(ValueError, match=r"shape \(2,\), but the leading .* be 3"):
        mix_loss(lambda logits, ids: logits[ids], draw, jnp.ones(3), ids)


def test_the_closest_of_three():
    lam = jnp.array([[0.2, 0.4, 0.1], [0.5, 0.4, 0.1], [0.3, 0.2, 0.8]])
    draw = Mixing(lam, jnp.array([[1, 2, 0], [2, 0, 1]]))
    np.testing.assert_array_equal(closer(draw, jnp.array([10, 20, 30])), [20, 20, 20])
    np.testing.assert_array_equal(
        closest([jnp.array([1]), jnp.array([2])], [jnp.float32(0.1), jnp.float32(0.9)]),
        [2],
    )


def test_masks_are_one_hot_mixed_but_never_averaged():
    ids = jnp.array([[[0, 2]], [[1, 1]]])  # [B, H, W] class ids
    draw = Mixing(jnp.float32(0.25), jnp.array([1, 0]))
    with pytest.raises(ValueError, match="averaging class ids"):
        apply_mixing(draw, ids)
    mixed = apply_mixing(draw, jax.nn.one_hot(ids, 3))
    np.testing.assert_allclose(mixed[0, 0], [[0.25, 0.75, 0], [0, 0.75, 0.25]])


def test_mixing_the_loss_equals_mixing_the_labels_for_cross_entropy():
    logits, ids = jax.random.normal(KEY, (6, 4)), jnp.array([0, 1, 2, 3, 0, 1])
    y = jax.nn.one_hot(ids, 4)
    for draw in (
        draw_mixing(KEY, 6, alpha=1.0),
        draw_mixing(KEY, 6, alpha=1.0, lam_per="example", examples=3),
    ):
        by_loss = mix_loss(
            optax.softmax_cross_entropy_with_integer_labels, draw, logits, ids
        )
        by_label = mixup_jax.soft_cross_entropy(logits, apply_mixing(draw, y))
        np.testing.assert_allclose(by_loss, by_label, rtol=1e-5)


def test_several_labels_at_once_mix_under_the_binary_loss():
    logits = jax.random.normal(KEY, (3, 4))
    y = jnp.array([[1.0, 1, 0, 0], [0, 0, 0, 0], [1, 0, 0, 1]])
    draw = Mixing(jnp.array([0.2, 0.5, 0.9]), SWAP)

    def binary(logits, y):
        return optax.sigmoid_binary_cross_entropy(logits, y).sum(axis=-1)

    np.testing.assert_allclose(
        mix_loss(binary, draw, logits, y),
        binary(logits, apply_mixing(draw, y)),
        rtol=1e-5,
    )


def test_a_squared_error_differs_by_what_the_network_cannot_change():
    predictions, y = jnp.array([0.3, -1.0, 2.0]), jnp.array([1.0, 4.0, 0.5])
    lam, draw = 0.3, Mixing(jnp.float32(0.3), SWAP)

    def square(p, y):
        return (p - y) ** 2

    gap = mix_loss(square, draw, predictions, y) - square(
        predictions, apply_mixing(draw, y)
    )
    # lam (p - a)^2 + (1 - lam) (p - b)^2 = (p - m)^2 + lam (1 - lam) (a - b)^2
    np.testing.assert_allclose(gap, lam * (1 - lam) * (y - y[SWAP]) ** 2, atol=1e-5)
