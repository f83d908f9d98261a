"""Sequences of different lengths, mixed as embeddings: token ids cannot be averaged."""

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from mixup_jax.vicinity.mix import Mixing, apply_mixing, shares, sources


def mix_sequences(
    mixing: Mixing, embeddings: Float[Array, "B T E"], lengths: Int[Array, " B"]
) -> tuple[Float[Array, "B T E"], Int[Array, " B"]]:
    """Mixes padded sequences position by position.

    Args:
      mixing: Between the rows.
      embeddings: Padded to T; what stands in the padding does not matter.
      lengths: Real positions of each sequence, 0 to T.

    Returns:
      The mixed embeddings, and their lengths: that of the longest sequence with a
      share above 0. Past the end of a shorter one it counts as zeros, so the longer
      fades by its share; positions past the returned length are zero.
    """
    inside = jnp.arange(embeddings.shape[1])[None] < lengths[:, None]
    clean = jnp.where(inside[..., None], embeddings, 0)
    longest = jnp.where(shares(mixing)[0] > 0, lengths, 0)
    for share, partner in zip(shares(mixing)[1:], sources(mixing), strict=True):
        longest = jnp.maximum(longest, jnp.where(share > 0, lengths[partner], 0))
    return apply_mixing(mixing, clean), longest
