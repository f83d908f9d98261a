"""CutMix: a rectangle of the partner's image pasted in, labels by its area.

In the terms of mixup: a lambda for every pixel, 1 outside of the rectangle and 0
inside, and for the targets the mean of all pixels' lambdas.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float, Int, Shaped

from mixup_jax.types import Key, PyTree
from mixup_jax.vicinity.checks import check
from mixup_jax.vicinity.mix import Mixing, apply_mixing, blend
from mixup_jax.vicinity.pairing import sample_partners
from mixup_jax.vicinity.weights import sample_lambda


class CutMixing(NamedTuple):
    """One draw.

    Attributes:
      mask: Share of the own image in each pixel, [1, H, W] or [B, H, W].
      lam: Share of the own target, [] or [B].
      partner: Row of each example's partner.
    """

    mask: Float[Array, "b H W"]
    lam: Float[Array, "*b"]
    partner: Int[Array, " B"]

    @property
    def targets(self) -> Mixing:
        """How the targets are mixed."""
        return Mixing(self.lam, self.partner)


def sample_boxes(
    key: Key, lam: Float[Array, " b"], height: int, width: int
) -> Float[Array, "b H W"]:
    """Draws rectangles of area 1 - lam with uniform centres, cut off at the border.

    Args:
      key: Consumed here.
      lam: Share of the pixels to keep, in [0, 1].
      height: H, pixels.
      width: W, pixels.

    Returns:
      1 where the own pixel stays, 0 inside of the rectangle. As the border cuts some
      off, their mean is the true share, not `lam`.

    Source: Yun et al. (2019), CutMix, section 3.1, arXiv:1905.04899.
    """
    keys = jax.random.split(key)
    side = jnp.sqrt(1 - lam)
    rows, columns = (
        _interval(key, side, size)
        for key, size in zip(keys, (height, width), strict=True)
    )
    inside = rows[:, :, None] & columns[:, None, :]
    return 1 - inside.astype(jnp.float32)


def draw_cutmix(
    key: Key,
    shape: tuple[int, int, int],
    *,
    alpha: ArrayLike,
    lam_per: str = "batch",
) -> CutMixing:
    """Draws the rectangles and the partners of a batch of images.

    Args:
      key: Consumed here.
      shape: (B, H, W).
      alpha: Of lambda ~ Beta(alpha, alpha), see `sample_lambda`; 1 in its paper.
      lam_per: "batch", one rectangle for all, or "example", one for each.

    Raises:
      ValueError: If an option is out of range.

    Source: Yun et al. (2019), CutMix, arXiv:1905.04899.
    """
    if lam_per not in ("batch", "example"):
        raise ValueError(f"lam_per must be 'batch' or 'example', got {lam_per!r}")
    batch, height, width = shape
    lam_key, partner_key, box_key = jax.random.split(key, 3)
    count = (1,) if lam_per == "batch" else (batch,)
    lam = sample_lambda(lam_key, alpha, count)
    mask = sample_boxes(box_key, lam, height, width)
    lam = mask.mean(axis=(1, 2))
    lam = lam[0] if lam_per == "batch" else lam
    return CutMixing(mask, lam, sample_partners(partner_key, batch))


def apply_cutmix(draw: CutMixing, images: PyTree) -> PyTree:
    """Pastes the partners' rectangles into each image, [B, H, W, ...] of any dtype.

    Masks of class ids go the same way as their images: nothing is averaged.
    """
    return jax.tree.map(lambda leaf: _paste(draw, jnp.asarray(leaf)), images)


def cutmix(
    key: Key,
    images: Shaped[Array, "B ..."],
    targets: PyTree,
    *,
    alpha: ArrayLike,
    lam_per: str = "batch",
) -> tuple[Shaped[Array, "B H W ..."], PyTree]:
    """Returns the images with a rectangle of their partners, and the mixed targets.

    Args:
      key: Consumed here.
      images: [B, H, W, ...] of any dtype.
      targets: Pytree of floating-point arrays [B, ...], such as one-hot labels.
      alpha: See `draw_cutmix`.
      lam_per: See `draw_cutmix`.

    Raises:
      ValueError: If an option is out of range, images have no height and width, or
        targets are integers.
    """
    if images.ndim < 3:
        raise ValueError(
            f"CutMix cuts images, [B, H, W, ...], but got shape {images.shape}; for "
            "features there is mixup"
        )
    batch, height, width = images.shape[:3]
    shape = (batch, height, width)
    draw = draw_cutmix(key, shape, alpha=alpha, lam_per=lam_per)
    return apply_cutmix(draw, images), apply_mixing(draw.targets, targets)


def switch(
    key: Key, probability: ArrayLike, draw: CutMixing, lam: Float[Array, "*b"]
) -> CutMixing:
    """Returns the CutMix draw with this probability, else mixup in the same form.

    Args:
      key: Consumed here.
      probability: Of CutMix, for the whole batch.
      draw: From `draw_cutmix`; its partners serve both.
      lam: Of mixup, [] or [B]; apply the result with `apply_switched`.
    """
    check("probability", "in [0, 1]", probability, lambda p: (p >= 0) & (p <= 1))
    use = jax.random.bernoulli(key, probability)
    shape = jnp.broadcast_shapes(lam.shape, draw.lam.shape)
    return CutMixing(
        jnp.where(use, draw.mask, lam.reshape(-1, 1, 1)),
        jnp.where(use, jnp.broadcast_to(draw.lam, shape), jnp.broadcast_to(lam, shape)),
        draw.partner,
    )


def apply_switched(
    draw: CutMixing, images: Float[Array, "B H W ..."]
) -> Float[Array, "B H W ..."]:
    """Mixes images pixel by pixel: what mixup and CutMix have in common."""
    return blend(images, images[draw.partner], draw.mask)


def _interval(key: Key, side: Float[Array, " b"], size: int) -> Bool[Array, "b size"]:
    # Whole pixels to both sides of the middle, as the authors' code cuts them.
    half = jnp.floor(size * side).astype(jnp.int32) // 2
    middle = jax.random.randint(key, side.shape, 0, size)
    place = jnp.arange(size)[None]
    low, high = (middle - half)[:, None], (middle + half)[:, None]
    return (place >= low) & (place < high)


def _paste(draw: CutMixing, images: Array) -> Array:
    mask = draw.mask.reshape(draw.mask.shape + (1,) * (images.ndim - 3))
    return jnp.where(mask > 0, images, images[draw.partner])
