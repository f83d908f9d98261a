"""Many toy GANs in one compiled program: seeds and alphas side by side.

A member trains as it does alone, whoever else is in the population; members of one seed
share start, points and noise. A kept state continues exactly.
"""

import functools
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Shaped

from mixup_jax.randomness import Purpose, purpose_key
from mixup_jax.training.gan import FORMS, GanRecipe, GanState, generate, iterate
from mixup_jax.training.starts import initial_variables
from mixup_jax.types import Key, PyTree

_MEMBERS: Any = GanState(
    step=None, generator=0, discriminator=0, generator_opt=0, discriminator_opt=0
)


@functools.partial(jax.jit, static_argnums=0)
def initial_state(recipe: GanRecipe, root: Shaped[Array, " M *key"]) -> GanState:
    """Returns a population before its first iteration.

    Args:
      recipe: Of all members.
      root: `jax.random.key(seed)` of each; those of one seed start alike.
    """
    keys = jax.vmap(lambda one: jax.random.split(purpose_key(one, Purpose.INIT)))(root)
    point = jax.eval_shape(lambda key: recipe.sample(key, 1)[0][0], root[0])
    generator, discriminator = (
        initial_variables(network, keys[:, place], inputs)["params"]
        for place, (network, inputs) in enumerate(
            [
                (recipe.generator, (recipe.latent,)),
                (recipe.discriminator, point.shape),
            ]
        )
    )
    init = jax.vmap(recipe.optimizer.init)
    return GanState(
        step=jnp.zeros((), jnp.int32),
        generator=generator,
        discriminator=discriminator,
        generator_opt=init(generator),
        discriminator_opt=init(discriminator),
    )


def train(
    recipe: GanRecipe,
    state: GanState,
    root: Shaped[Array, " M *key"],
    *,
    alpha: Float[np.ndarray, " alphas"],
    stops: Sequence[int],
    chunk: int = 20,
) -> Iterator[GanState]:
    """Trains a population from wherever it stands to the last stop.

    Args:
      recipe: Of all members.
      state: From `initial_state`, or one that was kept. It and every yielded state are
        donated to what follows, so read what you need before asking for the next.
      root: Of each member, as in `initial_state`.
      alpha: Of each member; 0 is ERM.
      stops: Iterations at which a state is wanted, increasing.
      chunk: Iterations between states in any case.

    Yields:
      The state, which is there and not only promised, at every stop and after at most
      `chunk` iterations.

    Raises:
      ValueError: If stops are not increasing, chunk is below 1, there is not one alpha
        for each root, or an alpha is outside the range of the form.
    """
    _check(recipe, alpha, len(root), stops, chunk)
    here = int(state.step)
    while here < stops[-1]:
        here = min(here + chunk, next(stop for stop in stops if stop > here))
        state = _advance(recipe, state, root, np.float32(alpha), np.int32(here))
        yield jax.block_until_ready(state)


@functools.partial(jax.jit, static_argnums=0, static_argnames="count")
def snapshot(
    recipe: GanRecipe, state: GanState, root: Shaped[Array, " M *key"], *, count: int
) -> Float[Array, "M N d"]:
    """Returns `count` points of each generator, from the same noise on every call."""

    def points(generator: PyTree, root: Key) -> Array:
        key = purpose_key(root, Purpose.SNAPSHOT)
        return generate(recipe, generator, key, count)

    return jax.vmap(points)(state.generator, root)


@functools.partial(jax.jit, static_argnums=0, donate_argnums=1)
def _advance(
    recipe: GanRecipe, state: GanState, root: Array, alpha: Array, until: Array
) -> GanState:
    """Takes iterations up to a number that is known only when it runs."""

    def one(state: GanState, root: Array, alpha: Array) -> GanState:
        return iterate(recipe, state, root, alpha=alpha)

    every = jax.vmap(one, (_MEMBERS, 0, 0), _MEMBERS)
    return lax.while_loop(
        lambda state: state.step < until,
        lambda state: every(state, root, alpha),
        state,
    )


def _check(
    recipe: GanRecipe, alpha: np.ndarray, members: int, stops: Sequence[int], chunk: int
) -> None:
    if not stops or list(stops) != sorted(set(stops)) or stops[0] < 1 or chunk < 1:
        raise ValueError(
            "stops must be increasing iterations from 1 and chunk at least 1, got "
            f"{stops} and {chunk}"
        )
    if len(alpha) != members:
        raise ValueError(f"{members} roots, but {len(alpha)} alphas")
    most = FORMS[recipe.form]
    if not np.all((alpha >= 0) & (alpha <= most)):
        raise ValueError(
            f"alpha must be from 0 to {most} with form {recipe.form}, got {alpha}"
        )
