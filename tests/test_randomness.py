import jax
import jax.numpy as jnp
import numpy as np

from mixup_jax.randomness import Purpose, example_keys, purpose_key

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
    }


def test_a_traced_step_gives_the_key_of_the_number():
    traced = jax.jit(lambda step: purpose_key(ROOT, Purpose.MIX, step))(jnp.int32(5))
    number = purpose_key(ROOT, Purpose.MIX, 5)
    np.testing.assert_array_equal(
        jax.random.key_data(traced), jax.random.key_data(number)
    )
