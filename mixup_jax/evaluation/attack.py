"""What attacks share: the region they search, the way uphill, the worst point so far.

Computed in at least float32 whatever the model's precision: eps = 4/255 is eight times
the rounding error of a bfloat16 near 1.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float, Int, Shaped

from mixup_jax.evaluation.classification import top_k_wrong
from mixup_jax.evaluation.predict import (
    AnyArray,
    Predict,
    check_labels,
    count_classes,
    wide_dtype,
    widen,
)
from mixup_jax.randomness import example_keys
from mixup_jax.types import Key, PyTree
from mixup_jax.vicinity.checks import check, traced

# Logits and whatever else, labels first, to one number per example: what is maximised.
Objective = Callable[..., Any]
# (inputs, labels, their places in the data set) to adversarial inputs.
Attack = Callable[[Any, Any, Any], Any]


class Region(NamedTuple):
    """The points within epsilon of each example and in the data's range."""

    centre: Float[Array, "B ..."]
    lower: Float[Array, "B ..."]
    upper: Float[Array, "B ..."]
    radius: Float[Array, "..."]


class Value(NamedTuple):
    """An objective at a point of each example, and its gradient there."""

    loss: Float[Array, " B"]
    wrong: Bool[Array, " B"]
    slope: Float[Array, "B ..."]


class Found(NamedTuple):
    """The worst point of each example so far: wrong ones first, then by loss."""

    points: Float[Array, "B ..."]
    loss: Float[Array, " B"]
    wrong: Bool[Array, " B"]


def check_counts(**counts: int) -> None:
    """Raises ValueError for a number of steps, restarts or the like below 1."""
    for name, count in counts.items():
        if count < 1:
            raise ValueError(f"{name} must be at least 1, got {count}")


def begin(
    predict: Predict,
    inputs: Shaped[AnyArray, "B ..."],
    labels: Int[AnyArray, " B"],
    *,
    epsilon: ArrayLike,
    low: ArrayLike,
    high: ArrayLike,
) -> tuple[Region, tuple[Int[Array, " B"]]]:
    """Checks what an attack is given; returns where to look, and the labels."""
    area = region(inputs, epsilon=epsilon, low=low, high=high)
    check_labels(labels, count_classes(predict, inputs), len(inputs))
    return area, (jnp.asarray(labels),)


def region(
    inputs: Shaped[AnyArray, "B ..."],
    *,
    epsilon: ArrayLike,
    low: ArrayLike,
    high: ArrayLike,
) -> Region:
    """Returns where an L-inf attack may look.

    Args:
      inputs: Unperturbed.
      epsilon: Greatest change of any coordinate, in the units of the inputs; a number,
        or an array for their last axes, such as [C].
      low: Least value of an input, likewise; minus infinity for none.
      high: Greatest value.

    Raises:
      ValueError: If epsilon is negative or not finite, low is not below high, or the
        inputs are not floating-point or lie outside low .. high.
    """
    check(
        "epsilon", "finite and at least 0", epsilon, lambda e: (e >= 0) & (e < np.inf)
    )
    if not traced(low, high) and not np.all(np.asarray(low) < np.asarray(high)):
        raise ValueError(f"low must be below high, got {low} and {high}")
    centre = jnp.asarray(inputs, wide_dtype(inputs))
    radius, low, high = (fit(value, centre) for value in (epsilon, low, high))
    _check_inside(centre, low, high)
    lower, upper = centre - radius, centre + radius
    return Region(centre, jnp.maximum(lower, low), jnp.minimum(upper, high), radius)


def fit(value: ArrayLike, inputs: Array) -> Float[Array, "..."]:
    """Gives an array for the inputs' last axes the inputs' rank; a number stays one."""
    value = jnp.asarray(value, inputs.dtype)
    missing = inputs.ndim - value.ndim
    if value.ndim and jnp.broadcast_shapes(value.shape, inputs.shape) != inputs.shape:
        raise ValueError(f"shape {value.shape} does not fit the inputs' {inputs.shape}")
    return value.reshape((1,) * missing + value.shape) if value.ndim else value


def project(area: Region, points: Float[Array, "B ..."]) -> Float[Array, "B ..."]:
    """Returns the nearest points of the region, coordinate by coordinate."""
    return jnp.clip(points, area.lower, area.upper)


def keys_of(
    key: Key, labels: Int[AnyArray, " B"], indices: Int[AnyArray, " B"] | None
) -> Shaped[Array, " B *key"]:
    """Returns a key for each example, by its place in the data set if that is given."""
    places = np.arange(len(labels)) if indices is None else indices
    return jax.jit(example_keys)(key, jnp.asarray(places))


