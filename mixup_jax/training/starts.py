"""First variables of many networks, in one compiled program."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Shaped

from mixup_jax import models
from mixup_jax.models.initialisation import Tape, drawing_from
from mixup_jax.types import PyTree


def initial_variables(
    network: nn.Module, keys: Shaped[Array, " members *key"], inputs: tuple[int, ...]
) -> PyTree:
    """Returns what `models.initialise` gives for each key, stacked; may be traced.

    Args:
      network: Of all members.
      keys: One per member.
      inputs: Shape of one example.
    """
    counts = Tape()
    with drawing_from(counts):
        models.shapes(network, inputs)

    def one(key):
        normal, uniform = jax.random.split(key)
        numbers = Tape(
            normal=jax.random.normal(normal, (counts.used["normal"],)),
            uniform=jax.random.uniform(uniform, (counts.used["uniform"],)),
        )
        with drawing_from(numbers):
            return network.init(key, jnp.zeros((1, *inputs)), train=False)

    return jax.vmap(one)(keys)
