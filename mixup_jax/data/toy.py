"""Toys in the plane: the two rings of figure 1b, the Gaussians of figure 5.

The rings are a data set of fixed size. The Gaussians are drawn anew at every step of a
generative adversarial network, so they are functions of a key.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float32, Int32

from mixup_jax.data.dataset import Dataset, Split
from mixup_jax.types import Key

# Both read off the figure, in units of the outer radius; the paper gives no numbers.
INNER_RADIUS = 0.3
NOISE = 0.05

# The Gaussians' centres, and the std of each coordinate about them.
_EIGHTHS = 2 * np.pi * np.arange(8) / 8
RING = np.stack([np.sin(_EIGHTHS), np.cos(_EIGHTHS)], axis=1).astype(np.float32)
GRID = np.array([(i / 2, j / 2) for i in range(-2, 3) for j in range(-2, 3)], "float32")
SPREAD = 0.01


def sample_rings(seed: int, n: int) -> Split:
    """Draws points around two circles about the origin.

    Args:
      seed: Of numpy's legacy generator, whose stream never changes.
      n: Number of points; half of them, the odd one included, are of class 0.

    Returns:
      float32 points [N, 2] and labels in random order: class 0 around radius 1, class
      1 around radius 0.3, angles uniform, plus Gaussian noise of std 0.05 on each
      coordinate.

    Source: figure 1b of Zhang et al. (2018), arXiv:1710.09412, measured.
    """
    rng = np.random.RandomState(seed)
    labels = rng.permutation(np.arange(n) % 2)
    angle = rng.uniform(0, 2 * np.pi, n)
    radius = np.where(labels == 0, 1.0, INNER_RADIUS)
    points = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    points += rng.normal(0, NOISE, (n, 2))
    return Split(points.astype(np.float32), labels.astype(np.int32))


def load() -> Dataset:
    """Returns 1,000 training and 1,000 test points, the same on every call."""
    return Dataset(
        name="two_rings",
        title="two rings, 1,000 + 1,000 synthetic points",
        train=sample_rings(0, 1000),
        test=sample_rings(1, 1000),
        num_classes=2,
        # Centred and of unit scale by construction, so that plots and networks share
        # one system of coordinates.
        mean=(0.0, 0.0),
        std=(1.0, 1.0),
    )


def sample_ring(
    key: Key, count: int
) -> tuple[Float32[Array, "N 2"], Int32[Array, " N"]]:
    """Draws from eight narrow Gaussians on the unit circle.

    Args:
      key: Consumed here.
      count: Number of points, known when tracing.

    Returns:
      Points, and which Gaussian each is of: 0 to 7, uniform. Component k has its centre
      at (sin 2 pi k / 8, cos 2 pi k / 8) and std .01 in each coordinate.

    Raises:
      ValueError: If count is negative.

    Source: figure 5; numbers of hongyi-zhang/mixup, gan/example_gan.py.
    """
    return _sample_gaussians(key, count, RING)


def sample_grid(
    key: Key, count: int
) -> tuple[Float32[Array, "N 2"], Int32[Array, " N"]]:
    """Draws from 25 narrow Gaussians on a square grid.

    As `sample_ring`, but component 5 (i + 2) + j + 2 has its centre at (i / 2, j / 2),
    with i and j from -2 to 2.
    """
    return _sample_gaussians(key, count, GRID)


def _sample_gaussians(
    key: Key, count: int, centres: np.ndarray
) -> tuple[Float32[Array, "N 2"], Int32[Array, " N"]]:
    if count < 0:
        raise ValueError(f"the number of points must be at least 0, got {count}")
    component_key, noise_key = jax.random.split(key)
    component = jax.random.randint(component_key, (count,), 0, len(centres), jnp.int32)
    noise = jax.random.normal(noise_key, (count, 2), jnp.float32)
    return jnp.asarray(centres)[component] + SPREAD * noise, component
