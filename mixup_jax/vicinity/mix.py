"""The paper's method: virtual examples on the line between two real ones.

`mixup` is the whole of it. Its two halves stand apart for those who need them:
`draw_mixing` says who is mixed with whom and in which share, `apply_mixing` does it
to inputs, targets, latent features or anything else with a leading batch axis.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int

from mixup_jax.types import Key, PyTree
from mixup_jax.vicinity.checks import check, check_float, check_rows
from mixup_jax.vicinity.pairing import sample_matching, sample_partners
from mixup_jax.vicinity.weights import pair_lambda, sample_dirichlet, sample_lambda

LAM_PER = ("batch", "pair", "example")


class Mixing(NamedTuple):
    """One draw: who is mixed with whom, and in which shares.

    Attributes:
      lam: Share of the example itself, [] or [B]; its partner has 1 - lam. Of k > 2
        examples: the shares of the example and of each partner, [k] or [k, B].
      partner: Row of each example's partner, [B]; of k > 2: [k - 1, B].
    """

    lam: Float[Array, "*shape"]
    partner: Int[Array, "*others B"]

    @property
    def batch_size(self) -> int:
        """Examples in the batch."""
        return self.partner.shape[-1]


def shares(mixing: Mixing) -> list[Float[Array, "*B"]]:
    """Returns the shares of the example itself and of each partner, [] or [B]."""
    if mixing.partner.ndim == 1:
        return [mixing.lam, 1 - mixing.lam]
    return list(mixing.lam)


def sources(mixing: Mixing) -> list[Int[Array, " B"]]:
    """Returns the rows of the partners, one array for each."""
    return [mixing.partner] if mixing.partner.ndim == 1 else list(mixing.partner)


def partner_trees(mixing: Mixing, tree: PyTree) -> list[PyTree]:
    """Returns the partners' rows of every leaf, one tree for each partner."""
    return [
        jax.tree.map(lambda leaf, rows=rows: jnp.asarray(leaf)[rows], tree)
        for rows in sources(mixing)
    ]


def draw_mixing(
    key: Key,
    batch_size: int,
    *,
    alpha: ArrayLike,
    lam_per: str = "batch",
    examples: int = 2,
    probability: ArrayLike = 1.0,
) -> Mixing:
    """Draws lambda and random partners of a batch, to be applied as often as needed.

    Other pairings and other laws of lambda: `Mixing(lam, partner)` of what you like.

    Args:
      key: Consumed here.
      batch_size: Examples in the batch, at least 1; odd sizes are as good as even ones.
      alpha: See `sample_lambda`.
      lam_per: "batch", one lambda for all (the paper); "example", one for each; "pair",
        where partners are drawn as a matching and share one lambda.
      examples: k, how many are mixed into one; more than 2 with Dirichlet shares.
      probability: Chance that a batch, pair or example is mixed at all.

    Returns:
      lam [] or [B] and partner [B]; with k > 2, lam [k] or [k, B], partner [k - 1, B].

    Raises:
      ValueError: If an option is out of range, or k > 2 is asked for per pair.
    """
    if batch_size < 1:
        raise ValueError(f"a batch has at least 1 example, got {batch_size}")
    if lam_per not in LAM_PER:
        raise ValueError(f"lam_per must be one of {LAM_PER}, got {lam_per!r}")
    lam_key, partner_key = jax.random.split(key)
    shape = () if lam_per == "batch" else (batch_size,)
    if examples != 2:
        if lam_per == "pair":
            raise ValueError(f"a pair has 2 examples, not {examples}")
        lam = sample_dirichlet(lam_key, alpha, examples, shape, probability=probability)
        keys = jax.random.split(partner_key, examples - 1)
        return Mixing(lam, jax.vmap(sample_partners, (0, None))(keys, batch_size))
    lam = sample_lambda(lam_key, alpha, shape, probability=probability)
    if lam_per != "pair":
        return Mixing(lam, sample_partners(partner_key, batch_size))
    partner = sample_matching(partner_key, batch_size)
    return Mixing(pair_lambda(lam, partner), partner)


def blend(first: PyTree, other: PyTree, lam: Float[Array, "*shape"]) -> PyTree:
    """Returns lam * first + (1 - lam) * other, leaf by leaf, in first's dtypes.

    Args:
      first: Any pytree of floating-point arrays, each [B, ...].
      other: The partners' values, of the same structure and shapes.
      lam: [] or [B], or a mask with more of the leading axes, such as [B, H, W];
        applied in at least float32 whatever the leaves' dtype.

    Raises:
      ValueError: If a leaf is not floating-point, or the shapes differ.
    """
    return combine([first, other], [lam, 1 - lam])


