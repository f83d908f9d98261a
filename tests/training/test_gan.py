import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mixup_jax import models
from mixup_jax.data import toy
from mixup_jax.errors import UsageError
from mixup_jax.models.gan import Discriminator, Generator
from mixup_jax.randomness import Purpose, purpose_key
from mixup_jax.training import gan, gan_population

B, LATENT = 8, 3


def recipe(form="script", sample=toy.sample_grid, width=16, **fields):
    networks = {
        "generator": Generator(width=width),
        "discriminator": Discriminator(width=width),
    }
    fields = {"batch_size": B, "latent": LATENT, **networks, **fields}
    return gan.GanRecipe(sample, form=form, **fields)


def roots(*seeds):
    return jax.vmap(jax.random.key)(jnp.array(seeds))


def trained(recipe, root, alpha, stop, state=None, chunk=20):
    if state is None:
        state = gan_population.initial_state(recipe, root)
    alpha = np.array(alpha, np.float32)
    *_, state = gan_population.train(
        recipe, state, root, alpha=alpha, stops=[stop], chunk=chunk
    )
    return state


def member(state, place):
    leaves = {
        name: jax.tree.map(lambda leaf: leaf[place], getattr(state, name))
        for name in ("generator", "discriminator", "generator_opt", "discriminator_opt")
    }
    return gan.GanState(step=state.step, **leaves)


@functools.partial(jax.jit, static_argnums=0)
def batch_of(recipe, generator, root, step, index, alpha):
    return gan.discriminator_batch(recipe, generator, root, step, index, alpha=alpha)


def assert_close(first, second, rtol=2e-5, atol=2e-6):
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=rtol, atol=atol),
        first,
        second,
    )


def assert_equal(first, second):
    jax.tree.map(np.testing.assert_array_equal, first, second)


# A GAN in plain words: no Flax, no optax, no vmap, no scan.


def mlp(params, x):
    for layer in ("hidden1", "hidden2", "hidden3"):
        x = jnp.maximum(affine(params[layer], x), 0.0)
    return affine(params["classifier"], x)


def affine(layer, x):
    return x @ layer["kernel"] + jnp.tile(layer["bias"], (len(x), 1))


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


def points_by_hand(generator, key, count):
    return mlp(generator, jax.random.normal(key, (count, LATENT)))


def batch_by_hand(method, generator, keys, alpha):
    points, latent, order, mix = keys
    real, _ = toy.sample_grid(points, 2 * B)
    fake = points_by_hand(generator, latent, 2 * B)
    first_key, other_key = jax.random.split(order)
    x, y = shuffled(other_key, real[B:], fake[B:])
    if method == "erm":
        return x, y
    if method == "formula":
        lam = jax.random.beta(mix, alpha, alpha, (2 * B,))[:, None]
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


@pytest.mark.parametrize("form", gan.FORMS)
def test_members_do_not_depend_on_their_company_or_place(form):
    first = trained(recipe(form), roots(4, 3), (0.2, 0.0), 4)
    other = trained(recipe(form), roots(8, 4), (1.0, 0.2), 4)
    assert_equal(member(first, 0), member(other, 1))


def test_members_of_a_seed_start_alike_and_part_by_alpha():
    start = gan_population.initial_state(recipe(), roots(0, 0))
    assert_equal(member(start, 0), member(start, 1))
    kernels = start.generator["hidden2"]["kernel"]
    other = gan_population.initial_state(recipe(), roots(0, 1))
    assert_equal(member(start, 0), member(other, 0))
    assert jnp.abs(kernels[0] - other.generator["hidden2"]["kernel"][1]).max() > 0.01
    # Generator and discriminator do not share theirs, where they are alike.
    plane = gan_population.initial_state(recipe(latent=2), roots(0))
    gap = (
        plane.generator["hidden2"]["kernel"] - plane.discriminator["hidden2"]["kernel"]
    )
    assert jnp.abs(gap).max() > 0.01
    state = trained(recipe(), roots(0, 0), [0.0, 1.0], 4)
    kernels = state.discriminator["hidden2"]["kernel"]
    assert jnp.abs(kernels[0] - kernels[1]).max() > 1e-3


@pytest.mark.parametrize(("kept_at", "chunk"), [(1, 20), (4, 1), (7, 3)])
def test_continuing_from_a_kept_state_is_bitwise_the_uninterrupted_run(kept_at, chunk):
    root, alpha = roots(0, 1), [0.0, 0.2]
    whole = trained(recipe(), root, alpha, 9)
    kept = trained(recipe(), root, alpha, kept_at, chunk=chunk)
    kept = jax.tree.map(lambda leaf: jnp.array(np.array(leaf)), kept)
    assert_equal(whole, trained(recipe(), root, alpha, 9, state=kept, chunk=chunk))


