"""Adversarial examples: the paper's FGSM and I-FGSM, and beyond it PGD (L-inf).

Epsilon, low and high are in the units of the inputs. The paper's epsilon of 4 of 255
grey values is 4/255 for inputs in [0, 1]; `normalised_limits` says what it is after a
normalisation.
"""

from collections.abc import Sequence
from functools import partial

import jax
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int, Shaped

from mixup_jax.evaluation.attack import (
    Found,
    Objective,
    Region,
    begin,
    check_counts,
    evaluate,
    fit,
    iterate,
    keep_worst,
    keys_of,
    project,
    random_points,
    unperturbed,
    uphill,
)
from mixup_jax.evaluation.objectives import cross_entropy
from mixup_jax.evaluation.predict import AnyArray, Predict
from mixup_jax.types import Key
from mixup_jax.vicinity.checks import check


def fgsm(
    predict: Predict,
    inputs: Shaped[AnyArray, "B ..."],
    labels: Int[AnyArray, " B"],
    *,
    epsilon: ArrayLike,
    low: ArrayLike,
    high: ArrayLike,
    loss: Objective = cross_entropy,
) -> Float[Array, "B ..."]:
    """Fast gradient sign method: clip(x + epsilon sign(gradient of the loss)).

    Args, Returns, Raises: As `ifgsm`.

    Source: Goodfellow et al. (2015), arXiv:1412.6572; paper, section 3.5.
    """
    return ifgsm(
        predict,
        inputs,
        labels,
        epsilon=epsilon,
        low=low,
        high=high,
        steps=1,
        loss=loss,
    )


def ifgsm(
    predict: Predict,
    inputs: Shaped[AnyArray, "B ..."],
    labels: Int[AnyArray, " B"],
    *,
    epsilon: ArrayLike,
    low: ArrayLike,
    high: ArrayLike,
    steps: int = 10,
    loss: Objective = cross_entropy,
) -> Float[Array, "B ..."]:
    """Iterated FGSM: equal steps of epsilon / steps, clipped after each.

    Args:
      predict: From inputs to logits; of the attacked network (white box), or of another
        one whose examples are then tried on it (black box); see `robustness.transfer`.
      inputs: Unperturbed, floating-point.
      labels: The true ones. With the predicted ones in their place, examples do not
        leak the label (Kurakin et al., 2017, arXiv:1611.01236).
      epsilon: Greatest change of any coordinate; a number, or an array for the inputs'
        last axes, such as [C].
      low: Least value of an input, a number or an array likewise.
      high: Greatest value.
      steps: 10 in the paper; 1 is `fgsm`.
      loss: What is increased, of logits and labels.

    Returns:
      The last points, in at least float32; not those with the greatest loss.

    Raises:
      ValueError: If steps is below 1, or for what `region` and `check_labels` refuse.

    Source: Kurakin et al. (2017), arXiv:1607.02533; paper, section 3.5 (table 3). The
    paper says neither the scale of epsilon nor whose labels; these are the likely ones.
    """
    check_counts(steps=steps)
    area, goal = begin(predict, inputs, labels, epsilon=epsilon, low=low, high=high)
    points = area.centre
    for _ in range(steps):
        points = _move(predict, loss, area, goal, points, area.radius / steps)
    return points


def pgd(
    key: Key,
    predict: Predict,
    inputs: Shaped[AnyArray, "B ..."],
    labels: Int[AnyArray, " B"],
    *,
    epsilon: ArrayLike,
    low: ArrayLike,
    high: ArrayLike,
    steps: int = 40,
    step_size: ArrayLike | None = None,
    restarts: int = 1,
    loss: Objective = cross_entropy,
    indices: Int[AnyArray, " B"] | None = None,
    scan: bool = False,
) -> Float[Array, "B ..."]:
    """Projected gradient ascent from random points; not in the paper.

    Args:
      key: Consumed here.
      predict, inputs, labels, epsilon, low, high, loss: As `ifgsm`.
      steps: From each starting point.
      step_size: Change of every coordinate by a step, in the units of epsilon; by
        default 2.5 epsilon / steps, which reaches everything from anywhere.
      restarts: Starting points, uniform within epsilon and clipped.
      indices: Places of the examples in the data set, which with the key decide the
        draws, so that batches change nothing; 0 .. B-1 by default.
      scan: Compile the loop as a whole; see `attack.iterate`.

    Returns:
      The worst point met by each example, the unperturbed one included: one that is
      predicted wrong if there is any, and of those the one with the greatest loss.

    Raises:
      ValueError: As `ifgsm`, or if restarts is below 1.

    Source: Madry et al. (2018), arXiv:1706.06083.
    """
    check_counts(steps=steps, restarts=restarts)
    area, goal = begin(predict, inputs, labels, epsilon=epsilon, low=low, high=high)
    if step_size is None:
        size = 2.5 * area.radius / steps
    else:
        check(
            "step_size",
            "finite and above 0",
            step_size,
            lambda s: (s > 0) & (s < np.inf),
        )
        size = fit(step_size, area.centre)
    step = partial(_pgd_step, predict, loss, area, goal, size)
    found = unperturbed(predict, loss, area, goal)
    for restart in range(restarts):
        keys = keys_of(jax.random.fold_in(key, restart), labels, indices)
        points = random_points(keys, area)
        value = evaluate(predict, loss, points, goal)
        state = points, value.slope, keep_worst(found, points, value)
        found = iterate(step, state, np.arange(steps), scan=scan)[2]
    return found.points


def normalised_limits(
    mean: Sequence[float],
    std: Sequence[float],
    *,
    epsilon: float,
    low: float = 0.0,
    high: float = 1.0,
) -> dict[str, np.ndarray]:
    """Returns epsilon, low and high for inputs (x - mean) / std, one per channel.

    Args:
      mean: Of each channel (last axis), in the units of x.
      std: Likewise, above 0.
      epsilon: In the units of x, such as 4/255.
      low: Least x.
      high: Greatest x.

    Returns:
      Keyword arguments of the attacks: `fgsm(predict, x, y, **limits)`.

    Raises:
      ValueError: If there are not as many stds as means, or one is not above 0.
    """
    centre, spread = (np.asarray(values, np.float32) for values in (mean, std))
    if centre.shape != spread.shape or not (spread > 0).all():
        raise ValueError(
            f"mean and std must be one number per channel, std above 0, got {mean} and "
            f"{std}"
        )
    return {
        "epsilon": np.float32(epsilon) / spread,
        "low": (np.float32(low) - centre) / spread,
        "high": (np.float32(high) - centre) / spread,
    }


@partial(jax.jit, static_argnames=("predict", "loss"))
def _move(
    predict: Predict,
    loss: Objective,
    area: Region,
    goal: tuple,
    points: Float[Array, "B ..."],
    size: Float[Array, "..."],
) -> Float[Array, "B ..."]:
    slope = evaluate(predict, loss, points, goal).slope
    return project(area, points + size * uphill(slope))


@partial(jax.jit, static_argnames=("predict", "loss"))
def _pgd_step(
    predict: Predict,
    loss: Objective,
    area: Region,
    goal: tuple,
    size: Float[Array, "..."],
    state: tuple[Array, Array, Found],
    _: Array,
) -> tuple[Array, Array, Found]:
    points, slope, found = state
    points = project(area, points + size * uphill(slope))
    value = evaluate(predict, loss, points, goal)
    return points, value.slope, keep_worst(found, points, value)
