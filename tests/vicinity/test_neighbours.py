import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from sklearn.datasets import load_digits
from sklearn.neighbors import NearestNeighbors

from mixup_jax.vicinity import neighbours
from mixup_jax.vicinity.neighbours import (
    Neighbours,
    nearest_neighbours,
    sample_neighbours,
)

KEY = jax.random.key(0)
LONGEST = 32_638  # bytes; 32,638 * 255^2 is the last distance that is ordered


def by_definition(points, k, labels=None):
    """All pairs in int64 or float64; of equally near ones the lower index first."""
    points = points.reshape(len(points), -1)
    points = points.astype(np.int64 if points.dtype == np.uint8 else np.float64)
    indices = np.repeat(np.arange(len(points))[:, None], k, axis=1)
    counts = np.zeros(len(points), int)
    for i, point in enumerate(points):
        distance = np.square(points - point).sum(axis=1)
        others = [j for j in np.argsort(distance, kind="stable") if j != i]
        if labels is not None:
            others = [j for j in others if labels[j] == labels[i]]
        counts[i] = len(others[:k])
        indices[i, : counts[i]] = others[:k]
    return Neighbours(indices, counts)


def assert_same(got, want):
    np.testing.assert_array_equal(got.indices, want.indices)
    np.testing.assert_array_equal(got.counts, want.counts)


def _bytes(shape, high=256, seed=0):
    return np.random.RandomState(seed).randint(0, high, shape).astype(np.uint8)


def _normal(shape, seed=0):
    return np.random.RandomState(seed).randn(*shape).astype(np.float32)


def _two_tight_clusters():
    # 1000 apart and 0.001 wide: float32 products cannot tell members apart.
    points = np.float64(1e-3) * np.random.RandomState(0).randn(160, 3)
    points[::2] += 1000
    return points.astype(np.float32)


def _tiny_beside_large():
    # Mean 0, sums of squares within the range of float32, and most products below it.
    points = 2e-19 * np.random.RandomState(0).uniform(-1, 1, (150, 30))
    points[:2] = [[1], [-1]]
    points[2:76] = -points[76:]
    return points.astype(np.float32)


POINTS = {
    "images": _bytes((150, 4, 4, 3)),
    "bytes with many ties": _bytes((150, 5), high=3),
    "normal": _normal((150, 8)),
    "floats with many ties": _bytes((150, 6), high=3).astype(np.float32) / 3,
    "two tight clusters": _two_tight_clusters(),
    "tiny ones beside large ones": _tiny_beside_large(),
    "all the same": np.full((50, 2), 0.1, np.float32),
}


def test_neighbours_of_five_points_on_a_line():
    # At 0, 1, 3, 7 and 2; 1 and 3 are as near to 2 as each other.
    points = np.array([[0], [1], [3], [7], [2]], np.uint8)
    want = [[1, 4], [0, 4], [4, 1], [2, 4], [1, 2]]
    for dtype in (np.uint8, np.float32):
        got = nearest_neighbours(points.astype(dtype), 2)
        np.testing.assert_array_equal(got.indices, want)
        np.testing.assert_array_equal(got.counts, [2] * 5)
        assert got.indices.dtype == got.counts.dtype == np.int32


def test_a_class_with_too_few_members_fills_up_with_the_example_itself():
    points = np.array([[0], [1], [3], [7], [2]], np.uint8)
    got = nearest_neighbours(points, 2, labels=np.array([5, 0, 5, -3, 5]))
    want = [[4, 2], [1, 1], [4, 0], [3, 3], [2, 0]]
    np.testing.assert_array_equal(got.indices, want)
    np.testing.assert_array_equal(got.counts, [2, 0, 2, 0, 2])
    got = nearest_neighbours(points, 2, labels=np.array([0, 1, 0, 2, 1]))
    np.testing.assert_array_equal(got.indices, [[2, 0], [4, 1], [0, 2], [3, 3], [1, 4]])
    np.testing.assert_array_equal(got.counts, [1, 1, 1, 0, 1])


