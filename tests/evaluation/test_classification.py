import jax.numpy as jnp
import numpy as np
import pytest

from mixup_jax.evaluation import classification

LOGITS = jnp.log(jnp.array([[1.0, 3.0], [3.0, 1.0], [1.0, 1.0]]))


def test_sums_match_hand_computed_values():
    # Predictions 1, 0, 0 (first of equals); labels 1, 1, 0.
    sums = classification.error_sums(
        LOGITS, jnp.array([1, 1, 0]), jnp.ones((3, 1), jnp.float32)
    )
    assert float(sums.errors[0]) == 1
    assert float(sums.count[0]) == 3
    want = -np.log([3 / 4, 1 / 4, 1 / 2]).sum()
    np.testing.assert_allclose(sums.loss[0], want, rtol=1e-6)


def test_groups_are_counted_apart_and_padding_not_at_all():
    weights = jnp.array([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    logits = LOGITS.at[2].set(jnp.nan)
    sums = classification.error_sums(logits, jnp.array([1, 1, 0]), weights)
    assert sums.errors.tolist() == [0, 1]
    assert sums.count.tolist() == [1, 1]
    assert np.isfinite(sums.loss).all()


def test_rates_are_sums_over_counts_and_nan_for_an_empty_group():
    sums = classification.Sums(
        np.array([2.0, 0.0]), np.array([3.0, 0.0]), np.array([4.0, 0.0])
    )
    assert classification.error_rate(sums) == 0.75
    assert classification.mean_loss(sums) == 0.5
    assert np.isnan(classification.error_rate(sums, 1))
    assert np.isnan(classification.mean_loss(sums, 1))


@pytest.mark.parametrize("parts", [1, 7])
def test_adding_parts_gives_the_whole(parts):
    part = classification.Sums(*(np.ones(1, np.float32) * i for i in (1, 2, 3)))
    total = None
    for _ in range(parts):
        total = classification.add(total, part)
    assert total is not None
    assert [float(value[0]) for value in total] == [parts, 2 * parts, 3 * parts]
