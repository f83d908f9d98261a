import jax
import jax.numpy as jnp
import numpy as np
import scipy.stats

from mixup_jax.randomness import (
    Purpose,
    example_keys,
    host_uniforms,
    purpose_key,
)

ROOT = jax.random.key(0)


def test_every_seed_purpose_step_and_example_has_its_own_key():
    keys = [
        tuple(np.asarray(data).tolist())
        for seed in range(3)
        for purpose in Purpose
        for step in range(4)
        for data in jax.random.key_data(
            example_keys(
                purpose_key(jax.random.key(seed), purpose, step), jnp.arange(5)
            )
        )
    ]
    assert len(set(keys)) == len(keys) == 3 * len(Purpose) * 4 * 5


def test_an_examples_key_does_not_depend_on_its_place_or_company():
    key = purpose_key(ROOT, Purpose.AUGMENT, 3)
    many = jax.random.key_data(example_keys(key, jnp.array([9, 4, 7])))
    few = jax.random.key_data(example_keys(key, jnp.array([7])))
    np.testing.assert_array_equal(many[2], few[0])


def test_purposes_keep_the_numbers_that_past_results_were_made_with():
    assert {purpose.name: int(purpose) for purpose in Purpose} == {
        "INIT": 0,
        "ORDER": 1,
        "AUGMENT": 2,
        "MIX": 3,
        "DROPOUT": 4,
        "NOISE": 5,
        "POINTS": 6,
        "LATENT": 7,
        "SNAPSHOT": 8,
    }


def test_a_traced_step_gives_the_key_of_the_number():
    traced = jax.jit(lambda step: purpose_key(ROOT, Purpose.MIX, step))(jnp.int32(5))
    number = purpose_key(ROOT, Purpose.MIX, 5)
    np.testing.assert_array_equal(
        jax.random.key_data(traced), jax.random.key_data(number)
    )


def test_numbers_of_the_host_depend_on_seed_purpose_step_and_example_alone():
    def draw(seed=1, purpose=Purpose.AUGMENT, step=3, example=4, count=8):
        return tuple(host_uniforms(seed, purpose, step, example, count))

    assert draw() == draw()
    assert draw(count=3) == draw()[:3]
    others = [
        draw(seed=2),
        draw(purpose=Purpose.NOISE),
        draw(step=4, example=3),
        draw(step=7, example=0),
        draw(step=3, example=5),
    ]
    assert len({draw(), *others}) == 6
    # Long draws of neighbours do not overlap either.
    many = [host_uniforms(1, Purpose.AUGMENT, 3, i, 50) for i in range(200)]
    assert len(np.unique(many)) == 200 * 50


def test_numbers_of_the_host_are_uniform_and_those_of_past_results():
    numbers = [host_uniforms(0, Purpose.AUGMENT, 0, i, 10) for i in range(2000)]
    assert scipy.stats.kstest(np.ravel(numbers), "uniform").pvalue > 1e-3
    expected = [0.01641045747759129, 0.9815769134427846, 0.8006295156914844]
    np.testing.assert_array_equal(host_uniforms(3, Purpose.AUGMENT, 7, 5, 3), expected)