@pytest.mark.parametrize("name", POINTS)
@pytest.mark.parametrize("classes", [1, 7])
def test_neighbours_are_those_of_the_definition(name, classes):
    points = POINTS[name]
    labels = None
    if classes > 1:
        labels = np.random.RandomState(1).randint(0, classes, len(points))
        labels[0] = 99  # alone
    got = nearest_neighbours(points, 30, labels=labels, block=64)
    assert_same(got, by_definition(points, 30, labels))


@pytest.mark.parametrize("name", ["bytes with many ties", "two tight clusters"])
@pytest.mark.parametrize("block", [1, 37, 1000])
def test_the_block_does_not_change_what_is_near(name, block):
    points = POINTS[name][:50]
    want = by_definition(points, 49)  # all of them
    assert_same(nearest_neighbours(points, 49, block=block), want)


@pytest.mark.parametrize("width", [1, 5, 16, 17])
def test_bytes_are_compared_by_whole_words_as_a_gpu_wants_them(width, monkeypatch):
    widths, search = [], neighbours._best

    def best(points, *args, **options):
        widths.append(points.shape[1])
        return search(points, *args, **options)

    monkeypatch.setattr(neighbours, "_best", best)
    points = _bytes((40, width), high=5)
    assert_same(nearest_neighbours(points, 3), by_definition(points, 3))
    assert all(found % 16 == 0 for found in widths) and widths


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_distances_are_scikit_learns_on_real_digits(dtype):
    points = load_digits().data[:600]
    distance, _ = (
        NearestNeighbors(n_neighbors=21, algorithm="brute").fit(points).kneighbors()
    )
    got = nearest_neighbours(points.astype(dtype), 21)
    difference = points[:, None] - points[got.indices]
    np.testing.assert_allclose(
        np.sqrt(np.square(difference).sum(axis=2)), distance, rtol=1e-9
    )


def test_the_longest_bytes_are_told_apart_to_the_last_unit():
    points = np.full((4, LONGEST), 255, np.uint8)
    points[0] = 0
    points[2, 17] = 254
    points[3, :] = 254
    got = nearest_neighbours(points, 3).indices
    np.testing.assert_array_equal(got, [[3, 2, 1], [2, 3, 0], [1, 3, 0], [2, 1, 0]])
    with pytest.raises(ValueError, match=r"32,639 bytes .* convert the points"):
        nearest_neighbours(np.zeros((3, LONGEST + 1), np.uint8), 1)


def test_byte_distances_one_apart_near_the_top_are_ordered():
    # Where float32 has steps of 128: 0 and then 1 less than the largest but two.
    points = np.full((3, LONGEST), 255, np.uint8)
    points[0] = 0
    points[0, :2] = [255, 254]
    points[2, :2] = [255, 254]
    np.testing.assert_array_equal(nearest_neighbours(points, 2).indices[0], [2, 1])


@pytest.mark.parametrize("exponent", [-149, -100, 64, 124])
def test_the_unit_of_floats_does_not_matter(exponent):
    points = _bytes((60, 3), high=8).astype(np.float32)
    want = nearest_neighbours(points, 20)
    assert_same(nearest_neighbours(np.ldexp(points, exponent), 20), want)


def test_a_copy_is_a_neighbour_and_the_example_itself_is_not():
    points = np.repeat(_bytes((40, 6)), 2, axis=0)
    got = nearest_neighbours(points, 5).indices
    np.testing.assert_array_equal(got[:, 0], np.arange(80) ^ 1)
    assert not (got == np.arange(80)[:, None]).any()


def test_classes_of_similar_size_share_one_program():
    labels = np.repeat(np.arange(6), [98, 100, 101, 103, 99, 104])
    before = neighbours._best._cache_size()
    nearest_neighbours(_bytes((605, 7)), 11, labels=labels)
    assert neighbours._best._cache_size() == before + 1


