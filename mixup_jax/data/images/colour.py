"""Colour jitter and lighting of photographs, as pure functions on the device.

The paper does not mention them; the code that its schedule comes from has them. Both
work on pixels scaled to [0, 1] and do not clip.
"""

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float32, Shaped

from mixup_jax.types import Key

# Else accelerators round colours to three digits.
_EXACT = lax.Precision.HIGHEST
# Of red, green and blue in grey (ITU-R BT.601).
_GREY = (0.299, 0.587, 0.114)
# Principal components of ImageNet's colours, of fb.resnet.torch: the rows belong to
# red, green and blue, the columns to the components.
_SCALES = (0.2175, 0.0188, 0.0045)
_COMPONENTS = (
    (-0.5675, 0.7192, 0.4009),
    (-0.5808, -0.0045, -0.8140),
    (-0.5836, -0.6948, 0.4203),
)


def colour_jitter(
    keys: Shaped[Array, " B *key"],
    images: Float32[Array, "B H W 3"],
    *,
    strength: float,
) -> Float32[Array, "B H W 3"]:
    """Changes brightness, contrast and saturation of each image at random.

    Args:
      keys: One per example.
      images: Pixels scaled to [0, 1].
      strength: Of each change: the factors are uniform in 1 - strength to 1 + strength.
        They blend with black, with the mean grey of the image, and with its grey
        version.

    Source: fb.resnet.torch, transforms.lua, ColorJitter, at 0.4. It applies the three
    in random order; they commute, so here is one.
    """

    def jitter(key: Key, image: Float32[Array, "H W 3"]) -> Float32[Array, "H W 3"]:
        low, high = 1 - strength, 1 + strength
        factors = jax.random.uniform(key, (3,), minval=low, maxval=high)
        brightness, contrast, saturation = factors
        grey = jnp.matmul(image, jnp.array(_GREY), precision=_EXACT)
        image = saturation * image + (1 - saturation) * grey[..., None]
        image = contrast * image + (1 - contrast) * grey.mean()
        return brightness * image

    return jax.vmap(jitter)(keys, images)


def lighting(
    keys: Shaped[Array, " B *key"], images: Float32[Array, "B H W 3"], *, sigma: float
) -> Float32[Array, "B H W 3"]:
    """Adds a random colour to all pixels of each image, along ImageNet's components.

    Args:
      keys: One per example.
      images: Pixels scaled to [0, 1].
      sigma: Standard deviation of the three shares.

    Source: fb.resnet.torch, transforms.lua, Lighting, at 0.1; Krizhevsky et al. (2012),
    section 4.1.
    """

    def colour(key: Key) -> Float32[Array, "3"]:
        shares = sigma * jax.random.normal(key, (3,))
        scaled = shares * jnp.array(_SCALES)
        return jnp.matmul(jnp.array(_COMPONENTS), scaled, precision=_EXACT)

    return images + jax.vmap(colour)(keys)[:, None, None]
