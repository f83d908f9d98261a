"""Exact nearest neighbours of every example, and the draw of a partner among them.

The search computes blocks of distances on the device and keeps the best of each row,
so it needs memory for the data and one block, never for all pairs.

Bytes: distances are integers, computed without rounding. Floats: the device names
candidates by a lower bound of each distance, the host ranks them in float64, and a row
whose candidates the bound cannot prove complete is ranked against everything.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import ArrayLike
from jaxtyping import Array, Float32, Int, Int32, Shaped, UInt8

from mixup_jax.randomness import example_keys
from mixup_jax.types import Key

# Distances are ranked as float32 of the same bits, for which XLA's CPU backend has a
# quick top_k (integers take 20 times as long). As integers, positive normal floats run
# from 2^23 to below 0x7f800000, and in the same order.
_NEAREST = 0x7F000000
_LARGEST_DISTANCE = _NEAREST - 2**23
_MARGIN = 32  # candidates beyond k; more of them prove more rows complete
# Bytes that rows are padded to whole ones of. A product of int8 on a GPU needs 4.
_WORD = 16
# Of squares, where the largest value is near 1: float32 ends at 1e-38.
_UNDERFLOW = 1e-30


class Neighbours(NamedTuple):
    """Who is near whom.

    Attributes:
      indices: The neighbours of each example, nearest first; where there are fewer
        than k, the example's own index fills the row.
      counts: How many of each row are neighbours, 0 to k.
    """

    indices: Int[Array | np.ndarray, "N k"]
    counts: Int[Array | np.ndarray, " N"]


def nearest_neighbours(
    points: Shaped[Array | np.ndarray, "N ..."],
    k: int,
    *,
    labels: ArrayLike | None = None,
    block: int = 1024,
) -> Neighbours:
    """Finds the k nearest other examples of each, by Euclidean distance.

    Not for use under jit: it loops over blocks and ranks floats on the host.

    Args:
      points: uint8, such as stored images, or float32, of any shape; compared as they
        are, so features of different units should be standardised first.
      k: From 1 to N - 1.
      labels: Integers [N]. Where given, only examples of the same class are
        neighbours, and the work is that of the classes one by one.
      block: Rows of distances computed at a time. Memory is in proportion to block * N;
        the result does not depend on it.

    Returns:
      int32 arrays of NumPy. Of equally near examples the lower index comes first; the
      example itself is never among them, copies of it are.

    Raises:
      ValueError: If k is not in 1 to N - 1, block is below 1, points are of another
        dtype, NaN or infinite, or too long for exact integers (over 32,638 bytes), or
        labels are not integers [N].

    Source: Zhang et al. (2018), section 3.8, which does not name the space; stored
    values are this project's choice.
    """
    points = np.asarray(points)
    _check(points, k, labels, block)
    points = np.ascontiguousarray(points.reshape(len(points), -1))
    indices = np.repeat(np.arange(len(points), dtype=np.int32)[:, None], k, axis=1)
    counts = np.zeros(len(points), np.int32)
    if labels is None:
        groups, size_of = [np.arange(len(points))], len
    else:
        labels = np.asarray(labels)
        groups = [np.flatnonzero(labels == label) for label in np.unique(labels)]
        size_of = _common_size
    search = _among_bytes if points.dtype == np.uint8 else _among_floats
    for members in groups:
        count = min(k, len(members) - 1)
        if count > 0:
            found = search(points[members], count, k, size_of(members), block)
            indices[members, :count] = members[found]
            counts[members] = count
    return Neighbours(indices, counts)


def sample_neighbours(
    key: Key, neighbours: Neighbours, indices: Int[Array, " B"]
) -> Int[Array, " B"]:
    """Draws one neighbour of each example, all with the same probability.

    Args:
      key: Consumed here.
      neighbours: Of the whole data set. Under jit pass it as an argument, lest its
        arrays become constants of the program.
      indices: Of the batch's examples in the data set.

    Returns:
      Their partners' indices in the data set. An example without neighbours is its
      own partner. A draw depends on the key and the example alone, wherever in a batch
      and on whichever device it stands.

    Source: Zhang et al. (2018), section 3.8 (k = 200).
    """
    counts = jnp.asarray(neighbours.counts)[indices]
    keys = example_keys(key, indices)
    slots = jax.vmap(lambda key, count: jax.random.randint(key, (), 0, count))(
        keys, jnp.maximum(counts, 1)
    )
    return jnp.asarray(neighbours.indices)[indices, slots]


def _check(points: np.ndarray, k: int, labels: ArrayLike | None, block: int) -> None:
    if points.ndim < 2 or points.size == 0:
        raise ValueError(f"points must be [N, ...] and not empty, got {points.shape}")
    if not 1 <= k < len(points):
        raise ValueError(
            f"k must be from 1 to {len(points) - 1} (there are {len(points)} examples, "
            f"and none is its own neighbour), got {k}"
        )
    if block < 1:
        raise ValueError(f"block must be at least 1, got {block}")
    if labels is not None and (
        np.shape(labels) != points.shape[:1]
        or np.asarray(labels).dtype.kind not in "iu"
    ):
        raise ValueError(
            f"labels must be integers [{len(points)}], got "
            f"{np.asarray(labels).dtype} {np.shape(labels)}"
        )
    if points.dtype == np.uint8:
        width = points[0].size
        if width * 255**2 > _LARGEST_DISTANCE:
            raise ValueError(
                f"{width:,} bytes an example are too many for exact integers (at most "
                f"{_LARGEST_DISTANCE // 255**2:,}); convert the points to float32"
            )
    elif points.dtype != np.float32:
        raise ValueError(f"points must be uint8 or float32, got {points.dtype}")
    elif not np.isfinite(points).all():
        raise ValueError("points hold NaN or infinity; leave those examples out")


def _common_size(members: np.ndarray) -> int:
    # Each size is compiled anew: eight to an octave, at most an eighth too large.
    step = max(8, 1 << max(0, (len(members) - 1).bit_length() - 4))
    return -(-len(members) // step) * step


def _padded(rows: np.ndarray, size: int) -> np.ndarray:
    return np.pad(rows, [(0, size - len(rows))] + [(0, 0)] * (rows.ndim - 1))


def _blocks(count: int, size: int, block: int):
    # The last block is shifted back instead of cut, for one shape to serve all.
    for start in range(0, count, block):
        yield min(start, size - block)


def _among_bytes(
    points: UInt8[np.ndarray, "M d"], count: int, k: int, size: int, block: int
) -> Int32[np.ndarray, "M k"]:
    # Centred, bytes fit int8, whose products XLA sums without rounding in int32, on a
    # CPU as quickly as it sums float32 or quicker.
    centred = (points ^ np.uint8(128)).view(np.int8)
    squares = np.einsum("nd,nd->n", centred, centred, dtype=np.int32)
    centred = np.pad(centred, [(0, 0), (0, -centred.shape[1] % _WORD)])
    centred, squares = jnp.asarray(_padded(centred, size)), _padded(squares, size)
    k, block = min(k, size), min(block, size)
    found = np.empty((size, k), np.int32)
    for start in _blocks(len(points), size, block):
        best = _best(centred, squares, start, len(points), k=k, block=block)[1]
        found[start : start + block] = best
    return found[: len(points), :count]


def _among_floats(
    points: Float32[np.ndarray, "M d"], count: int, k: int, size: int, block: int
) -> Int[np.ndarray, "M k"]:
    # Scaling by a power of two is exact, and no square overflows afterwards.
    points = np.ldexp(points, -np.frexp(np.abs(points).max())[1])
    centred = points - points.mean(axis=0, dtype=np.float64).astype(np.float32)
    # With u = 2^-24 a float32 |x|^2 + |y|^2 - 2xy is off by at most
    # (d + 6) u (|x| + |y|)^2, whatever the order of its sums and with the rounding of
    # the centring, so by less than 2 (d + 6) u (|x|^2 + |y|^2). Taking that off the
    # squares makes it a lower bound of the distance.
    slack = (points.shape[1] + 8) * np.finfo(np.float32).eps
    squares = np.einsum("nd,nd->n", centred, centred, dtype=np.float64) * (1 - slack)
    squares = _padded(squares.astype(np.float32), size)
    centred = jnp.asarray(_padded(centred, size))
    k, block = min(k + _MARGIN, size), min(block, size)
    found = np.empty((len(points), count), np.int64)
    for start in _blocks(len(points), size, block):
        best = _best(centred, squares, start, len(points), k=k, block=block)
        bounds, candidates = (np.asarray(part) for part in best)
        for row in range(start, min(start + block, len(points))):
            others = candidates[row - start, : len(points) - 1]
            edge = -bounds[row - start, -1]
            found[row] = _rank(points, row, others, edge, count)
    return found


@partial(jax.jit, static_argnames=("k", "block"))
def _best(
    points: Shaped[Array, "M d"],
    squares: Shaped[Array, " M"],
    start: ArrayLike,
    count: ArrayLike,
    *,
    k: int,
    block: int,
) -> tuple[Float32[Array, "m k"], Int32[Array, "m k"]]:
    """The k best columns of each row of a block, and how good: higher is nearer."""
    rows, norms = (
        lax.dynamic_slice_in_dim(whole, start, block) for whole in (points, squares)
    )
    products = lax.dot_general(
        rows,
        points,
        (((1,), (1,)), ((), ())),
        precision=lax.Precision.HIGHEST,  # else accelerators round float32
        preferred_element_type=squares.dtype,
    )
    distance = norms[:, None] + squares[None, :] - 2 * products
    if points.dtype == jnp.int8:
        order = lax.bitcast_convert_type(_NEAREST - distance, jnp.float32)
    else:
        order = -distance
    row, column = (lax.broadcasted_iota(jnp.int32, order.shape, i) for i in (0, 1))
    others = (column != row + start) & (column < count)
    values, columns = lax.top_k(jnp.where(others, order, -jnp.inf), k)
    return values, columns


def _rank(
    points: Float32[np.ndarray, "M d"],
    row: int,
    candidates: Int32[np.ndarray, " c"],
    edge: np.float32,
    count: int,
) -> Int[np.ndarray, " k"]:
    """Ranks the candidates; all others too, unless they are proved to be farther."""
    ranked, farthest = _nearest_first(points, row, candidates, count)
    if farthest < edge - _UNDERFLOW:
        return ranked
    others = np.delete(np.arange(len(points)), row)
    return _nearest_first(points, row, others, count)[0]


def _nearest_first(
    points: Float32[np.ndarray, "M d"], row: int, others: np.ndarray, count: int
) -> tuple[np.ndarray, np.floating]:
    difference = points[others].astype(np.float64) - points[row]
    distance = np.einsum("nd,nd->n", difference, difference)
    order = np.lexsort((others, distance))[:count]
    return others[order], distance[order[-1]]
