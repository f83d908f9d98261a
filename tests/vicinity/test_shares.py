import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from mixup_jax.vicinity import mix, weights

KEY = jax.random.key(0)


def draws(alpha, count=20_000, seed=1):
    return np.asarray(weights.sample_lambda(jax.random.key(seed), alpha, (count,)))


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


@pytest.mark.parametrize("alpha", [0.05, 0.1, 0.2])
def test_both_ends_are_drawn_to_the_last_digit(alpha):
    lam, law = draws(alpha, 200_000), scipy.stats.beta(alpha, alpha)
    for end in np.logspace(-12, -2, 6):
        share = law.cdf(end)
        error = 5 * (share * (1 - share) / len(lam)) ** 0.5
        assert (lam < end).mean() == pytest.approx(share, abs=error)
    # At the other end float32 has fewer.
    assert (lam > 0.99).mean() == pytest.approx(share, abs=error)


@pytest.mark.parametrize("alpha", [0.2, 1.0, 8.0])
def test_lambda_has_the_moments_of_its_beta(alpha):
    lam = draws(alpha)
    # Var[Beta(a, a)] = 1 / (4 (2a + 1)); 20,000 draws put 4 sigma inside 0.015.
    np.testing.assert_allclose(lam.mean(), 0.5, atol=0.015)
    np.testing.assert_allclose(lam.var(), 1 / (4 * (2 * alpha + 1)), atol=0.015)


def test_lambda_is_exactly_one_at_alpha_zero():
    assert float(weights.sample_lambda(KEY, 0)) == 1.0
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
        return weights.sample_lambda(key, alpha, (100,))

    for alpha in [0.0, 0.2, 1.0, 32.0, np.inf]:
        np.testing.assert_array_equal(
            sample(KEY, alpha), weights.sample_lambda(KEY, alpha, (100,))
        )
    assert len(traces) == 1
    assert np.isnan(sample(KEY, -1.0)).all()
    assert np.isnan(sample(KEY, np.nan)).all()


def test_lambda_takes_a_vector_of_alphas():
    alphas = jnp.array([0.0, 1.0, 8.0])
    lam = weights.sample_lambda(KEY, alphas)
    assert lam.shape == (3,)
    assert lam[0] == 1.0
    assert jax.vmap(weights.sample_lambda, (None, 0))(KEY, alphas).shape == (3,)


@pytest.mark.parametrize("alpha", [-0.1, -1, float("nan"), [1.0, -2.0]])
def test_negative_or_nan_alpha_is_refused(alpha):
    with pytest.raises(ValueError, match="alpha must be a number of at least 0"):
        weights.sample_lambda(KEY, np.asarray(alpha))
    with pytest.raises(ValueError, match="at least 0"):
        mix.mixup(KEY, jnp.ones((2, 3)), alpha=np.asarray(alpha))


def test_lambda_is_drawn_in_float32_when_the_data_are_bfloat16():
    assert draws(0.2).dtype == np.float32
    mixed = mix.mixup(KEY, jnp.ones((4, 2), jnp.bfloat16), alpha=0.2)
    assert mixed.dtype == jnp.bfloat16
    # Beta(0.2, 0.2) puts 1.9 % of float32 draws at exactly 0 or 1, but 17 % of
    # bfloat16 ones.
    lam = draws(0.2)
    assert np.mean((lam == 0) | (lam == 1)) < 0.05


def test_lambda_differentiates_in_alpha():
    slope = jax.grad(lambda alpha: weights.sample_lambda(KEY, alpha))(0.7)
    assert np.isfinite(slope)
    assert slope != 0


@pytest.mark.parametrize("alpha", [0.3, 1.0, 4.0])
def test_the_mean_gradient_in_alpha_is_that_of_the_mean(alpha):
    # E[lambda^2] = (a + 1) / (4a + 2), so its derivative is -2 / (4a + 2)^2.
    keys = jax.random.split(KEY, 50_000)
    square = jax.grad(lambda a, key: weights.sample_lambda(key, a) ** 2)
    slopes = np.asarray(jax.vmap(square, (None, 0))(alpha, keys))
    assert np.isfinite(slopes).all()
    error = 5 * float(slopes.std()) / len(slopes) ** 0.5
    assert slopes.mean() == pytest.approx(-2 / (4 * alpha + 2) ** 2, abs=error)


