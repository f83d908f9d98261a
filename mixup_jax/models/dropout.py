"""Dropout whose draws belong to examples, not to devices or places in a batch."""

import zlib

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from mixup_jax.errors import UsageError
from mixup_jax.models.layers import DropoutKeys


class Dropout(nn.Module):
    """Zeroes values, or whole channels, and scales the others by 1 / (1 - rate).

    Flax's own takes one key for a whole batch, so that what an example loses depends
    on how many devices there are.

    Attributes:
      rate: Probability of a zero, from 0 to below 1.
      whole_channels: Drop a channel at all positions, as PyTorch's Dropout2d.
    """

    rate: float
    whole_channels: bool = False

    @nn.compact
    def __call__(
        self, x: Float[Array, "B ..."], keys: DropoutKeys | None, *, train: bool
    ) -> Float[Array, "B ..."]:
        """Draws from each example's key, folded with this layer's place.

        Raises:
          UsageError: If the rate is out of range, or keys are needed and missing.
        """
        if not 0 <= self.rate < 1:
            raise UsageError(f"dropout must be from 0 to below 1, got {self.rate}")
        if not train or self.rate == 0 or self.is_initializing():
            return x
        if keys is None:
            raise UsageError(
                f"dropout of {self.rate} needs one key per example when training: "
                "pass dropout_keys"
            )
        layer = zlib.crc32("/".join(self.path).encode()) >> 1
        shape = x.shape[1:]
        if self.whole_channels:
            shape = (1,) * (x.ndim - 2) + x.shape[-1:]

        def keep(key):
            return jax.random.bernoulli(
                jax.random.fold_in(key, layer), 1 - self.rate, shape
            )

        return jnp.where(jax.vmap(keep)(keys), x / (1 - self.rate), 0)
