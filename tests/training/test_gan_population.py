import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mixup_jax.models.gan import Generator
from mixup_jax.training import gan, gan_population
from tests.training.gan_case import (
    assert_equal,
    member,
    points_by_hand,
    recipe,
    roots,
    trained,
)


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
