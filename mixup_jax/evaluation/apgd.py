"""Auto-PGD: gradient ascent that chooses its own steps (L-inf).

Source: Croce and Hein (2020), arXiv:2003.01690.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int, Shaped

from mixup_jax.evaluation.ascent import ascend
from mixup_jax.evaluation.attack import (
    Objective,
    begin,
    check_counts,
    keys_of,
    unperturbed,
)
from mixup_jax.evaluation.objectives import cross_entropy, targeted_dlr
from mixup_jax.evaluation.predict import AnyArray, Predict, logits_of
from mixup_jax.types import Key


def apgd(
    key: Key,
    predict: Predict,
    inputs: Shaped[AnyArray, "B ..."],
    labels: Int[AnyArray, " B"],
    *,
    epsilon: ArrayLike,
    low: ArrayLike,
    high: ArrayLike,
    steps: int = 100,
    restarts: int = 1,
    loss: Objective = cross_entropy,
    indices: Int[AnyArray, " B"] | None = None,
    scan: bool = False,
) -> Float[Array, "B ..."]:
    """APGD-CE, or with `loss=dlr` APGD-DLR.

    Args:
      key: Consumed here.
      predict, inputs, labels, epsilon, low, high: As `adversarial.ifgsm`.
      steps: From each starting point.
      restarts: Starting points, uniform within epsilon and clipped.
      loss: What is increased; see `objectives`.
      indices, scan: As `adversarial.pgd`.

    Returns:
      The worst point met by each example, as `adversarial.pgd`.

    Raises:
      ValueError: As `adversarial.pgd`; `dlr` needs 3 classes.

    Source: Croce and Hein (2020), algorithm 1.
    """
    check_counts(steps=steps, restarts=restarts)
    area, goal = begin(predict, inputs, labels, epsilon=epsilon, low=low, high=high)
    found = unperturbed(predict, loss, area, goal)
    climb = partial(ascend, predict, loss, area, goal, steps=steps, scan=scan)
    for restart in range(restarts):
        keys = keys_of(jax.random.fold_in(key, restart), labels, indices)
        found = climb(keys, found)
    return found.points


def apgd_targeted(
    key: Key,
    predict: Predict,
    inputs: Shaped[AnyArray, "B ..."],
    labels: Int[AnyArray, " B"],
    *,
    epsilon: ArrayLike,
    low: ArrayLike,
    high: ArrayLike,
    steps: int = 100,
    targets: int = 9,
    indices: Int[AnyArray, " B"] | None = None,
    scan: bool = False,
) -> Float[Array, "B ..."]:
    """APGD-T: towards each of the likeliest other classes in turn.

    Args:
      key: Consumed here.
      predict, inputs, labels, epsilon, low, high: As `adversarial.ifgsm`.
      steps: Towards each target, from one random point.
      targets: How many classes, the likeliest first; at most K - 1 are tried.
      indices, scan: As `adversarial.pgd`.

    Returns:
      A point that is predicted wrong, or else one that came nearest to the last target.

    Raises:
      ValueError: As `apgd`, or with fewer than 4 classes.

    Source: Croce and Hein (2020), section 4 and equation (7).
    """
    check_counts(steps=steps, targets=targets)
    area, goal = begin(predict, inputs, labels, epsilon=epsilon, low=low, high=high)
    logits = logits_of(predict, area.centre)
    own = jnp.arange(logits.shape[-1])[None] == goal[0][:, None]
    # The label itself comes last.
    order = jnp.argsort(jnp.where(own, jnp.inf, -logits), axis=-1, stable=True)
    found = unperturbed(predict, targeted_dlr, area, (*goal, order[:, 0]))
    climb = partial(ascend, predict, targeted_dlr, area, steps=steps, scan=scan)
    for rank in range(min(targets, logits.shape[-1] - 1)):
        # Losses towards different targets do not compare.
        found = found._replace(loss=jnp.where(found.wrong, jnp.inf, -jnp.inf))
        keys = keys_of(jax.random.fold_in(key, rank), labels, indices)
        found = climb((*goal, order[:, rank]), keys, found)
    return found.points
