import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.sharding import Mesh, NamedSharding, PartitionSpec

import mixup_jax
from mixup_jax import mixing

KEY = jax.random.key(0)


def draws(alpha, count=20_000, seed=1):
    return np.asarray(mixing.sample_lambda(jax.random.key(seed), alpha, (count,)))


@pytest.mark.parametrize("alpha", [0.1, 0.2, 0.4, 1.0, 8.0, 32.0])
def test_lambda_follows_the_beta_distribution(alpha):
    # A wrong law, such as keras-cv's Gamma(1) for years, fails here at any alpha. Bins
    # and not a Kolmogorov-Smirnov test: near 1, float32 rounds small alphas to an atom.
    edges = np.array([0, 0.01, 0.1, 0.3, 0.45, 0.55, 0.7, 0.9, 0.99, 1])
    share = np.diff(scipy.stats.beta(alpha, alpha).cdf(edges))
    counts, _ = np.histogram(draws(alpha), edges)
    likely = share > 1e-3
    assert counts[~likely].sum() <= 20_000 * 1e-3 * (~likely).sum()
    share, counts = share[likely], counts[likely]
    expected = share / share.sum() * counts.sum()
    assert scipy.stats.chisquare(counts, expected).pvalue > 1e-3


@pytest.mark.parametrize("alpha", [0.2, 1.0, 8.0])
def test_lambda_has_the_moments_of_its_beta(alpha):
    lam = draws(alpha)
    # Var[Beta(a, a)] = 1 / (4 (2a + 1)); 20,000 draws put 4 sigma inside 0.015.
    np.testing.assert_allclose(lam.mean(), 0.5, atol=0.015)
    np.testing.assert_allclose(lam.var(), 1 / (4 * (2 * alpha + 1)), atol=0.015)


def test_lambda_is_exactly_one_at_alpha_zero():
    assert float(mixing.sample_lambda(KEY, 0)) == 1.0
    np.testing.assert_array_equal(draws(0.0, 10), np.ones(10))


def test_lambda_is_exactly_one_half_at_infinite_alpha():
    np.testing.assert_array_equal(draws(np.inf, 10), np.full(10, 0.5))


@pytest.mark.parametrize("alpha", [1e-6, 1e-3, 1e4, 1e8])
def test_lambda_is_finite_at_extreme_alphas(alpha):
    lam = draws(alpha, 1000)
    assert np.all((lam >= 0) & (lam <= 1))


def test_one_program_serves_every_alpha():
    traces = []

    @jax.jit
    def sample(key, alpha):
        traces.append(alpha)
        return mixing.sample_lambda(key, alpha, (100,))

    for alpha in [0.0, 0.2, 1.0, 32.0, np.inf]:
        np.testing.assert_array_equal(
            sample(KEY, alpha), mixing.sample_lambda(KEY, alpha, (100,))
        )
    assert len(traces) == 1
    assert np.isnan(sample(KEY, -1.0)).all()
    assert np.isnan(sample(KEY, np.nan)).all()


def test_lambda_takes_a_vector_of_alphas():
    alphas = jnp.array([0.0, 1.0, 8.0])
    lam = mixing.sample_lambda(KEY, alphas)
    assert lam.shape == (3,)
    assert lam[0] == 1.0
    assert jax.vmap(mixing.sample_lambda, (None, 0))(KEY, alphas).shape == (3,)


@pytest.mark.parametrize("alpha", [-0.1, -1, float("nan"), [1.0, -2.0]])
def test_negative_or_nan_alpha_is_refused(alpha):
    with pytest.raises(ValueError, match="alpha must be a number of at least 0"):
        mixing.sample_lambda(KEY, np.asarray(alpha))
    with pytest.raises(ValueError, match="at least 0"):
        mixing.mixup(KEY, jnp.ones((2, 3)), alpha=np.asarray(alpha))


