import collections

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from mixup_jax.vicinity import pairing

KEY = jax.random.key(0)


@pytest.mark.parametrize("size", [1, 2, 5, 8])
def test_a_matching_leaves_out_at_most_one(size):
    partner = np.asarray(pairing.sample_matching(KEY, size))
    np.testing.assert_array_equal(partner[partner], np.arange(size))
    assert (partner == np.arange(size)).sum() == size % 2


def test_every_matching_is_equally_likely():
    keys = jax.random.split(KEY, 6000)
    drawn = jax.vmap(lambda key: pairing.sample_matching(key, 5))(keys)
    counts = collections.Counter(map(tuple, np.asarray(drawn).tolist()))
    # 5 choices of who is left over times 3 matchings of the other four.
    assert len(counts) == 15
    assert scipy.stats.chisquare(list(counts.values())).pvalue > 1e-3


@settings(max_examples=40, deadline=None)
@given(
    labels=st.lists(st.integers(-3, 1000), min_size=1, max_size=12),
    seed=st.integers(0, 2**31 - 1),
)
def test_class_partners_are_a_permutation_within_each_class(labels, seed):
    ids = jnp.array(labels)
    partner = pairing.sample_class_partners(jax.random.key(seed), ids)
    np.testing.assert_array_equal(np.sort(partner), np.arange(len(labels)))
    np.testing.assert_array_equal(ids[partner], ids)


def test_every_permutation_within_a_class_is_equally_likely():
    labels = jnp.array([4, 7, 4, 7, 4, 9])
    keys = jax.random.split(KEY, 6000)
    drawn = jax.vmap(lambda key: pairing.sample_class_partners(key, labels))(keys)
    counts = collections.Counter(map(tuple, np.asarray(drawn).tolist()))
    assert len(counts) == 6 * 2 * 1  # 3!, 2! and a class of one
    assert scipy.stats.chisquare(list(counts.values())).pvalue > 1e-3


def test_near_targets_are_likelier_partners():
    targets = jnp.array([0.0, 1.0, 3.0])
    keys = jax.random.split(KEY, 20_000)
    draw = jax.vmap(
        lambda key: pairing.sample_partners_by_distance(key, targets, bandwidth=1.0)
    )
    counts = np.bincount(np.asarray(draw(keys)[:, 0]), minlength=3)
    weights = np.exp(-np.array([0.0, 1.0, 9.0]) / 2)
    expected = weights / weights.sum() * 20_000
    assert scipy.stats.chisquare(counts, expected).pvalue > 1e-3


def test_bandwidth_at_its_limits():
    vectors = jax.random.normal(KEY, (50, 4))
    own = pairing.sample_partners_by_distance(KEY, vectors, bandwidth=1e-4)
    np.testing.assert_array_equal(own, np.arange(50))
    wide = pairing.sample_partners_by_distance(KEY, vectors, bandwidth=1e6)
    assert len(set(np.asarray(wide).tolist())) > 20
    with pytest.raises(ValueError, match="bandwidth must be above 0, got 0"):
        pairing.sample_partners_by_distance(KEY, vectors, bandwidth=0.0)


def test_pairings_work_under_jit_and_vmap():
    labels, keys = jnp.array([0, 1, 0, 1, 1]), jax.random.split(KEY, 3)
    for sample in (
        lambda key: pairing.sample_matching(key, 5),
        lambda key: pairing.sample_class_partners(key, labels),
        lambda key: pairing.sample_partners_by_distance(
            key, labels.astype(jnp.bfloat16), bandwidth=0.5
        ),
    ):
        together = jax.jit(jax.vmap(sample))(keys)
        for key, row in zip(keys, together, strict=True):
            np.testing.assert_array_equal(row, sample(key))
