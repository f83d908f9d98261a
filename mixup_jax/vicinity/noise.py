"""Gaussian noise on the inputs: the vicinity of Chapelle et al. (2000)."""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Shaped

from mixup_jax.types import Key
from mixup_jax.vicinity.checks import check, check_float


def gaussian_noise(
    key: Key, inputs: Shaped[Array, "*B"], *, sigma: ArrayLike
) -> Float[Array, "*B"]:
    """Adds noise from N(0, sigma^2) to each number; targets stay as they are.

    Args:
      key: Consumed here.
      inputs: In the units that sigma is meant in (the paper is silent on whether that
        is before or after normalisation; the experiments here take after).
      sigma: Standard deviation, at least 0.

    Raises:
      ValueError: If a concrete sigma is negative, or inputs are integers.

    Source: paper, section 3.8 (Table 5, last rows).
    """
    check_float("inputs", inputs)
    check("sigma", "at least 0", sigma, lambda s: s >= 0)
    noise = jax.random.normal(key, inputs.shape, jnp.float32)
    return (inputs + sigma * noise).astype(inputs.dtype)
