"""A random split into training and test examples, where none was published."""

import numpy as np
from jaxtyping import Int

from mixup_jax.errors import UsageError

TRAIN_SHARE = 2 / 3


def random_split(
    count: int, *, seed: int, train_share: float = TRAIN_SHARE
) -> tuple[Int[np.ndarray, " train"], Int[np.ndarray, " test"]]:
    """Splits the indices of examples by one plain permutation, whatever their classes.

    Args:
      count: Of the examples, at least two.
      seed: Of numpy's legacy generator, whose stream never changes; 0 to 2**32 - 1.
      train_share: Of the examples that go into the first part, between 0 and 1; at
        least one goes either way.

    Raises:
      UsageError: If the seed or the share is out of range, or there are too few.
    """
    if not 0 <= seed < 2**32:
        raise UsageError(f"split_seed must be from 0 to 2**32 - 1, got {seed}")
    if not 0 < train_share < 1:
        raise UsageError(f"train_share must be between 0 and 1, got {train_share}")
    if count < 2:
        raise UsageError(f"{count} example cannot be split into two parts")
    first = min(max(round(train_share * count), 1), count - 1)
    order = np.random.RandomState(seed).permutation(count)
    return order[:first], order[first:]
