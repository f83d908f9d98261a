import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special

from mixup_jax.data import toy
from mixup_jax.evaluation.generation import mode_coverage

KEY = jax.random.key(0)
COVER = jax.jit(mode_coverage, static_argnames=("std", "radius", "least"))
CENTRES = jnp.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])


def test_counts_match_hand_computed_ones():
    # Within 3 of a centre: (0, 0), (3, 0), (10, 2.9); not: (2.2, 2.2), (5, 0).
    samples = jnp.array([[0.0, 0.0], [3.0, 0.0], [10.0, 2.9], [2.2, 2.2], [5.0, 0.0]])
    got = COVER(samples, CENTRES, std=1.0)
    assert got.counts.tolist() == [2, 1, 0]
    assert int(got.modes) == 2
    np.testing.assert_allclose(got.high_quality, 3 / 5, rtol=1e-6)
    # Shares 2/3 and 1/3 against 1/3 each.
    want = 2 / 3 * np.log(2) + 1 / 3 * np.log(1)
    np.testing.assert_allclose(got.divergence, want, rtol=1e-5)


def test_std_and_radius_make_the_distance():
    samples = jnp.array([[1.0, 0.0], [2.0, 0.0]])
    near = [
        float(COVER(samples, CENTRES, std=std, radius=radius).high_quality)
        for std, radius in ((0.5, 3.0), (0.5, 4.0), (1.0, 0.5), (1.0, 1.0))
    ]
    assert near == [0.5, 1.0, 0.0, 0.5]


@pytest.mark.parametrize(("least", "modes"), [(0.0, 3), (0.2, 3), (0.25, 2), (0.6, 0)])
def test_a_mode_may_need_a_share_of_the_samples(least, modes):
    # 5, 3 and 2 of 10.
    samples = jnp.repeat(CENTRES, jnp.array([5, 3, 2]), axis=0)
    got = COVER(samples, CENTRES, std=1.0, least=least)
    assert int(got.modes) == modes


@pytest.mark.parametrize(
    ("sample", "centres"), [(toy.sample_ring, toy.RING), (toy.sample_grid, toy.GRID)]
)
def test_true_samples_cover_all_modes(sample, centres):
    points, components = sample(KEY, 20_000)
    got = COVER(points, centres, std=toy.SPREAD)
    assert int(got.modes) == len(centres)
    # 1 - exp(-9 / 2) = .98889, with sigma .0007.
    np.testing.assert_allclose(got.high_quality, 1 - np.exp(-4.5), atol=0.003)
    # chi-square / 2n, of mean (K - 1) / 2n = .0006 for 25 modes.
    assert 0 <= float(got.divergence) < 0.0015
    true = np.bincount(components, minlength=len(centres))
    assert np.abs(np.asarray(got.counts) - true * 0.98889).max() < 40


def test_a_collapsed_generator_covers_one_mode():
    points = jnp.asarray(toy.RING)[3:4] + 0.001 * jax.random.normal(KEY, (500, 2))
    got = COVER(points, toy.RING, std=toy.SPREAD)
    assert (int(got.modes), float(got.high_quality)) == (1, 1.0)
    np.testing.assert_allclose(got.divergence, np.log(8), rtol=1e-6)


def test_the_divergence_is_that_of_scipy():
    counts = np.array([7, 1, 2])
    samples = jnp.repeat(CENTRES, jnp.asarray(counts), axis=0)
    got = COVER(samples, CENTRES, std=1.0)
    want = scipy.special.rel_entr(counts / 10, np.full(3, 1 / 3)).sum()
    np.testing.assert_allclose(got.divergence, want, rtol=1e-5)


def test_samples_that_are_far_or_no_numbers_are_near_no_mode():
    samples = jnp.array([[jnp.nan, 0.0], [jnp.inf, 0.0], [1e30, 0.0], [5.0, 5.0]])
    got = COVER(samples, CENTRES, std=1.0)
    assert got.counts.tolist() == [0, 0, 0]
    assert int(got.modes) == 0
    assert float(got.high_quality) == 0
    assert np.isnan(got.divergence)


def test_any_dimension_and_precision_will_do():
    centres = np.eye(5) * 10
    samples = jnp.asarray(np.repeat(centres, 3, axis=0), jnp.bfloat16)
    got = COVER(samples, centres, std=0.1)
    assert got.counts.tolist() == [3] * 5
    assert got.high_quality.dtype == jnp.float32


def test_coverage_works_under_jit_and_vmap():
    stack = jnp.stack([CENTRES, jnp.zeros((3, 2))])

    def run(samples):
        return mode_coverage(samples, CENTRES, std=1.0)

    several = jax.vmap(jax.jit(run))(stack)
    assert several.modes.tolist() == [3, 1]
    np.testing.assert_allclose(several.divergence, [0.0, np.log(3)], atol=1e-6)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"std": 0.0}, r"above 0 and least in \[0, 1\], got 0.0, 3.0, 0.0"),
        ({"radius": -1.0}, "got 1.0, -1.0, 0.0"),
        ({"least": 1.5}, "got 1.0, 3.0, 1.5"),
        ({"samples": jnp.zeros((0, 2))}, "are needed, got 0 and 3"),
        ({"samples": jnp.zeros((5, 3))}, r"points of one space, got \(5, 3\)"),
        ({"centres": jnp.zeros((0, 2))}, "are needed, got 3 and 0"),
    ],
)
def test_what_cannot_be_counted_is_refused(options, words, untyped):
    given = {"samples": CENTRES, "centres": CENTRES, "std": 1.0, **options}
    with pytest.raises(ValueError, match=words):
        mode_coverage(given.pop("samples"), given.pop("centres"), **given)
