"""Partners on other devices, for batches that are split over them.

For code that runs under pmap or shard_map, where each device has its share of the
global batch, in order of the devices. Where the whole data set lies on every device
there is nothing to exchange: draw for the global batch and load partners by index.
"""

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Int

from mixup_jax.types import PyTree
from mixup_jax.vicinity.mix import Mixing, combine, shares, sources


def fetch(tree: PyTree, rows: Int[Array, " b"], *, axis_name: str) -> PyTree:
    """Returns rows of the global batch, wherever they lie.

    Args:
      tree: This device's share, each leaf [B / D, ...].
      rows: Places in the global batch.
      axis_name: Of the devices.

    Each device receives the whole global batch (an all-gather), so time and memory grow
    with B, not with B / D. Differentiable: gradients go back to where rows came from.
    """
    if lax.axis_size(axis_name) == 1:
        return jax.tree.map(lambda leaf: jnp.asarray(leaf)[rows], tree)
    return jax.tree.map(
        lambda leaf: lax.all_gather(leaf, axis_name, tiled=True)[rows], tree
    )


def own_rows(mixing: Mixing, positions: Int[Array, " b"]) -> Mixing:
    """Cuts a draw for the global batch down to the rows at `positions`.

    Its partners are still places in the global batch.
    """
    pairs = mixing.partner.ndim == 1
    per_example = mixing.lam.ndim == (1 if pairs else 2)
    lam = mixing.lam[..., positions] if per_example else mixing.lam
    return Mixing(lam, mixing.partner[..., positions])


def apply_mixing_across(
    mixing: Mixing, tree: PyTree, positions: Int[Array, " b"], *, axis_name: str
) -> PyTree:
    """Mixes this device's rows with partners from all devices.

    Args:
      mixing: Drawn for the global batch, from a key that all devices share.
      tree: This device's share of floating-point arrays, each leaf [B / D, ...].
      positions: This device's places in the global batch; each device holds as many.
      axis_name: Of the devices.

    Returns:
      What `apply_mixing` would give on the whole batch, at this device's rows.
    """
    own = own_rows(mixing, positions)
    theirs = [fetch(tree, rows, axis_name=axis_name) for rows in sources(own)]
    return combine([tree, *theirs], shares(own))
