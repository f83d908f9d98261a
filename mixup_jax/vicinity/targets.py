"""What the target of a virtual example is, beside the mixture of the targets.

Mixed targets are `apply_mixing` on one-hot labels, several labels at once as zeros and
ones, numbers to predict, or masks as one-hot classes per pixel.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Shaped

from mixup_jax.types import PyTree
from mixup_jax.vicinity.checks import check, check_float, check_rows
from mixup_jax.vicinity.mix import Mixing, partner_trees, shares


def smooth_labels(
    targets: Shaped[Array, "*B K"], *, epsilon: ArrayLike
) -> Float[Array, "*B K"]:
    """Returns (1 - epsilon) * targets + epsilon / K.

    Of a one-hot label, every wrong class gets epsilon / K and the right one
    1 - (K - 1) epsilon / K. Linear, so before or after mixing is the same.

    Args:
      targets: One-hot or mixed, summing to 1.
      epsilon: In [0, 1]; 0 changes nothing.

    Raises:
      ValueError: If a concrete epsilon is outside [0, 1], or targets are integers.

    Source: paper, section 3.8 (Table 5, rows with label smoothing).
    """
    check_float("targets", targets)
    check("epsilon", "in [0, 1]", epsilon, lambda e: (e >= 0) & (e <= 1))
    epsilon = jnp.asarray(epsilon, targets.dtype)
    return (1 - epsilon) * targets + epsilon / targets.shape[-1]


def closer(mixing: Mixing, tree: PyTree) -> PyTree:
    """Selects, row by row, the value of the example with the greatest share.

    Nothing is averaged, so class ids, masks of class ids and boxes are welcome.

    Args:
      mixing: Between the rows of the tree.
      tree: Any pytree of arrays [B, ...].

    Returns:
      The tree with each row its own or one of its partners'. Of equal shares
      (lam = 1/2) the own one wins, then the earlier partner.

    Raises:
      ValueError: If a leading axis is not the batch's.

    Source: paper, section 3.8, targets that are not mixed (Table 5).
    """
    check_rows(tree, mixing.batch_size)
    return closest([tree, *partner_trees(mixing, tree)], shares(mixing))


def closest(trees: Sequence[PyTree], weights: Sequence[Float[Array, "*B"]]) -> PyTree:
    """Selects, row by row, from the tree with the greatest weight; see `closer`.

    Args:
      trees: Pytrees of arrays [B, ...], all of the same structure and shapes.
      weights: One for each, [] or [B].
    """
    # argmax takes the first of equals.
    chosen = jnp.argmax(jnp.stack(jnp.broadcast_arrays(*weights)), axis=0)

    def select(*leaves):
        picked = jnp.asarray(leaves[0])
        place = chosen.reshape(chosen.shape + (1,) * (picked.ndim - chosen.ndim))
        for k, leaf in enumerate(leaves[1:], start=1):
            picked = jnp.where(place == k, leaf, picked)
        return picked

    return jax.tree.map(select, *trees)


def mix_loss(
    loss: Callable[[Any, Any], Float[Array, " B"]],
    mixing: Mixing,
    predictions: PyTree,
    targets: PyTree,
) -> Float[Array, " B"]:
    """Mixes the loss instead of the targets, for targets that cannot be averaged.

    For losses that are linear in the target, such as cross-entropy on soft labels or
    the binary one, both are the same; a squared error differs by a term that does not
    depend on the predictions.

    Args:
      loss: Any, (predictions, targets) to one number per example.
      mixing: What the inputs were mixed with.
      predictions: Of the mixed inputs, any pytree.
      targets: Of the unmixed examples, any pytree of [B, ...]: class ids, boxes.

    Returns:
      sum_k share_k * loss(predictions, targets of source k).

    Raises:
      ValueError: If a leading axis of the targets is not the batch's.
    """
    check_rows(targets, mixing.batch_size)
    sides = [targets, *partner_trees(mixing, targets)]
    parts = zip(shares(mixing), sides, strict=True)
    return sum((w * loss(predictions, side) for w, side in parts), jnp.float32(0))
