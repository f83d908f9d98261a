"""What training and evaluation steps read and never write.

`TrainData` and `EvalData` are whole on every device, a `Share` is a device's own.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Float, Int, Shaped

from mixup_jax.types import Key
from mixup_jax.vicinity.neighbours import Neighbours


class TrainData(NamedTuple):
    """What a training step reads: the set, the epoch's order, the run's key.

    `inputs` are not there where they are streamed: each batch then comes with its
    `Share`. `alpha` is traced, so that one compiled step serves every strength of
    mixing; `neighbours` is there where partners are drawn from them.
    """

    inputs: Shaped[Array | np.ndarray, "N ..."] | None
    labels: Int[Array | np.ndarray, " N"]
    order: Int[Array | np.ndarray, " N"]
    root: Key
    alpha: Float[Array | np.ndarray, ""]
    neighbours: Neighbours | None = None


class EvalData(NamedTuple):
    """What an evaluation step reads; `group` splits the counts, from 0.

    As in `TrainData`, streamed inputs come with the `Share`.
    """

    inputs: Shaped[Array | np.ndarray, "N ..."] | None
    labels: Int[Array | np.ndarray, " N"]
    group: Int[Array | np.ndarray, " N"]
    start: Int[Array | np.ndarray, ""]


class Share(NamedTuple):
    """What one device holds of a step's batch.

    Attributes:
      positions: Its places in the global batch, one after another.
      inputs: Of these examples, where the set is streamed from the host.
    """

    positions: Int[Array, " b"]
    inputs: Shaped[Array, "b ..."] | None = None
