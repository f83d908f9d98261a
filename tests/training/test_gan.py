import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mixup_jax
from mixup_jax import models
from mixup_jax.data import toy
from mixup_jax.errors import UsageError
from mixup_jax.randomness import Purpose, purpose_key
from mixup_jax.training import gan, gan_population
from tests.training.gan_case import (
    B,
    affine,
    assert_close,
    assert_equal,
    member,
    mlp,
    points_by_hand,
    recipe,
    roots,
    trained,
)


@functools.partial(jax.jit, static_argnums=0)
def batch_of(recipe, generator, root, step, index, alpha):
    return gan.discriminator_batch(recipe, generator, root, step, index, alpha=alpha)


def cross_entropy(logits, targets):
    p = jax.nn.sigmoid(logits)
    return -(targets * jnp.log(p) + (1 - targets) * jnp.log(1 - p))


def adam(params, grads, m, v, step):
    """PyTorch's, with its defaults."""
    m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, grads)
    v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g**2, v, grads)
    first, second = 1 - 0.9**step, 1 - 0.999**step
    params = jax.tree.map(
        lambda w, m, v: w - 1e-3 * (m / first) / (jnp.sqrt(v / second) + 1e-8),
        params,
        m,
        v,
    )
    return params, m, v


def shuffled(key, real, fake):
    order = jax.random.permutation(key, 2 * B)
    x, y = jnp.concatenate([real, fake]), jnp.array([1.0] * B + [0.0] * B)
    return x[order], y[order, None]


def batch_by_hand(method, generator, keys, alpha):
    points, latent, order, mix = keys
    real, _ = toy.sample_grid(points, 2 * B)
    fake = points_by_hand(generator, latent, 2 * B)
    first_key, other_key = jax.random.split(order)
    x, y = shuffled(other_key, real[B:], fake[B:])
    if method == "erm":
        return x, y
    if method == "formula":
        lam = mixup_jax.sample_lambda(mix, alpha, (2 * B,))[:, None]
        return lam * real + (1 - lam) * fake, lam
    first_x, first_y = shuffled(first_key, real[:B], fake[:B])
    lam = alpha * jax.random.uniform(mix, (2 * B,))[:, None]
    return lam * first_x + (1 - lam) * x, lam * first_y + (1 - lam) * y


@functools.partial(jax.jit, static_argnums=0)
def discriminator_by_hand(method, g, d, m, v, keys, alpha, step):
    x, y = batch_by_hand(method, g, keys, alpha)
    grads = jax.grad(lambda d: cross_entropy(mlp(d, x), y).mean())(d)
    return adam(d, grads, m, v, step)


@jax.jit
def generator_by_hand(g, d, m, v, key, step):
    # Minus the discriminator's loss on a whole batch, as the script has it.
    def loss(g):
        real, _ = toy.sample_grid(jax.random.key(99), B)
        x, y = shuffled(jax.random.key(98), real, points_by_hand(g, key, B))
        return -cross_entropy(mlp(d, x), y).mean()

    return adam(g, jax.grad(loss)(g), m, v, step)


def by_hand(method, g, d, root, alpha, iterations):
    m_g = v_g = jax.tree.map(jnp.zeros_like, g)
    m_d = v_d = jax.tree.map(jnp.zeros_like, d)

    def key(purpose, iteration, update):
        folded = jax.random.fold_in(jax.random.fold_in(root, purpose), iteration)
        return jax.random.fold_in(folded, update)

    for t in range(iterations):
        for k in range(5):
            keys = [key(purpose, t, k) for purpose in (6, 7, 1, 3)]
            step = 5.0 * t + k + 1
            d, m_d, v_d = discriminator_by_hand(
                method, g, d, m_d, v_d, keys, alpha, step
            )
        g, m_g, v_g = generator_by_hand(g, d, m_g, v_g, key(7, t, 5), t + 1.0)
    return g, d


@pytest.mark.parametrize("form", gan.FORMS)
def test_iterations_equal_those_written_by_hand(form):
    root, alphas = roots(4, 4), (0.0, 0.2)
    start = gan_population.initial_state(recipe(form), root)
    state = trained(recipe(form), root, alphas, 3)
    for place, (method, alpha) in enumerate(zip(("erm", form), alphas, strict=True)):
        g, d = member(start, place).generator, member(start, place).discriminator
        after_g, after_d = by_hand(method, g, d, root[place], alpha, 3)
        # Adam divides by the gradient's size: where that is rounding, so is the step.
        got = member(state, place)
        assert_close(got.generator, after_g, rtol=1e-3, atol=2e-5)
        assert_close(got.discriminator, after_d, rtol=1e-3, atol=2e-5)
        moved = jax.tree.map(lambda a, b: float(jnp.abs(a - b).max()), after_g, g)
        assert min(jax.tree.leaves(moved)) > 1e-3


def networks(seed=0):
    return member(gan_population.initial_state(recipe(), roots(seed)), 0)