@pytest.mark.parametrize("dtype", [jnp.int8, jnp.float32])
def test_memory_is_that_of_a_few_blocks(dtype):
    whole, block, width = 20_000, 64, 8
    squares = jnp.int32 if dtype == jnp.int8 else jnp.float32
    program = neighbours._best.lower(
        jax.ShapeDtypeStruct((whole, width), dtype),
        jax.ShapeDtypeStruct((whole,), squares),
        0,
        whole,
        k=10,
        block=block,
    ).compile()
    temporary = program.memory_analysis().temp_size_in_bytes
    assert temporary < 4 * block * whole * 4 + whole * width * 4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"k": 0}, "k must be from 1 to 4 .* got 0"),
        ({"k": 5}, "there are 5 examples, and none is its own neighbour"),
        ({"block": 0}, "block must be at least 1, got 0"),
        ({"points": np.zeros(5, np.uint8)}, r"must be \[N, ...\] .* got \(5,\)"),
        ({"points": np.zeros((5, 0), np.uint8)}, "not empty"),
        ({"points": np.zeros((5, 2))}, "uint8 or float32, got float64"),
        ({"points": np.float32([[1], [np.nan], [0]]), "k": 1}, "NaN or infinity"),
        ({"points": np.float32([[1], [np.inf], [0]]), "k": 1}, "NaN or infinity"),
        ({"labels": np.zeros(4, np.int32)}, r"integers \[5\], got int32 \(4,\)"),
    ],
    ids=str,
)
def test_what_cannot_be_done_is_refused(change, message):
    arguments = {"points": _bytes((5, 2)), "k": 2, **change}
    with pytest.raises(ValueError, match=message):
        nearest_neighbours(**arguments)


TABLE = Neighbours(
    jnp.array([[3, 1, 2], [0, 1, 1], [2, 2, 2], [2, 0, 1]], jnp.int32),
    jnp.array([3, 1, 0, 3], jnp.int32),
)


def test_every_neighbour_is_drawn_equally_often_and_nothing_else():
    keys = jax.random.split(KEY, 6000)
    draws = jax.jit(jax.vmap(lambda key: sample_neighbours(key, TABLE, jnp.arange(4))))(
        keys
    )
    for example, (row, count) in enumerate(zip(*TABLE, strict=True)):
        times = np.bincount(draws[:, example], minlength=4)
        likely = np.asarray(row[:count]) if count else [example]
        assert times[likely].sum() == 6000
        assert scipy.stats.chisquare(times[likely]).pvalue > 1e-3 or count < 2


def test_examples_of_one_batch_draw_independently():
    draws = jax.vmap(lambda key: sample_neighbours(key, TABLE, jnp.array([0, 3])))(
        jax.random.split(KEY, 6000)
    )
    table = np.zeros((4, 4))
    np.add.at(table, tuple(np.asarray(draws).T), 1)
    table = table[np.ix_([1, 2, 3], [0, 1, 2])]
    assert scipy.stats.chi2_contingency(table).pvalue > 1e-3


def test_a_draw_does_not_depend_on_the_place_in_the_batch_or_the_device():
    rows = jnp.arange(160).reshape(-1, 1).astype(jnp.float32)
    table = nearest_neighbours(np.asarray(rows), 20)
    indices = jax.random.permutation(KEY, 160)
    want = sample_neighbours(KEY, table, indices)
    assert len(set(np.asarray(want).tolist())) > 80
    np.testing.assert_array_equal(
        sample_neighbours(KEY, table, indices[40:50]), want[40:50]
    )
    mesh = Mesh(np.array(jax.devices()), "d")
    spread = jax.device_put(indices, NamedSharding(mesh, PartitionSpec("d")))
    got = jax.jit(sample_neighbours)(KEY, table, spread)
    np.testing.assert_array_equal(got, want)