def test_lambda_is_drawn_in_float32_when_the_data_are_bfloat16():
    assert draws(0.2).dtype == np.float32
    mixed = mixing.mixup(KEY, jnp.ones((4, 2), jnp.bfloat16), alpha=0.2)
    assert mixed.dtype == jnp.bfloat16
    # Beta(0.2, 0.2) puts 1.9 % of float32 draws at exactly 0 or 1, but 17 % of
    # bfloat16 ones.
    lam = draws(0.2)
    assert np.mean((lam == 0) | (lam == 1)) < 0.05


def test_lambda_differentiates_in_alpha():
    slope = jax.grad(lambda alpha: mixing.sample_lambda(KEY, alpha))(0.7)
    assert np.isfinite(slope)
    assert slope != 0


def test_blend_matches_hand_computed_rows():
    rows = jnp.array([[0.0, 4.0], [8.0, 0.0]])
    got = mixing.apply_mixing(mixing.Mixing(jnp.float32(0.25), jnp.array([1, 0])), rows)
    np.testing.assert_allclose(got, [[6.0, 1.0], [2.0, 3.0]])


def test_blend_takes_a_lambda_per_example():
    first, other = jnp.array([[4.0], [8.0]]), jnp.array([[0.0], [0.0]])
    np.testing.assert_allclose(
        mixing.blend(first, other, jnp.array([0.25, 0.5])), [[1.0], [4.0]]
    )


@settings(max_examples=30, deadline=None)
@given(
    size=st.integers(1, 9),
    alpha=st.sampled_from([0.0, 0.2, 1.0, 8.0]),
    seed=st.integers(0, 2**31 - 1),
)
def test_inputs_and_targets_are_mixed_by_the_same_draw(size, alpha, seed):
    # Odd and single-example batches included. Row i of the inputs is i, so the mixed
    # row tells lambda * i + (1 - lambda) * partner, and the targets must agree.
    values = jnp.arange(size, dtype=jnp.float32)
    batch = {"x": values[:, None], "y": jax.nn.one_hot(jnp.arange(size), size)}
    mixed = mixing.mixup(jax.random.key(seed), batch, alpha=alpha)
    np.testing.assert_allclose(mixed["y"].sum(axis=1), 1.0, rtol=1e-6)
    np.testing.assert_allclose(
        mixed["x"][:, 0], mixed["y"] @ values, rtol=1e-5, atol=1e-5
    )


def test_mixup_equals_its_two_halves():
    batch = {"x": jax.random.normal(KEY, (7, 3, 2)), "y": jnp.eye(7)}
    halves = mixing.apply_mixing(mixing.draw_mixing(KEY, 7, alpha=0.4), batch)
    whole = mixing.mixup(KEY, batch, alpha=0.4)
    jax.tree.map(np.testing.assert_array_equal, whole, halves)


def test_mixup_at_alpha_zero_returns_the_batch_bit_for_bit():
    batch = {"x": jax.random.normal(KEY, (5, 3)), "y": jnp.eye(5, dtype=jnp.bfloat16)}
    mixed = mixing.mixup(jax.random.key(3), batch, alpha=0.0)
    jax.tree.map(np.testing.assert_array_equal, mixed, batch)


def test_mixup_keeps_the_mean_of_the_batch():
    # A permutation uses every example once as a partner.
    x = jax.random.normal(KEY, (32, 5))
    mixed = mixing.mixup(KEY, x, alpha=1.0)
    np.testing.assert_allclose(mixed.mean(axis=0), x.mean(axis=0), atol=1e-6)


def test_every_partner_is_equally_likely():
    keys = jax.random.split(KEY, 6000)
    partners = jax.vmap(lambda key: mixing.sample_partners(key, 5))(keys)
    assert (np.sort(partners, axis=1) == np.arange(5)).all()
    counts = np.bincount(np.asarray(partners[:, 0]), minlength=5)
    assert scipy.stats.chisquare(counts).pvalue > 1e-3


