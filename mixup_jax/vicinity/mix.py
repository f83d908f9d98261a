"""The paper's method: virtual examples on the line between two real ones.

`mixup` is the whole of it. Its two halves stand apart for those who need them:
`draw_mixing` says who is mixed with whom and in which share, `apply_mixing` does it
to inputs, targets, latent features or anything else with a leading batch axis.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int

from mixup_jax.types import Key, PyTree


class Mixing(NamedTuple):
    """One draw: the share `lam` of each example, and the index of its partner."""

    lam: Float[Array, "*shape"]
    partner: Int[Array, " B"]


def sample_lambda(
    key: Key, alpha: ArrayLike, shape: tuple[int, ...] = ()
) -> Float[Array, "*shape"]:
    """Draws the share of the first example, lambda ~ Beta(alpha, alpha).

    Args:
      key: Consumed here; do not use it again.
      alpha: Interpolation strength, at least 0; a number, or an array that broadcasts
        against `shape`. May be traced, so that one compiled program serves any alpha.
        At 0 the Beta has no density and the draw is exactly 1, which is plain ERM; at
        infinity it is exactly 1/2.
      shape: Shape of the draw: `()` for one lambda per batch (the paper).

    Returns:
      float32 in [0, 1], also where the caller computes in bfloat16: a Beta drawn in
      bfloat16 at alpha = 0.2 is exactly 0 or 1 in one draw of six. A traced alpha
      that is negative or NaN gives NaN.

    Raises:
      ValueError: If a concrete alpha is negative or NaN.

    Source: Zhang et al. (2018), section 2, arXiv:1710.09412.
    """
    if not isinstance(alpha, jax.core.Tracer) and not np.all(np.asarray(alpha) >= 0):
        raise ValueError(f"alpha must be a number of at least 0, got {alpha}")
    concentration = jnp.asarray(alpha, jnp.float32)
    shape = jnp.broadcast_shapes(shape, concentration.shape)
    regular = (concentration > 0) & jnp.isfinite(concentration)
    # The untaken branch of a where is computed too, and JAX's Beta is NaN at 0.
    safe = jnp.where(regular, concentration, 1.0)
    draw = jax.random.beta(key, safe, safe, shape, dtype=jnp.float32)
    limit = jnp.where(
        concentration == 0, 1.0, jnp.where(jnp.isposinf(concentration), 0.5, jnp.nan)
    )
    return jnp.where(regular, draw, limit)


def sample_partners(key: Key, batch_size: int) -> Int[Array, " B"]:
    """Draws each example's partner: a random permutation, self-pairs included.

    Source: the reference implementation shuffles the minibatch (paper, section 2).
    """
    return jax.random.permutation(key, batch_size)


def draw_mixing(key: Key, batch_size: int, *, alpha: ArrayLike) -> Mixing:
    """Draws one lambda and the partners of a batch, to be applied as often as needed.

    Args:
      key: Consumed here.
      batch_size: Examples in the batch, at least 1; odd sizes are as good as even ones.
      alpha: See `sample_lambda`.

    Returns:
      lam [] and partner [B].
    """
    lam_key, partner_key = jax.random.split(key)
    lam = sample_lambda(lam_key, alpha)
    return Mixing(lam, sample_partners(partner_key, batch_size))


def blend(first: PyTree, other: PyTree, lam: Float[Array, "*shape"]) -> PyTree:
    """Returns lam * first + (1 - lam) * other, leaf by leaf, in first's dtypes.

    Args:
      first: Any pytree of floating-point arrays, each [B, ...].
      other: The partners' values, of the same structure and shapes.
      lam: [] or [B]; applied in at least float32 whatever the leaves' dtype.

    Raises:
      ValueError: If a leaf is not floating-point, or the shapes differ.
    """
    return jax.tree_util.tree_map_with_path(
        lambda path, a, b: _blend_leaf(jax.tree_util.keystr(path), a, b, lam),
        first,
        other,
    )


def apply_mixing(mixing: Mixing, tree: PyTree) -> PyTree:
    """Mixes each row of every leaf with its partner's row.

    Args:
      mixing: From `draw_mixing`.
      tree: Any pytree of floating-point arrays, each [B, ...]: inputs, one-hot
        targets, latent features, or a whole batch of them.

    Returns:
      The tree with every row mixed; structure, shapes and dtypes are kept.

    Raises:
      ValueError: If a leaf is not floating-point, or its leading axis is not B.
    """
    _check_batch(tree, len(mixing.partner))
    partners = jax.tree.map(lambda leaf: jnp.asarray(leaf)[mixing.partner], tree)
    return blend(tree, partners, mixing.lam)


def mixup(key: Key, batch: PyTree, *, alpha: ArrayLike) -> PyTree:
    """Mixes a batch with a random permutation of itself: the paper's mixup.

    Args:
      key: Consumed here.
      batch: Any pytree of floating-point arrays with one leading batch axis, such as
        `{"image": [B, H, W, C], "label": [B, K]}`, labels one-hot.
      alpha: See `sample_lambda`; 0 returns the batch unchanged.

    Returns:
      The mixed batch. All leaves share one lambda and one permutation; structure,
      shapes and dtypes are kept.

    Raises:
      ValueError: If a leaf holds integers (one-hot encode labels first), the leading
        axes differ, the batch is empty, or alpha is negative or NaN.

    Source: Zhang et al. (2018), equation (1) and figure 1a.
    """
    leaves = jax.tree.leaves(batch)
    if not leaves or any(jnp.ndim(leaf) == 0 for leaf in leaves):
        raise ValueError("mixup needs arrays with a leading batch axis")
    size = jnp.shape(leaves[0])[0]
    _check_batch(batch, size)
    return apply_mixing(draw_mixing(key, size, alpha=alpha), batch)


def _check_batch(tree: PyTree, size: int) -> None:
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        _check_dtype(jax.tree_util.keystr(path), leaf)
        if jnp.ndim(leaf) == 0 or jnp.shape(leaf)[0] != size:
            raise ValueError(
                f"leaf{jax.tree_util.keystr(path)} has shape {jnp.shape(leaf)}, "
                f"but the leading (batch) axis must be {size}"
            )


def _check_dtype(name: str, leaf: ArrayLike) -> None:
    dtype = jnp.result_type(leaf)
    if not jnp.issubdtype(dtype, jnp.inexact):
        raise ValueError(
            f"leaf{name} has dtype {dtype}, and averaging class ids or bytes means "
            "nothing: one-hot encode first (labels), or convert to float (images)"
        )


def _blend_leaf(name: str, first: ArrayLike, other: ArrayLike, lam: Array) -> Array:
    _check_dtype(name, first)
    if jnp.shape(first) != jnp.shape(other):
        raise ValueError(
            f"leaf{name}: shapes differ, {jnp.shape(first)} and {jnp.shape(other)}"
        )
    dtype = jnp.result_type(first)
    wide = jnp.promote_types(dtype, jnp.float32)
    lam = jnp.reshape(lam, lam.shape + (1,) * (jnp.ndim(first) - lam.ndim))
    lam = lam.astype(jnp.finfo(wide).dtype)
    first, other = jnp.asarray(first, wide), jnp.asarray(other, wide)
    return (lam * first + (1 - lam) * other).astype(dtype)
