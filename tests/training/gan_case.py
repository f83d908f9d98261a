"""Small toy GANs that tests of this folder share."""

import jax
import jax.numpy as jnp
import numpy as np

from mixup_jax.data import toy
from mixup_jax.models.gan import Discriminator, Generator
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


def points_by_hand(generator, key, count):
    return mlp(generator, jax.random.normal(key, (count, LATENT)))
