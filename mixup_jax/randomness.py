"""Every random number of a run is a function of (seed, purpose, step, example).

Nothing here knows of devices, workers or time, so the same draws come out on any
machine and a resumed run needs no generator state.
"""

import enum

import jax
from jaxtyping import Array, Int, Shaped

from mixup_jax.types import Key


class Purpose(enum.IntEnum):
    """What a key is used for; the values are part of every result, never reuse one."""

    INIT = 0
    ORDER = 1
    AUGMENT = 2
    MIX = 3
    DROPOUT = 4
    NOISE = 5


def purpose_key(root: Key, purpose: Purpose, step: int | Int[Array, ""] = 0) -> Key:
    """Returns the key of one purpose at one step (or epoch, where drawn per epoch)."""
    return jax.random.fold_in(jax.random.fold_in(root, int(purpose)), step)


def example_keys(key: Key, indices: Int[Array, " B"]) -> Shaped[Array, " B *key"]:
    """Returns one key per example, by its index in the data set."""
    return jax.vmap(jax.random.fold_in, in_axes=(None, 0))(key, indices)
