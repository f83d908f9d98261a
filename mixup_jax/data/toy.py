"""Two noisy rings in the plane, one inside the other (paper, figure 1b)."""

import numpy as np

from mixup_jax.data.dataset import Dataset, Split

# Both read off the figure, in units of the outer radius; the paper gives no numbers.
INNER_RADIUS = 0.3
NOISE = 0.05


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
