"""Names shared by all modules, and the legend of the shape letters.

Shapes are written in signatures with jaxtyping. The letters:

  B  examples in a batch (on one device, where a function runs on one device)
  N  examples in a data set
  H W C  height, width, channels of an image; images are NHWC throughout
  K  classes
  D  devices
"""

from typing import Any, NamedTuple

from jaxtyping import Array, Float, Shaped

PyTree = Any
# A random key, typed (jax.random.key) or legacy (jax.random.PRNGKey).
Key = Shaped[Array, "*key"]


class Batch(NamedTuple):
    """What a network is trained on: inputs and soft targets, batch axis first."""

    inputs: Float[Array, "B ..."]
    targets: Float[Array, "B K"]