def test_structure_dtypes_and_shapes_are_kept():
    batch = (jnp.ones((3, 2), jnp.bfloat16), [jnp.ones((3,)), np.ones((3, 1, 2))])
    mixed = mixing.mixup(KEY, batch, alpha=1.0)
    assert jax.tree.structure(mixed) == jax.tree.structure(batch)
    shapes = [(leaf.shape, leaf.dtype) for leaf in jax.tree.leaves(mixed)]
    assert shapes == [
        ((3, 2), jnp.bfloat16),
        ((3,), jnp.float32),
        ((3, 1, 2), jnp.float32),
    ]


def test_bfloat16_is_mixed_in_float32_and_rounded_once():
    lam = jnp.float32(0.3)
    first, other = jnp.bfloat16(1.0).reshape(1), jnp.bfloat16(3.0).reshape(1)
    got = mixing.blend(first, other, lam)
    assert got[0] == jnp.bfloat16(0.3 * 1 + 0.7 * 3)


@pytest.mark.parametrize("dtype", [jnp.int32, jnp.uint8, jnp.bool_])
def test_integer_leaves_are_refused(dtype):
    batch = {"x": jnp.ones((4, 2)), "label": jnp.ones((4,), dtype)}
    with pytest.raises(ValueError, match=r"\['label'\].*one-hot encode first"):
        mixing.mixup(KEY, batch, alpha=1.0)


def test_unequal_leading_axes_are_refused():
    with pytest.raises(ValueError, match=r"\['y'\] has shape \(3, 2\)"):
        mixing.mixup(KEY, {"x": jnp.ones((4, 2)), "y": jnp.ones((3, 2))}, alpha=1.0)
    with pytest.raises(ValueError, match="leading batch axis"):
        mixing.mixup(KEY, jnp.float32(1.0), alpha=1.0)
    with pytest.raises(ValueError, match="leading batch axis"):
        mixing.mixup(KEY, {}, alpha=1.0)
    with pytest.raises(ValueError, match="shapes differ"):
        mixing.blend(jnp.ones((4, 2)), jnp.ones((2, 2)), jnp.float32(0.5))


def test_mixup_works_under_jit_vmap_and_grad():
    x = jax.random.normal(KEY, (4, 3))

    def run(key, x):
        return mixing.mixup(key, x, alpha=0.5)

    np.testing.assert_allclose(jax.jit(run)(KEY, x), run(KEY, x), rtol=1e-6)
    keys = jax.random.split(KEY, 2)
    stacked = jax.vmap(run, (0, None))(keys, x)
    np.testing.assert_allclose(stacked[1], run(keys[1], x), rtol=1e-6)
    # Every example enters once with lam and once with 1 - lam.
    slope = jax.grad(lambda x: run(KEY, x).sum())(x)
    np.testing.assert_allclose(slope, np.ones((4, 3)), rtol=1e-6)


def test_mixup_takes_legacy_keys():
    x = jnp.arange(6.0).reshape(6, 1)
    old, new = jax.random.PRNGKey(5), jax.random.key(5)
    np.testing.assert_array_equal(
        mixing.mixup(old, x, alpha=1.0), mixing.mixup(new, x, alpha=1.0)
    )


@pytest.mark.parametrize("devices", [1, 2, 4, 8])
def test_draws_do_not_depend_on_the_number_of_devices(devices):
    x = jax.random.normal(KEY, (16, 3))
    mesh = Mesh(np.array(jax.devices()[:devices]), ("batch",))
    split = jax.device_put(x, NamedSharding(mesh, PartitionSpec("batch")))
    mixed = jax.jit(lambda x: mixing.mixup(KEY, x, alpha=1.0))(split)
    np.testing.assert_allclose(mixed, mixing.mixup(KEY, x, alpha=1.0), atol=1e-6)


def test_the_public_names_are_those_promised():
    assert sorted(mixup_jax.__all__) == [
        "Mixing",
        "apply_mixing",
        "blend",
        "draw_mixing",
        "mixup",
        "sample_lambda",
        "sample_partners",
        "soft_cross_entropy",
        "two_target_cross_entropy",
    ]
    assert all(hasattr(mixup_jax, name) for name in mixup_jax.__all__)