def test_no_loop_is_waited_for_while_lambda_is_drawn():
    program = jax.make_jaxpr(lambda key: weights.sample_lambda(key, 0.2, (8,)))
    text = str(program(KEY))
    assert "while" not in text and "random_gamma" not in text
    beta = jax.make_jaxpr(lambda key: jax.random.beta(key, 0.2, 0.2, (8,)))
    assert "random_gamma" in str(beta(KEY))  # two loops, one in the other


def test_lambda_can_be_stretched_beyond_its_range():
    plain = draws(1.0)
    wide = np.asarray(
        weights.sample_lambda(jax.random.key(1), 1.0, (20_000,), low=-0.5, high=1.5)
    )
    np.testing.assert_allclose(wide, 2 * plain - 0.5, atol=1e-6)
    assert wide.min() < -0.4
    assert wide.max() > 1.4
    # ERM is ERM, whatever the range.
    assert float(weights.sample_lambda(KEY, 0.0, low=0.0, high=0.5)) == 1.0


def test_a_folded_lambda_is_the_share_of_the_closer_example():
    plain = draws(0.4, 100)
    folded = weights.sample_lambda(jax.random.key(1), 0.4, (100,), fold=True)
    np.testing.assert_array_equal(folded, np.maximum(plain, 1 - plain))


def test_a_share_of_the_draws_mixes_and_the_others_are_exactly_one():
    lam = np.asarray(
        weights.sample_lambda(jax.random.key(1), 1.0, (20_000,), probability=0.3)
    )
    mixed = lam < 1
    assert abs(mixed.mean() - 0.3) < 0.015  # 4 sigma
    # Those that mix are the draws there would have been anyway.
    np.testing.assert_array_equal(lam[mixed], draws(1.0)[mixed])
    assert scipy.stats.kstest(lam[mixed], "uniform").pvalue > 1e-3


def test_probability_may_be_traced():
    sample = jax.jit(lambda p: weights.sample_lambda(KEY, 1.0, (50,), probability=p))
    np.testing.assert_array_equal(sample(0.0), np.ones(50))
    np.testing.assert_array_equal(sample(1.0), weights.sample_lambda(KEY, 1.0, (50,)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"probability": 1.5}, r"probability must be in \[0, 1\], got 1.5"),
        ({"low": 1.0, "high": 0.5}, "low must be below high, got 1.0 and 0.5"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        weights.sample_lambda(KEY, 1.0, **options)


@pytest.mark.parametrize("alpha", [0.2, 1.0, 5.0])
@pytest.mark.parametrize("examples", [2, 3, 5])
def test_dirichlet_shares_have_their_marginals(alpha, examples):
    got = np.asarray(weights.sample_dirichlet(KEY, alpha, examples, (20_000,)))
    assert got.shape == (examples, 20_000)
    np.testing.assert_allclose(got.sum(axis=0), 1, rtol=1e-5)
    # Each share of a Dirichlet is Beta(alpha, (k - 1) alpha).
    law = scipy.stats.beta(alpha, (examples - 1) * alpha)
    edges = law.ppf(np.linspace(0, 1, 11))
    edges = np.unique(np.clip(edges, 1e-6, 1 - 1e-6))
    share = np.diff(law.cdf(edges))
    for row in got:
        counts, _ = np.histogram(row, edges)
        expected = share / share.sum() * counts.sum()
        assert scipy.stats.chisquare(counts, expected).pvalue > 1e-5


def test_dirichlet_at_its_limits():
    one = [1, 0, 0]
    np.testing.assert_array_equal(weights.sample_dirichlet(KEY, 0.0, 3), one)
    np.testing.assert_allclose(
        weights.sample_dirichlet(KEY, np.inf, 3, (2,)), np.full((3, 2), 1 / 3)
    )
    none = weights.sample_dirichlet(KEY, 1.0, 3, (4,), probability=0.0)
    np.testing.assert_array_equal(none, np.tile(np.array(one)[:, None], 4))
    traced = jax.jit(lambda a: weights.sample_dirichlet(KEY, a, 3, (4,)))
    assert np.isnan(traced(-1.0)).all()
    np.testing.assert_array_equal(
        traced(2.0), weights.sample_dirichlet(KEY, 2.0, 3, (4,))
    )
    with pytest.raises(ValueError, match="at least 2 examples are mixed, got 1"):
        weights.sample_dirichlet(KEY, 1.0, 1)


def test_partners_of_a_matching_share_one_lambda():
    lam = jnp.array([0.1, 0.2, 0.3, 0.4, 0.5])
    partner = jnp.array([2, 1, 0, 4, 3])
    np.testing.assert_allclose(
        weights.pair_lambda(lam, partner), [0.1, 0.2, 0.1, 0.4, 0.4]
    )