def test_the_discriminators_gradient_is_that_of_the_formula():
    # d/dlogit of the mean cross-entropy is (sigmoid(logit) - target) / rows.
    state = networks()
    batch = batch_of(recipe(), state.generator, roots(1)[0], 0, 0, 0.5)
    loss = functools.partial(gan.discriminator_loss, recipe(), batch=batch)
    grads = jax.jit(jax.grad(loss))(state.discriminator)["classifier"]
    x = batch.inputs
    for layer in ("hidden1", "hidden2", "hidden3"):
        x = jnp.maximum(affine(state.discriminator[layer], x), 0.0)
    logits = affine(state.discriminator["classifier"], x)
    error = (jax.nn.sigmoid(logits) - batch.targets) / len(x)
    np.testing.assert_allclose(grads["bias"], error.sum(0), rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(grads["kernel"], x.T @ error, rtol=1e-4, atol=1e-7)


def test_the_generators_gradient_is_that_of_the_saturating_loss_halved():
    state, key = networks(), jax.random.key(5)
    loss = functools.partial(
        gan.generator_loss, recipe(), discriminator=state.discriminator, key=key
    )
    got = jax.jit(jax.grad(loss))(state.generator)

    def formula(g):
        fake = points_by_hand(g, key, B)
        p = jax.nn.sigmoid(mlp(state.discriminator, fake))
        return jnp.log(1 - p).sum() / (2 * B)

    want = jax.jit(jax.grad(formula))(state.generator)
    assert_close(got, want, rtol=1e-4, atol=1e-8)
    assert max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(got)) > 1e-3


def test_losses_of_sure_discriminators_stay_finite():
    # log(1 - sigmoid(200)) is -200, though 1 - sigmoid(200) is 0 in float32.
    state = networks()
    sure = jax.tree.map(jnp.zeros_like, state.discriminator)
    sure["classifier"]["bias"] = jnp.array([200.0])
    loss = gan.generator_loss(
        recipe(), state.generator, discriminator=sure, key=jax.random.key(0)
    )
    np.testing.assert_allclose(loss, -100.0, rtol=1e-6)


@pytest.mark.parametrize("form", gan.FORMS)
def test_at_alpha_0_the_batch_is_shuffled_and_not_mixed(form):
    root, generator = roots(2)[0], networks().generator
    batch = batch_of(recipe(form), generator, root, 7, 3, 0.0)
    targets = np.asarray(batch.targets[:, 0])
    assert sorted(targets) == [0.0] * B + [1.0] * B
    assert sorted(targets) != list(targets)
    ways = np.linalg.norm(batch.inputs[:, None] - toy.GRID[None], axis=-1).min(axis=1)
    # std .01; the untrained generator's points lie near no centre of the grid.
    assert (ways[targets == 1] < 0.06).all()
    assert (ways[targets == 0] > 0.06).mean() > 0.5
    other = batch_of(recipe(), generator, root, 7, 3, jnp.zeros(()))
    assert_equal(batch, other)


def test_half_of_the_scripts_pairs_are_of_one_kind_and_none_of_the_formulas():
    big = {"batch_size": 2000}
    root, generator = roots(2)[0], networks().generator
    script, formula = (
        np.ravel(batch_of(recipe(form, **big), generator, root, 0, 0, 0.2).targets)
        for form in ("script", "formula")
    )
    assert len(script) == len(formula) == 4000
    # 4,000 rows: sigma of a share of one half is .008.
    assert abs(np.isin(script, (0.0, 1.0)).mean() - 0.5) < 0.035
    mixed = script[~np.isin(script, (0.0, 1.0))]
    near = np.minimum(mixed, 1 - mixed)
    assert near.max() < 0.2
    np.testing.assert_allclose(near.mean(), 0.1, atol=0.005)
    # Beta(.2, .2) has the variance 1 / (4 (2 * .2 + 1)).
    np.testing.assert_allclose(formula.var(), 1 / 5.6, atol=0.01)
    assert ((formula > 0.2) & (formula < 0.8)).mean() > 0.1


def test_every_update_iteration_and_seed_draws_anew():
    generator = networks().generator
    seen = [
        np.asarray(
            batch_of(recipe(), generator, root, step, index, 0.3).inputs
        ).tobytes()
        for root in roots(0, 1)
        for step in (0, 1)
        for index in range(5)
    ]
    assert len(set(seen)) == len(seen) == 20


def test_the_two_batches_of_an_update_have_points_of_their_own():
    # At alpha 1 with a first share near 1 a row is nearly the first batch's.
    generator = networks().generator
    key = roots(3)[0]
    other = batch_of(recipe(), generator, key, 0, 0, 0.0).inputs
    mixed = batch_of(recipe(), generator, key, 0, 0, 1.0).inputs
    draw = jax.random.fold_in(purpose_key(key, Purpose.MIX, 0), 0)
    lam = jax.random.uniform(draw, (2 * B,))[:, None]
    first = (mixed - (1 - lam) * other) / lam
    gap = np.abs(np.asarray(first)[:, None] - np.asarray(other)[None]).max(axis=-1)
    assert gap.min() > 1e-4


def test_an_iteration_is_five_updates_and_one():
    state = trained(recipe(), roots(0, 1), [0.0, 0.2], 3)
    counts = [
        [leaf.tolist() for leaf in jax.tree.leaves(opt) if leaf.dtype == jnp.int32]
        for opt in (state.discriminator_opt, state.generator_opt)
    ]
    assert counts == [[[15, 15]], [[3, 3]]]
    assert int(state.step) == 3


def test_the_defaults_are_the_papers():
    default = gan.GanRecipe(toy.sample_ring)
    assert (default.batch_size, default.inner_updates, default.latent) == (128, 5, 2)
    assert default.form == "script"
    sizes = [
        sum(leaf.size for leaf in jax.tree.leaves(models.shapes(network, (2,))))
        for network in (default.generator, default.discriminator)
    ]
    assert sizes == [527_874, 527_361]


def test_an_unknown_form_is_refused_with_the_nearest():
    with pytest.raises(UsageError, match="Did you mean 'formula'"):
        recipe("formulas")


@pytest.mark.parametrize("name", ["latent", "batch_size", "inner_updates"])
def test_sizes_below_one_are_refused(name):
    with pytest.raises(ValueError, match=f"{name} must be at least 1, got 0"):
        recipe(**{name: 0})
