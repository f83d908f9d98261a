"""Who is mixed with whom, as an index into the batch for each of its examples.

Any int array of partners will do where one is asked for: fixed pairs need no function.
`neighbours` has those pairings whose partners come from the whole data set.
"""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int

from mixup_jax.types import Key
from mixup_jax.vicinity.checks import check


def sample_partners(key: Key, batch_size: int) -> Int[Array, " B"]:
    """Draws each example's partner: a random permutation, self-pairs included.

    Source: the reference implementation shuffles the minibatch (paper, section 2).
    """
    return jax.random.permutation(key, batch_size)


def sample_matching(key: Key, batch_size: int) -> Int[Array, " B"]:
    """Draws a perfect matching: everyone is their partner's partner, none their own.

    In a batch of odd size one random example is left and paired with itself.
    """
    order = jax.random.permutation(key, batch_size)
    paired = batch_size // 2 * 2
    swapped = order[:paired].reshape(-1, 2)[:, ::-1].reshape(-1)
    return order.at[order].set(jnp.concatenate([swapped, order[paired:]]))


def sample_class_partners(key: Key, labels: Int[Array, " B"]) -> Int[Array, " B"]:
    """Draws partners of the same class: a random permutation within each class.

    Args:
      key: Consumed here.
      labels: Class ids; any integers, and any number of classes. The only example of a
        class is its own partner.

    Raises:
      ValueError: If labels are one-hot.

    Source: paper, section 3.8, "same class" and "random pairs" (Table 5, SC + RP).
    """
    if labels.ndim != 1:
        raise ValueError(f"labels must be class ids [B], got shape {labels.shape}")
    shuffled = jax.random.permutation(key, len(labels))
    # Sorting by class keeps the order within a class: once that of the batch, once a
    # random one. The n-th of a class meets the n-th of the same class.
    own = jnp.argsort(labels, stable=True)
    other = shuffled[jnp.argsort(labels[shuffled], stable=True)]
    return jnp.zeros_like(own).at[own].set(other)


def sample_partners_by_distance(
    key: Key, targets: Float[Array, "B ..."], *, bandwidth: ArrayLike
) -> Int[Array, " B"]:
    """Draws partners with near targets, for regression (C-Mixup).

    Args:
      key: Consumed here.
      targets: What is predicted, numbers or vectors.
      bandwidth: Standard deviation of the Gaussian kernel, in units of the targets,
        above 0. Towards 0 everyone is their own partner; at infinity the partners are
        drawn uniformly (independently, not as a permutation).

    Returns:
      For example i, j with probability proportional to
      exp(-|targets_i - targets_j|^2 / (2 bandwidth^2)), i itself included.

    Raises:
      ValueError: If a concrete bandwidth is not above 0.

    Source: Yao et al. (2022), C-Mixup, section 3.2, arXiv:2210.05775.
    """
    check("bandwidth", "above 0", bandwidth, lambda width: width > 0)
    rows = targets.reshape(len(targets), -1).astype(jnp.float32)
    squares = jnp.sum((rows[:, None] - rows[None]) ** 2, axis=-1)
    logits = -squares / (2 * jnp.asarray(bandwidth, jnp.float32) ** 2)
    return jax.random.categorical(key, logits, axis=-1)
