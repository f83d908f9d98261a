"""What training and evaluation steps read: whole on every device, never written."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Float, Int, Shaped

from mixup_jax.types import Key
from mixup_jax.vicinity.neighbours import Neighbours


class TrainData(NamedTuple):
    """What a training step reads: the set, the epoch's order, the run's key.

    `alpha` is traced, so that one compiled step serves every strength of mixing;
    `neighbours` is there where partners are drawn from them.
    """

    inputs: Shaped[Array | np.ndarray, "N ..."]
    labels: Int[Array | np.ndarray, " N"]
    order: Int[Array | np.ndarray, " N"]
    root: Key
    alpha: Float[Array | np.ndarray, ""]
    neighbours: Neighbours | None = None


class EvalData(NamedTuple):
    """What an evaluation step reads; `group` splits the counts, from 0."""

    inputs: Shaped[Array | np.ndarray, "N ..."]
    labels: Int[Array | np.ndarray, " N"]
    group: Int[Array | np.ndarray, " N"]
    start: Int[Array | np.ndarray, ""]
