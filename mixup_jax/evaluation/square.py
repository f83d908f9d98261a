"""Square attack: random search with square patches, no gradients (L-inf, images).

It looks at logits only, so what it breaks beyond the gradient attacks shows that
gradients were hidden from those.

Source: Andriushchenko et al. (2020), arXiv:1912.00049, algorithms 1 and 2.
"""

import math
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float, Int, Shaped

from mixup_jax.evaluation.attack import (
    Region,
    begin,
    check_counts,
    iterate,
    keys_of,
    project,
    select,
)
from mixup_jax.evaluation.classification import top_k_wrong
from mixup_jax.evaluation.objectives import margin
from mixup_jax.evaluation.predict import AnyArray, Predict, logits_of
from mixup_jax.types import Key

# Iterations, of 10,000, after which the share of the image in a patch is halved. The
# authors' program has 500 beside the paper's.
HALVINGS = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)


class _Search(NamedTuple):
    """The best point of each example; those predicted wrong stay as they are."""

    points: Float[Array, "B H W C"]
    margin: Float[Array, " B"]
    wrong: Bool[Array, " B"]


def square(
    key: Key,
    predict: Predict,
    inputs: Shaped[AnyArray, "B ..."],
    labels: Int[AnyArray, " B"],
    *,
    epsilon: ArrayLike,
    low: ArrayLike,
    high: ArrayLike,
    queries: int = 5000,
    share: float = 0.8,
    indices: Int[AnyArray, " B"] | None = None,
    scan: bool = False,
) -> Float[Array, "B ..."]:
    """Changes random squares to -epsilon or +epsilon, as long as the margin shrinks.

    Args:
      key: Consumed here.
      predict, labels, epsilon, low, high: As `adversarial.ifgsm`.
      inputs: Unperturbed images, [B, H, W, C].
      queries: Predictions of each example, that of the first stripes included.
      share: Of the image that the first patches cover; .8 in AutoAttack, .05 in the
        paper.
      indices, scan: As `adversarial.pgd`.

    Returns:
      The last points; of examples that are predicted wrong anyway, the inputs.

    Raises:
      ValueError: As `adversarial.ifgsm`, or if the inputs are not images, queries is
        below 1, or share is not in (0, 1].

    Source: Andriushchenko et al. (2020), algorithms 1 and 2.
    """
    if inputs.ndim != 4:
        raise ValueError(
            f"squares need images [B, H, W, C], got {inputs.shape}; reshape in predict"
        )
    if not 0 < share <= 1:
        raise ValueError(f"share must be in (0, 1], got {share}")
    check_counts(queries=queries)
    area, (labels,) = begin(
        predict, inputs, labels, epsilon=epsilon, low=low, high=high
    )
    keys = keys_of(key, labels, indices)
    schedule = np.arange(queries), sides(inputs.shape[1:3], queries, share)
    start = _look(predict, area.centre, labels)
    # The search goes on from the stripes whatever they give.
    first = _look(predict, _stripes(_at_query(keys, 0), area), labels)
    first = select(start.wrong, start, first)
    step = partial(_step, predict, area, labels, keys)
    later = jax.tree.map(lambda values: values[1:], schedule)
    return iterate(step, first, later, scan=scan, done=_all_wrong).points


def sides(image: tuple[int, ...], queries: int, share: float) -> Int[np.ndarray, " Q"]:
    """Returns the side of the patch at each query, in pixels.

    Args:
      image: Height and width.
      queries: The schedule of 10,000 is stretched or shrunk to as many; AutoAttack's
        is cut off.
      share: Of the image in the first patches.
    """
    place = np.arange(queries) * 10_000 // queries
    halvings = (place[:, None] > np.array(HALVINGS)[None]).sum(axis=1)
    side = np.sqrt(share / 2.0**halvings * math.prod(image)).round()
    return side.clip(1, min(image)).astype(np.int32)


@partial(jax.jit, static_argnames="predict")
def _step(
    predict: Predict,
    area: Region,
    labels: Int[Array, " B"],
    keys: Shaped[Array, " B *key"],
    search: _Search,
    when: tuple[Array, Array],
) -> _Search:
    number, side = when
    shape = search.points.shape[1:]
    draw = jax.vmap(partial(_patch, shape), (0, None))
    inside, signs = draw(_at_query(keys, number), side)
    changed = project(area, area.centre + signs * area.radius)
    new = _look(predict, jnp.where(inside, changed, search.points), labels)
    better = (new.margin > search.margin) | new.wrong
    return select(better & ~search.wrong, new, search)


def _at_query(
    keys: Shaped[Array, " B *key"], number: int | Int[Array, ""]
) -> Shaped[Array, " B *key"]:
    return jax.vmap(jax.random.fold_in, in_axes=(0, None))(keys, number)


@jax.jit
def _stripes(keys: Shaped[Array, " B *key"], area: Region) -> Float[Array, "B H W C"]:
    """Returns an end of the region, the same along each column of a channel."""
    width, channels = area.centre.shape[2:]
    signs = jax.vmap(lambda key: jax.random.rademacher(key, (1, width, channels)))(keys)
    return project(area, area.centre + signs * area.radius)


def _patch(
    shape: tuple[int, ...], key: Key, side: Int[Array, ""]
) -> tuple[Bool[Array, "H W 1"], Int[Array, "1 1 C"]]:
    """Draws where a patch lies, and its sign in each channel."""
    height, width, channels = shape
    row_key, column_key, sign_key = jax.random.split(key, 3)
    # Up to the last row and column, as in the paper; its program stops one short.
    row = jax.random.randint(row_key, (), 0, height - side + 1)
    column = jax.random.randint(column_key, (), 0, width - side + 1)
    rows, columns = jnp.arange(height), jnp.arange(width)
    rows = (rows >= row) & (rows < row + side)
    columns = (columns >= column) & (columns < column + side)
    inside = rows[:, None, None] & columns[None, :, None]
    return inside, jax.random.rademacher(sign_key, (1, 1, channels))


@partial(jax.jit, static_argnames="predict")
def _look(
    predict: Predict, points: Float[Array, "B H W C"], labels: Int[Array, " B"]
) -> _Search:
    logits = logits_of(predict, points)
    return _Search(points, margin(logits, labels), top_k_wrong(logits, labels, 1))


def _all_wrong(search: _Search) -> Bool[Array, ""]:
    return search.wrong.all()
