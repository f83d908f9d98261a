import jax.numpy as jnp
import numpy as np
import pytest

from mixup_jax.data.corruption import corrupt_labels
from mixup_jax.errors import UsageError

LABELS = (np.arange(50_000) % 10).astype(np.int32)


@pytest.mark.parametrize(
    ("share", "count"), [(0.2, 10_092), (0.5, 24_982), (0.8, 39_927)]
)
def test_the_authors_seed_masks_the_counts_of_their_generator(share, count):
    assert corrupt_labels(LABELS, share, 10).mask.sum() == count


def test_labels_follow_the_reference_order_of_draws():
    np.random.seed(12345)
    mask = np.random.rand(len(LABELS)) <= 0.5
    expected = LABELS.copy()
    expected[mask] = np.random.randint(0, 10, mask.sum())
    np.testing.assert_array_equal(corrupt_labels(LABELS, 0.5, 10).labels, expected)


def test_unmasked_labels_are_kept_and_masked_ones_uniform_over_all_classes():
    got = corrupt_labels(LABELS, 0.8, 10)
    np.testing.assert_array_equal(got.labels[~got.mask], LABELS[~got.mask])
    replaced = got.labels[got.mask]
    # 39,927 draws: each class 1/10 with a standard error of .0015; 5 sigma.
    np.testing.assert_allclose(np.bincount(replaced) / replaced.size, 0.1, atol=0.0075)
    # The true class may come up again, in one of ten.
    np.testing.assert_allclose((replaced == LABELS[got.mask]).mean(), 0.1, atol=0.0075)


def test_the_extremes_replace_nothing_and_everything():
    nothing = corrupt_labels(LABELS, 0.0, 10)
    np.testing.assert_array_equal(nothing.labels, LABELS)
    assert not nothing.mask.any()
    assert corrupt_labels(LABELS, 1.0, 10).mask.all()


def test_the_input_is_not_changed_and_the_truth_is_kept():
    labels = LABELS.copy()
    got = corrupt_labels(labels, 0.8, 10)
    np.testing.assert_array_equal(labels, LABELS)
    np.testing.assert_array_equal(got.true_labels, LABELS)
    assert got.labels.dtype == labels.dtype


def test_another_seed_gives_another_mask_and_the_same_seed_the_same():
    first, again, other = (corrupt_labels(LABELS, 0.5, 10, seed=s) for s in (1, 1, 2))
    np.testing.assert_array_equal(first.labels, again.labels)
    assert (first.mask != other.mask).any()


@pytest.mark.parametrize("share", [-0.1, 1.001, float("nan")])
def test_a_share_that_is_none_is_refused(share):
    with pytest.raises(UsageError, match=str(share)):
        corrupt_labels(LABELS, share, 10)


def test_the_other_rule_makes_all_replaced_labels_wrong_and_replaces_the_same():
    labels = np.arange(20_000) % 10
    uniform = corrupt_labels(labels, 0.5, 10)
    other = corrupt_labels(labels, 0.5, 10, rule="other_class")
    np.testing.assert_array_equal(uniform.mask, other.mask)
    assert (other.labels[other.mask] != labels[other.mask]).all()
    np.testing.assert_array_equal(other.labels[~other.mask], labels[~other.mask])
    # The nine other classes are equally likely: 10,000 draws, 4 sigma of a share.
    away = (other.labels - labels)[other.mask] % 10
    shares = np.bincount(away, minlength=10) / other.mask.sum()
    assert shares[0] == 0
    assert abs(shares[1:] - 1 / 9).max() < 4 * (1 / 9 / 10_000) ** 0.5


def test_an_unknown_rule_is_refused():
    with pytest.raises(UsageError, match="unknown rule of corruption 'pairs'"):
        corrupt_labels(np.arange(4), 0.5, 4, rule="pairs")


@pytest.mark.parametrize(
    ("labels", "classes", "seed", "message"),
    [
        ([0, 1, 2], 3, -1, r"seed must be from 0 to 2\*\*32 - 1, got -1"),
        ([0, 0, 0], 1, 0, "num_classes must be at least 2, got 1"),
        ([0, 1, 3], 3, 0, "label 3 at index 2 is outside 0 to 2"),
        ([[0, 1], [1, 0]], 3, 0, r"class ids \[N\], got int64 \(2, 2\)"),
        ([0.0, 1.0], 3, 0, r"class ids \[N\], got float64"),
    ],
)
def test_what_is_no_label_is_refused(labels, classes, seed, message, untyped):
    with pytest.raises(UsageError, match=message):
        corrupt_labels(np.array(labels), 0.5, classes, seed=seed)


def test_arrays_of_jax_are_labels_too(untyped):
    found = corrupt_labels(jnp.array([0, 1, 2]), 1.0, 3)
    np.testing.assert_array_equal(
        found.labels, corrupt_labels(np.array([0, 1, 2]), 1.0, 3).labels
    )