@jax.jit
def random_points(
    keys: Shaped[Array, " B *key"], area: Region
) -> Float[Array, "B ..."]:
    """Draws uniformly within epsilon, each example by its own key, and projects."""

    def draw(key, centre):
        return jax.random.uniform(key, centre.shape, centre.dtype, -1.0, 1.0)

    shift = jax.vmap(draw)(keys, area.centre)
    return project(area, area.centre + area.radius * shift)


@partial(jax.jit, static_argnames=("predict", "objective"))
def evaluate(
    predict: Predict, objective: Objective, points: Float[Array, "B ..."], goal: tuple
) -> Value:
    """Returns the objective at the points; `goal` is what follows the logits in it."""

    def total(points):
        logits = widen(predict(points))
        losses = objective(logits, *goal)
        return losses.sum(), (losses, top_k_wrong(logits, goal[0], 1))

    slope, (losses, wrong) = jax.grad(total, has_aux=True)(points)
    return Value(losses, wrong, slope)


def unperturbed(
    predict: Predict, objective: Objective, area: Region, goal: tuple
) -> Found:
    """Returns the examples themselves as the worst points so far."""
    value = evaluate(predict, objective, area.centre, goal)
    return Found(area.centre, value.loss, value.wrong)


def uphill(slope: Float[Array, "B ..."]) -> Float[Array, "B ..."]:
    """Returns the signs of a gradient; 0 where it is not a number."""
    return jnp.where(jnp.isfinite(slope), jnp.sign(slope), 0.0)


@jax.jit
def keep_worst(found: Found, points: Float[Array, "B ..."], value: Value) -> Found:
    """Returns the worse of two points: the wrong one, or that with more loss."""
    more = (value.wrong == found.wrong) & (value.loss > found.loss)
    worse = (value.wrong & ~found.wrong) | more
    return select(worse, Found(points, value.loss, value.wrong), found)


def select(chosen: Bool[Array, " B"], new: PyTree, old: PyTree) -> PyTree:
    """Returns the rows of `new` where chosen, else those of `old`."""
    return jax.tree.map(lambda n, o: jnp.where(rows(chosen, n), n, o), new, old)


def rows(values: Shaped[Array, " B"], like: Array) -> Shaped[Array, "B ..."]:
    """Gives one number per example the rank of an array [B, ...]."""
    return values.reshape(values.shape + (1,) * (like.ndim - 1))


def iterate(
    step: Callable[[Any, Any], Any],
    state: Any,
    inputs: PyTree,
    *,
    scan: bool,
    done: Callable[[Any], Array] | None = None,
) -> Any:
    """Applies a step for every leading index of `inputs`.

    By default Python drives and the step is what is compiled: XLA's CPU backend runs
    the gradients of convolutions some 25 times slower inside a compiled loop.

    Args:
      step: (state, one of the inputs) to state; compiled by the caller.
      state: To start from.
      inputs: Pytree of arrays [steps, ...].
      scan: Compile the loop as a whole; for accelerators, and for use under jit, where
        a loop driven by Python is unrolled.
      done: Whether further steps would change nothing; asked every now and then.
    """
    if scan:
        return lax.scan(lambda s, x: (step(s, x), None), state, inputs)[0]
    for index in range(len(jax.tree.leaves(inputs)[0])):
        state = step(state, jax.tree.map(lambda leaf, i=index: leaf[i], inputs))
        # Asking waits for the device.
        if done is not None and index % 50 == 49:
            finished = done(state)
            if not traced(finished) and bool(finished):
                break
    return state


def _check_inside(inputs: Array, low: Array, high: Array) -> None:
    if traced(inputs, low, high) or inputs.size == 0:
        return
    if not bool(_inside(inputs, low, high)):
        raise ValueError(
            f"the inputs reach from {float(inputs.min()):.4g} to "
            f"{float(inputs.max()):.4g}, outside of low .. high = {low} .. {high}; "
            "give epsilon, low and high in the units of the inputs (for normalised "
            "images see normalised_limits)"
        )


@jax.jit
def _inside(inputs: Array, low: Array, high: Array) -> Bool[Array, ""]:
    # The range's ends and the inputs may have been normalised by different roundings.
    width = high - low
    slack = jnp.where(jnp.isfinite(width), 1e-5 * width, 0.0)
    return jnp.all((inputs >= low - slack) & (inputs <= high + slack))
