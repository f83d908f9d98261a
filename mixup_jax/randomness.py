"""Every random number of a run is a function of (seed, purpose, step, example).

Nothing here knows of devices, workers or time, so the same draws come out on any
machine and a resumed run needs no generator state.
"""

import enum

import jax
import numpy as np
from jaxtyping import Array, Float64, Int, Shaped

from mixup_jax.types import Key


class Purpose(enum.IntEnum):
    """What a key is used for; the values are part of every result, never reuse one."""

    INIT = 0
    ORDER = 1
    AUGMENT = 2
    MIX = 3
    DROPOUT = 4
    NOISE = 5
    POINTS = 6
    LATENT = 7
    SNAPSHOT = 8


def purpose_key(root: Key, purpose: Purpose, step: int | Int[Array, ""] = 0) -> Key:
    """Returns the key of one purpose at one step (or epoch, where drawn per epoch)."""
    return jax.random.fold_in(jax.random.fold_in(root, int(purpose)), step)


def example_keys(key: Key, indices: Int[Array, " B"]) -> Shaped[Array, " B *key"]:
    """Returns one key per example, by its index in the data set."""
    return jax.vmap(jax.random.fold_in, in_axes=(None, 0))(key, indices)


def host_uniforms(
    seed: int, purpose: Purpose, step: int, example: int, count: int
) -> Float64[np.ndarray, " count"]:
    """Draws numbers from 0 to below 1 on the host, as no device need be asked there.

    Args:
      seed: 0 to 2**64 - 1.
      purpose: What they are used for.
      step: Of the run, or the epoch, where drawn per epoch.
      example: By its index in the data set.
      count: How many; fewer are the first of more.

    The bits of Philox are fixed by numpy's policy, the methods of Generator are not.
    """
    key = np.array([seed, int(purpose)], np.uint64)
    # A generator counts up in the first of the four.
    counter = np.array([0, 0, example, step], np.uint64)
    bits = np.random.Philox(key=key, counter=counter).random_raw(count)
    return (bits >> np.uint64(11)) * 2.0**-53
