"""Label noise: a share of the training labels replaced at random (paper, table 2)."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int

from mixup_jax.data.checks import check_classes, check_labels
from mixup_jax.errors import UsageError, unknown

# By which the new labels are drawn.
RULES = ("uniform", "other_class")


class Corruption(NamedTuple):
    """Labels to train on, which of them were drawn anew, and what they were before."""

    labels: Int[np.ndarray, " N"]
    mask: Bool[np.ndarray, " N"]
    true_labels: Int[np.ndarray, " N"]


def corrupt_labels(
    labels: Int[np.ndarray, " N"],
    share: float,
    num_classes: int,
    *,
    seed: int = 12345,
    rule: str = "uniform",
) -> Corruption:
    """Replaces each label, with probability `share`, by a class drawn at random.

    The same arguments give the same result anywhere: draw once, and use it for all
    epochs.

    Args:
      labels: Class indices; left as they are.
      share: Probability of a replacement, in [0, 1]; 0 replaces nothing.
      num_classes: K.
      seed: Of numpy's legacy generator.
      rule: "uniform", the reference: over all classes, the true one included, so of ten
        about 0.9 * share of the labels end up wrong. "other_class": over the others, so
        all that are replaced are wrong. Both replace the same examples.

    Returns:
      The labels in their dtype, the mask of replaced ones, and a copy of the true ones.

    Raises:
      UsageError: If labels are not class ids, share is outside [0, 1] or NaN, the seed
        is out of range, or the rule is unknown.

    Source: the authors' generator, which takes its rule and seed from Zhang et al.
    (2017), arXiv:1611.03530. There the mask is drawn first, then the classes of the
    masked examples in order. Of 50,000 labels it masks 10,092, 24,982 and 39,927 at
    shares .2, .5 and .8.
    """
    if not 0 <= share <= 1:
        raise UsageError(
            f"the share of corrupted labels must be in [0, 1], got {share}"
        )
    if rule not in RULES:
        raise unknown("rule of corruption", rule, RULES)
    if not 0 <= seed < 2**32:
        raise UsageError(f"seed must be from 0 to 2**32 - 1, got {seed}")
    labels = _class_ids(labels, num_classes)
    # The stream of RandomState is frozen by numpy's policy; default_rng's is not.
    rng = np.random.RandomState(seed)
    mask = (rng.rand(len(labels)) <= share) & (share > 0)
    corrupted = labels.copy()
    if rule == "uniform":
        corrupted[mask] = rng.choice(num_classes, mask.sum())
    else:
        away = 1 + rng.choice(num_classes - 1, mask.sum())
        corrupted[mask] = (labels[mask] + away) % num_classes
    return Corruption(corrupted, mask, labels.copy())


def _class_ids(labels: Int[np.ndarray, " N"], num_classes: int) -> np.ndarray:
    labels = np.asarray(labels)
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise UsageError(
            f"labels must be class ids [N], got {labels.dtype} {labels.shape}"
        )
    check_classes("labels to corrupt", num_classes)
    check_labels("labels to corrupt", labels, num_classes)
    return labels
