"""The paper's toy GAN: what is trained, and one iteration of it.

An iteration is five updates of the discriminator, each on points, noise and lambdas of
its own, then one of the generator, for which nothing is mixed. Every draw is a function
of (seed, purpose, iteration, update). `gan_population` trains many side by side.

Source: paper, section 3.7; hongyi-zhang/mixup, gan/example_gan.py.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import struct
from jax import lax
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int

from mixup_jax.errors import unknown
from mixup_jax.models.gan import Discriminator, Generator
from mixup_jax.randomness import Purpose, purpose_key
from mixup_jax.training.optimizer import make_optimizer
from mixup_jax.training.state import Scalar
from mixup_jax.types import Batch, Key, PyTree
from mixup_jax.vicinity.gan import mix_real_with_fake, mix_shuffled, shuffle_together

# The greatest alpha of each form: "script" is `mix_shuffled`, "formula" is
# `mix_real_with_fake`.
FORMS = {"script": 1.0, "formula": np.inf}

# Draws so many real points, and says of which component each is.
SampleReal = Callable[[Key, int], tuple[Array, Array]]

Step = int | Int[Array, ""]

_GENERATOR, _DISCRIMINATOR = Generator(), Discriminator()
_ADAM = make_optimizer("adam", 1e-3)


@dataclasses.dataclass(frozen=True)
class GanRecipe:
    """What the members of a population have in common; the defaults are the paper's.

    Attributes:
      sample: Of the data, such as `data.toy.sample_grid`.
      form: "script" mixes two shuffled batches of real and fake points, lambda ~
        U(0, alpha); "formula" mixes real points with fake ones, lambda ~ Beta(alpha,
        alpha). Both use up two batches and make as many points of them, and both are
        ERM at alpha 0.
      latent: Dimension of the generator's noise; the paper's is 2.
      batch_size: Real points in a batch, which has as many fake ones.
      inner_updates: Of the discriminator before each of the generator.
      generator: Noise to points.
      discriminator: Points to the logit of being real.
      optimizer: Of each of the two.
    """

    sample: SampleReal
    form: str = "script"
    latent: int = 2
    batch_size: int = 128
    inner_updates: int = 5
    generator: nn.Module = _GENERATOR
    discriminator: nn.Module = _DISCRIMINATOR
    optimizer: optax.GradientTransformation = _ADAM

    def __post_init__(self):
        if self.form not in FORMS:
            raise unknown("form", self.form, FORMS)
        for name in ("latent", "batch_size", "inner_updates"):
            if getattr(self, name) < 1:
                value = getattr(self, name)
                raise ValueError(f"{name} must be at least 1, got {value}")


class GanState(struct.PyTreeNode):
    """State between two iterations: all that must be kept to continue.

    Attributes:
      step: Iterations behind it, the same for all members.
      generator: Parameters; of a population each leaf is [M, ...], here and below.
      discriminator: Parameters.
      generator_opt: State of the generator's optimizer.
      discriminator_opt: State of the discriminator's.
    """

    step: Scalar
    generator: PyTree
    discriminator: PyTree
    generator_opt: PyTree
    discriminator_opt: PyTree


def iterate(
    recipe: GanRecipe, state: GanState, root: Key, *, alpha: ArrayLike
) -> GanState:
    """Takes one iteration of one member: see this module's head.

    Args:
      recipe: Sizes, networks, optimizer.
      state: Of the member alone, without an axis for members.
      root: `jax.random.key(seed)`.
      alpha: May be traced.
    """

    def update(carry: tuple[PyTree, PyTree], index: Array) -> tuple[Any, None]:
        batch = discriminator_batch(
            recipe, state.generator, root, state.step, index, alpha=alpha
        )
        loss = functools.partial(discriminator_loss, recipe, batch=batch)
        return _updated(recipe, loss, *carry), None

    carry, _ = lax.scan(
        update,
        (state.discriminator, state.discriminator_opt),
        jnp.arange(recipe.inner_updates),
    )
    noise = _key(root, Purpose.LATENT, state.step, recipe.inner_updates)
    loss = functools.partial(generator_loss, recipe, discriminator=carry[0], key=noise)
    generator, opt = _updated(recipe, loss, state.generator, state.generator_opt)
    return GanState(state.step + 1, generator, carry[0], opt, carry[1])


def discriminator_batch(
    recipe: GanRecipe,
    generator: PyTree,
    root: Key,
    step: Step,
    index: Step,
    *,
    alpha: ArrayLike,
) -> Batch:
    """Returns what the discriminator learns from in one update.

    Args:
      recipe: Sizes, networks, form.
      generator: Its parameters.
      root: `jax.random.key(seed)`.
      step: Of the iteration.
      index: Of the update within it, from 0.
      alpha: May be traced. At 0 it is one shuffled batch, not mixed.

    Returns:
      2 B points and their shares of the real, [2 B, 1].
    """
    size = recipe.batch_size
    points, latent, order, mix = (
        _key(root, purpose, step, index)
        for purpose in (Purpose.POINTS, Purpose.LATENT, Purpose.ORDER, Purpose.MIX)
    )
    real, _ = recipe.sample(points, 2 * size)
    fake = generate(recipe, generator, latent, 2 * size)
    first_order, other_order = jax.random.split(order)
    other = shuffle_together(other_order, real[size:], fake[size:])
    if recipe.form == "script":
        first = shuffle_together(first_order, real[:size], fake[:size])
        return mix_shuffled(mix, first, other, alpha=alpha)
    mixed = mix_real_with_fake(mix, real, fake, alpha=alpha)
    # Where lambda is 1 the formula has no fake points; ERM is not its limit.
    return jax.tree.map(
        functools.partial(jnp.where, jnp.asarray(alpha) > 0), mixed, other
    )


def generate(
    recipe: GanRecipe, params: PyTree, key: Key, count: int
) -> Float[Array, "N d"]:
    """Returns `count` points of a generator."""
    noise = jax.random.normal(key, (count, recipe.latent))
    points: Any = recipe.generator.apply({"params": params}, noise, train=True)
    return points


def discriminator_loss(
    recipe: GanRecipe, params: PyTree, *, batch: Batch
) -> Float[Array, ""]:
    """Returns the mean binary cross-entropy with soft targets, in nats."""
    logits: Any = recipe.discriminator.apply(
        {"params": params}, batch.inputs, train=True
    )
    return optax.sigmoid_binary_cross_entropy(logits, batch.targets).mean()


def generator_loss(
    recipe: GanRecipe, params: PyTree, *, discriminator: PyTree, key: Key
) -> Float[Array, ""]:
    """Returns the generator's part of the saturating minimax loss, in nats.

    The script minimises minus the discriminator's mean loss on a batch of real and fake
    points. The real ones have no part in the gradient and are left out here: of B fake
    points G(z) this is 1 / (2 B) sum log(1 - sigmoid(D(G(z)))).
    """
    fake = generate(recipe, params, key, recipe.batch_size)
    logits: Any = recipe.discriminator.apply(
        {"params": discriminator}, fake, train=True
    )
    return -jax.nn.softplus(logits).sum() / (2 * recipe.batch_size)


def _updated(
    recipe: GanRecipe, loss: Callable[[PyTree], Array], params: PyTree, opt: PyTree
) -> tuple[PyTree, PyTree]:
    updates, opt = recipe.optimizer.update(jax.grad(loss)(params), opt, params)
    return optax.apply_updates(params, updates), opt


def _key(root: Key, purpose: Purpose, step: Step, index: Step) -> Key:
    return jax.random.fold_in(purpose_key(root, purpose, step), index)