def combine(
    trees: Sequence[PyTree], weights: Sequence[Float[Array, "*shape"]]
) -> PyTree:
    """Returns the weighted sum of trees, leaf by leaf, in the first one's dtypes.

    Args:
      trees: Pytrees of floating-point arrays, all of the same structure and shapes.
      weights: One for each; see `blend`.

    Raises:
      ValueError: See `blend`.
    """
    return jax.tree_util.tree_map_with_path(
        lambda path, *leaves: _weighted(jax.tree_util.keystr(path), leaves, weights),
        *trees,
    )


def apply_mixing(mixing: Mixing, tree: PyTree) -> PyTree:
    """Mixes each row of every leaf with its partner's row.

    Args:
      mixing: From `draw_mixing`, or of your own pairing and weights.
      tree: Any pytree of floating-point arrays, each [B, ...]: inputs, one-hot
        targets, latent features, or a whole batch of them.

    Returns:
      The tree with every row mixed; structure, shapes and dtypes are kept.

    Raises:
      ValueError: If a leaf is not floating-point, its leading axis is not B, or a
        concrete partner is no row.
    """
    _check_batch(tree, mixing.batch_size)
    if jnp.size(mixing.lam) not in _sizes(mixing):
        raise ValueError(
            f"lam has shape {jnp.shape(mixing.lam)}, which fits neither one draw for "
            f"the batch nor one for each of its {mixing.batch_size} examples"
        )
    _check_partners(mixing)
    return combine([tree, *partner_trees(mixing, tree)], shares(mixing))


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
        raise ValueError(
            "mixup needs a key and then arrays with a leading batch axis, such as "
            f"mixup(key, (x, y), alpha=0.2); got {_short(batch)} to mix"
        )
    size = jnp.shape(leaves[0])[0]
    _check_batch(batch, size)
    mixing = draw_mixing(key, size, alpha=alpha)
    # Its partners are rows; outside of jit, to look at them is to wait for the device.
    return combine([batch, *partner_trees(mixing, batch)], shares(mixing))


def _short(tree: PyTree) -> str:
    """Returns a tree as text, arrays by dtype and shape."""

    def name(leaf):
        return f"{leaf.dtype}{list(leaf.shape)}" if hasattr(leaf, "dtype") else leaf

    return str(jax.tree.map(name, tree))


def _sizes(mixing: Mixing) -> tuple[int, int]:
    """How many numbers lam may hold: for the batch, or for each example."""
    ways = 1 if mixing.partner.ndim == 1 else len(mixing.partner) + 1
    return ways, ways * mixing.batch_size


def _check_batch(tree: PyTree, size: int) -> None:
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        check_float(f"leaf{jax.tree_util.keystr(path)}", leaf)
    check_rows(tree, size)


def _check_partners(mixing: Mixing) -> None:
    # Indexing would take a place beyond the last for the last.
    if not jnp.issubdtype(mixing.partner.dtype, jnp.integer):
        raise ValueError(f"partner must be whole numbers, got {mixing.partner.dtype}")
    size = mixing.batch_size
    rule = f"places in the batch, 0 to {size - 1}"
    check("partner", rule, mixing.partner, lambda row: (row >= 0) & (row < size))


def _weighted(name: str, leaves: Sequence, weights: Sequence[Array]) -> Array:
    for leaf in leaves:
        check_float(f"leaf{name}", leaf)
        if jnp.shape(leaf) != jnp.shape(leaves[0]):
            raise ValueError(
                f"leaf{name}: shapes differ, {jnp.shape(leaves[0])} and "
                f"{jnp.shape(leaf)}"
            )
    if len(leaves) != len(weights):
        raise ValueError(
            f"{len(leaves)} trees need as many weights, got {len(weights)}"
        )
    dtype = jnp.result_type(leaves[0])
    wide = jnp.promote_types(dtype, jnp.float32)
    total = 0
    for leaf, weight in zip(leaves, weights, strict=True):
        weight = jnp.asarray(weight, jnp.finfo(wide).dtype)
        _check_weight(weight, name, jnp.shape(leaf))
        missing = (1,) * (jnp.ndim(leaf) - weight.ndim)
        total += weight.reshape(weight.shape + missing) * jnp.asarray(leaf, wide)
    return jnp.asarray(total, dtype)


def _check_weight(weight: Array, name: str, shape: tuple[int, ...]) -> None:
    """Raises ValueError unless a weight is one number or of the leading axes."""
    sizes = zip(weight.shape, shape, strict=False)
    if weight.ndim > len(shape) or any(w not in (1, size) for w, size in sizes):
        raise ValueError(
            f"lam of shape {weight.shape} does not fit the leading axes of leaf{name}, "
            f"{shape}"
        )