def steps_seen(state, stops, chunk):
    states = gan_population.train(
        recipe(),
        state,
        roots(0, 1),
        alpha=np.zeros(2, np.float32),
        stops=stops,
        chunk=chunk,
    )
    return [int(state.step) for state in states]


def test_states_come_at_every_stop_and_at_most_a_chunk_apart():
    def start():
        return gan_population.initial_state(recipe(), roots(0, 1))

    assert steps_seen(start(), [2, 7, 11], 4) == [2, 6, 7, 11]
    assert steps_seen(start(), [2, 3], 100) == [2, 3]
    assert steps_seen(start().replace(step=jnp.int32(7)), [2, 7, 9], 4) == [9]
    assert steps_seen(start().replace(step=jnp.int32(9)), [2, 7, 9], 4) == []


def test_snapshots_are_of_the_same_noise_at_every_iteration():
    root = roots(0, 5)
    state = gan_population.initial_state(recipe(), root)
    for at in (0, 40):
        points = gan_population.snapshot(
            recipe(), state.replace(step=jnp.int32(at)), root, count=6
        )
        assert points.shape == (2, 6, 2)
        for place in range(2):
            key = jax.random.fold_in(jax.random.fold_in(root[place], 8), 0)
            want = points_by_hand(member(state, place).generator, key, 6)
            np.testing.assert_allclose(points[place], want, rtol=1e-5, atol=1e-6)


def one_gaussian(key, count):
    noise = jax.random.normal(key, (count, 2))
    return jnp.array([[1.5, -1.0]]) + 0.1 * noise, jnp.zeros(count, jnp.int32)


def test_the_generator_moves_to_where_the_data_are():
    learner = recipe("script", one_gaussian, width=32, batch_size=32, latent=5)
    root = roots(0, 0)
    state = gan_population.initial_state(learner, root)
    before = gan_population.snapshot(learner, state, root, count=500).mean(axis=1)
    state = trained(learner, root, [0.0, 0.2], 250, state=state)
    after = gan_population.snapshot(learner, state, root, count=500).mean(axis=1)
    centre = np.array([[1.5, -1.0]])
    assert (np.linalg.norm(before - centre, axis=1) > 1.5).all()
    assert (np.linalg.norm(after - centre, axis=1) < 0.5).all()


def test_points_may_have_any_dimension():
    def sample(key, count):
        return jax.random.normal(key, (count, 3)), jnp.zeros(count, jnp.int32)

    generator = Generator(num_classes=3, width=4)
    learner = recipe(sample=sample, generator=generator, latent=10)
    start = gan_population.initial_state(learner, roots(0))
    after = jax.eval_shape(
        lambda state: gan.iterate(learner, state, roots(0)[0], alpha=0.2),
        member(start, 0),
    )
    assert after.discriminator["hidden1"]["kernel"].shape[0] == 3
    points = gan_population.snapshot(learner, start, roots(0), count=2)
    assert points.shape == (1, 2, 3)


def test_an_unknown_form_is_refused_with_the_nearest():
    with pytest.raises(UsageError, match="Did you mean 'formula'"):
        recipe("formulas")


@pytest.mark.parametrize("name", ["latent", "batch_size", "inner_updates"])
def test_sizes_below_one_are_refused(name):
    with pytest.raises(ValueError, match=f"{name} must be at least 1, got 0"):
        recipe(**{name: 0})


@pytest.mark.parametrize(
    ("form", "options", "words"),
    [
        ("script", {"alpha": [1.1]}, r"from 0 to 1.0 with form script, got \[1.1\]"),
        ("script", {"alpha": [np.nan]}, r"got \[nan\]"),
        ("formula", {"alpha": [-0.1]}, "from 0 to inf with form formula"),
        ("script", {"alpha": [0.1, 0.2]}, "1 roots, but 2 alphas"),
        ("script", {"stops": [3, 3]}, r"increasing .* got \[3, 3\] and 20"),
        ("script", {"stops": [0, 3]}, "iterations from 1"),
        ("script", {"stops": []}, "iterations from 1"),
        ("script", {"chunk": 0}, r"got \[2\] and 0"),
    ],
)
def test_what_cannot_be_trained_is_refused(form, options, words):
    given = {"alpha": [0.0], "stops": [2], **options}
    given["alpha"] = np.array(given["alpha"], np.float32)
    state = gan_population.initial_state(recipe(form), roots(0))
    with pytest.raises(ValueError, match=words):
        next(gan_population.train(recipe(form), state, roots(0), **given))
