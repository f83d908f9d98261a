"""One ascent of Auto-PGD: momentum, and steps that are halved at checkpoints."""

import math
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Shaped

from mixup_jax.evaluation.attack import (
    Found,
    Objective,
    Region,
    evaluate,
    iterate,
    keep_worst,
    project,
    random_points,
    rows,
    select,
    uphill,
)
from mixup_jax.evaluation.predict import Predict

# All of section 3: share of the step, against the last displacement; share of rising
# steps below which the step is too long; first step in units of epsilon.
MOMENTUM = 0.75
RHO = 0.75
FIRST_STEP = 2.0


class _Climb(NamedTuple):
    """Where the ascent of each example stands.

    Attributes:
      points: Where it is.
      before: Where it was a step earlier.
      slope: Gradient at points.
      loss: At points.
      top: The highest point so far, with its slope and loss.
      size: Step in units of epsilon.
      rises: Steps since the last checkpoint that raised the loss.
      halved: Whether the last checkpoint halved the step.
      passed: Highest loss at the last checkpoint.
      found: The worst point, also of earlier restarts.
    """

    points: Float[Array, "B ..."]
    before: Float[Array, "B ..."]
    slope: Float[Array, "B ..."]
    loss: Float[Array, " B"]
    top: tuple[Array, Array, Array]
    size: Float[Array, " B"]
    rises: Int[Array, " B"]
    halved: Bool[Array, " B"]
    passed: Float[Array, " B"]
    found: Found


def checkpoints(steps: int) -> list[int]:
    """Returns the steps after which APGD considers to halve its step.

    They are w_j = ceil(p_j steps) with p_0 = 0, p_1 = .22 and p_{j+1} =
    p_j + max(p_j - p_{j-1} - .03, .06), as far as p_j is at most 1. As in the authors'
    program, the w_j-th step is the last before the check; algorithm 1 takes one more.
    """
    # In hundredths, since .06 more is not exact in binary.
    shares, width = [22], 22
    while shares[-1] + (width := max(width - 3, 6)) <= 100:
        shares.append(shares[-1] + width)
    return sorted({math.ceil(share * steps / 100) for share in shares})


def ascend(
    predict: Predict,
    loss: Objective,
    area: Region,
    goal: tuple,
    keys: Shaped[Array, " B *key"],
    found: Found,
    *,
    steps: int,
    scan: bool,
) -> Found:
    """One ascent from a random point of each example's region."""
    points = random_points(keys, area)
    value = evaluate(predict, loss, points, goal)
    ones = jnp.ones_like(value.loss)
    climb = _Climb(
        points=points,
        before=points,
        slope=value.slope,
        loss=value.loss,
        top=(points, value.slope, value.loss),
        size=FIRST_STEP * ones,
        rises=jnp.zeros(ones.shape, jnp.int32),
        halved=jnp.zeros(ones.shape, bool),
        passed=value.loss,
        found=keep_worst(found, points, value),
    )
    step = partial(_step, predict, loss, area, goal)
    return iterate(step, climb, _schedule(steps), scan=scan).found


def _schedule(steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns each step's share of the ascent and, at checkpoints, the steps since."""
    # The first step has no displacement before it.
    shares = np.full(steps, MOMENTUM, np.float32)
    shares[0] = 1.0
    since = np.zeros(steps, np.int32)
    places = checkpoints(steps)
    since[np.array(places) - 1] = np.diff([0, *places])
    return shares, since


@partial(jax.jit, static_argnames=("predict", "loss"))
def _step(
    predict: Predict,
    loss: Objective,
    area: Region,
    goal: tuple,
    climb: _Climb,
    when: tuple[Array, Array],
) -> _Climb:
    share, since = when
    points, before = climb.points, climb.before
    size = rows(climb.size, points) * area.radius
    ahead = project(area, points + size * uphill(climb.slope))
    moved = points + share * (ahead - points) + (1 - share) * (points - before)
    moved = project(area, moved)
    value = evaluate(predict, loss, moved, goal)
    climb = climb._replace(
        points=moved,
        before=points,
        slope=value.slope,
        loss=value.loss,
        top=select(
            value.loss > climb.top[2], (moved, value.slope, value.loss), climb.top
        ),
        rises=climb.rises + (value.loss > climb.loss),
        found=keep_worst(climb.found, moved, value),
    )
    return _checkpoint(climb, since)


def _checkpoint(climb: _Climb, since: Int[Array, ""]) -> _Climb:
    """Halves the step of those that rose too seldom or stand still, from their top."""
    here = jnp.full(climb.halved.shape, since > 0)
    seldom = climb.rises < RHO * since
    still = ~climb.halved & (climb.top[2] <= climb.passed)
    halve = here & (seldom | still)
    points, slope, loss = select(
        halve, climb.top, (climb.points, climb.slope, climb.loss)
    )
    return climb._replace(
        points=points,
        slope=slope,
        loss=loss,
        size=jnp.where(halve, climb.size / 2, climb.size),
        rises=jnp.where(here, 0, climb.rises),
        halved=jnp.where(here, halve, climb.halved),
        passed=jnp.where(here, climb.top[2], climb.passed),
    )
