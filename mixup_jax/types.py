"""Names shared by all modules, and the legend of the shape letters.

Shapes are written in signatures with jaxtyping. The letters:

  B  examples in a batch (on one device, where a function runs on one device)
  N  examples in a data set
  H W C  height, width, channels of an image; images are NHWC throughout
  K  classes
  k  examples in a mixture; neighbours of an example
  D  devices
  b  examples on one device, where B is all of them
  T E  places and features of a sequence
  M d m  members of a group, features of an example, rows of a block
"""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Array, Float, Int, Shaped

PyTree = Any
# A random key, typed (jax.random.key) or legacy (jax.random.PRNGKey).
Key = Shaped[Array, "*key"]


class Batch(NamedTuple):
    """What a network is trained on: inputs and soft targets, batch axis first."""

    inputs: Float[Array, "B ..."]
    targets: Float[Array, "B K"]


class Request(NamedTuple):
    """What a stream from the host is asked for: examples, as they look at a step."""

    step: int
    indices: Int[np.ndarray, " B"]
