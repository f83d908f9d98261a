"""Crops, flips and normalisation of a batch, as pure functions on the device.

The order is the reference implementation's: pad with black, crop, flip, scale to
[0, 1], normalise. All but the last two work on bytes, so padding is black and not the
mean colour.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float32, Int, Shaped

from mixup_jax.errors import UsageError
from mixup_jax.types import Key


def augment(
    keys: Shaped[Array, " B *key"],
    images: Shaped[Array, " B *dims"],
    *,
    pad: int,
    flip: bool,
) -> Shaped[Array, " B *dims"]:
    """Crops each image at random out of its padded self, and mirrors half of them.

    Args:
      keys: One per example, which alone decides that example's draw: the same key gives
        the same picture in any batch and on any device.
      images: [B, H, W, C] of any dtype, not yet normalised.
      pad: Pixels of black (zero) added on every side before the crop back to H x W;
        the crop's corner is uniform over 0 to 2 * pad in each direction.
      flip: Whether to mirror left to right with probability 1/2.

    Returns:
      Images of the same shape and dtype. With pad 0 and no flip, the inputs themselves,
      which may then be features of any shape.

    Raises:
      UsageError: If pad is negative, or the inputs are not images.

    Source: facebookresearch/mixup-cifar10 (pad 4 and flip, for 32 x 32 images).
    """
    if pad < 0:
        raise UsageError(f"pad must be at least 0 pixels, got {pad}")
    if pad == 0 and not flip:
        return images
    if images.ndim != 4:
        raise UsageError(
            f"only images [B, H, W, C] can be cropped or flipped, got {images.shape}; "
            "set pad to 0 and flip to False"
        )
    batch, height, width, _ = images.shape
    shift, mirrored = jax.vmap(lambda key: _draw(key, pad))(keys)
    columns = jnp.broadcast_to(jnp.arange(width), (batch, width))
    if flip:
        columns = jnp.where(mirrored[:, None], columns[:, ::-1], columns)
    rows = jnp.arange(height)[None] + shift[:, :1]
    return _gather(images, rows, columns + shift[:, 1:])


def normalise(
    inputs: Shaped[Array, "*dims C"], mean: tuple[float, ...], std: tuple[float, ...]
) -> Float32[Array, "*dims C"]:
    """Subtracts each channel's mean and divides by its std.

    Args:
      inputs: uint8 images, first scaled to [0, 1], or floating-point features, taken
        in their own units.
      mean: C numbers, in the units just said.
      std: C numbers, likewise.

    Raises:
      UsageError: If mean or std has not one number per channel (last axis).
    """
    channels = inputs.shape[-1]
    if len(mean) != channels or len(std) != channels:
        raise UsageError(
            f"{channels} channels need as many numbers in mean and std, got "
            f"{len(mean)} and {len(std)}"
        )
    scale = 255 if inputs.dtype == jnp.uint8 else 1
    shape = (1,) * (inputs.ndim - 1) + (channels,)
    centre, spread = (jnp.array(s, jnp.float32).reshape(shape) for s in (mean, std))
    return (inputs.astype(jnp.float32) / scale - centre) / spread


def _draw(key: Key, pad: int) -> tuple[Int[Array, "2"], Bool[Array, ""]]:
    # Both are always drawn, so that crops are the same with flips and without.
    crop_key, flip_key = jax.random.split(key)
    shift = jax.random.randint(crop_key, (2,), -pad, pad + 1)
    return shift, jax.random.bernoulli(flip_key)


def _gather(
    images: Shaped[Array, "B H W C"],
    rows: Int[Array, "B H"],
    columns: Int[Array, "B W"],
) -> Shaped[Array, "B H W C"]:
    batch, height, width, _ = images.shape
    inside = ((rows >= 0) & (rows < height))[:, :, None]
    inside = inside & ((columns >= 0) & (columns < width))[:, None, :]
    pixels = images[
        jnp.arange(batch)[:, None, None],
        jnp.clip(rows, 0, height - 1)[:, :, None],
        jnp.clip(columns, 0, width - 1)[:, None, :],
    ]
    return jnp.where(inside[..., None], pixels, jnp.zeros((), images.dtype))
