from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mixup_jax.evaluation import objectives, square
from tests.evaluation.networks import examples, linear, mlp, worst_margins

KEY = jax.random.key(0)
LIMITS = {"epsilon": 0.2, "low": 0.0, "high": 1.0}
SHAPE = (6, 5, 2)
PREDICT = mlp(features=60)
X, Y = examples(PREDICT, SHAPE, 32)
# Right by so much that no patch makes it wrong, and the search goes on to the end.
RNG = np.random.default_rng(0)
SLOPES = RNG.normal(size=(60, 3)).astype(np.float32)
STEADY = linear(SLOPES, np.array([1000.0, 0.0, -1000.0], np.float32))
ZEROS = jnp.zeros(32, jnp.int32)


def margins(points, predict=STEADY, labels=ZEROS):
    return np.asarray(objectives.margin(predict(points), labels))


def test_sides_of_10000_queries_match_hand_computed_ones():
    # .8 of 32 x 32 pixels is a square of 28.6; half of that 20.2, a quarter 14.3, ...
    got = square.sides((32, 32), 10_000, 0.8)
    places = [0, 10, 11, 50, 51, 201, 501, 1001, 2001, 4001, 6001, 8001, 9999]
    want = [29, 29, 20, 20, 14, 10, 7, 5, 4, 3, 2, 1, 1]
    assert got[places].tolist() == want


def test_sides_are_stretched_to_fewer_queries_and_fit_the_image():
    np.testing.assert_array_equal(
        square.sides((32, 32), 1000, 0.8), square.sides((32, 32), 10_000, 0.8)[::10]
    )
    assert square.sides((4, 100), 10, 0.8).max() == 4
    assert square.sides((2, 2), 10_000, 0.1).min() == 1


def test_the_search_reaches_the_exact_optimum_of_a_linear_network():
    got = square.square(KEY, STEADY, X, ZEROS, queries=1500, **LIMITS)
    bias = np.array([1000.0, 0.0, -1000.0])
    want = worst_margins(SLOPES, bias, X, ZEROS, 0.2).max(axis=1)
    # Margins near -1000 are rounded to 6e-5, below which nothing is gained.
    np.testing.assert_allclose(margins(got), want, atol=2e-3)


def test_a_patch_that_gains_nothing_is_not_taken():
    def indifferent(x):
        return jnp.zeros((len(x), 3)).at[:, 0].set(1.0)

    run = partial(square.square, KEY, indifferent, X, ZEROS, **LIMITS)
    np.testing.assert_array_equal(run(queries=40), run(queries=1))


def test_the_first_query_is_of_vertical_stripes():
    x = jnp.full((32, *SHAPE), 0.5)
    got = np.asarray(square.square(KEY, STEADY, x, ZEROS, queries=1, **LIMITS))
    np.testing.assert_allclose(np.abs(got - 0.5), 0.2, rtol=1e-5)
    np.testing.assert_array_equal(got, np.broadcast_to(got[:, :1], got.shape))
    # Each column and channel by itself, both signs as often: 320 draws, 4 sigma .11.
    signs = np.sign(got[:, 0] - 0.5)
    assert abs(signs.mean()) < 0.23
    assert (signs[:, :, 0] != signs[:, :, 1]).any()
    assert (signs[:, :-1] != signs[:, 1:]).any()


def test_the_second_query_changes_one_square_if_that_helps():
    x = jnp.full((32, *SHAPE), 0.5)
    run = partial(square.square, KEY, STEADY, x, ZEROS, share=0.3, **LIMITS)
    # Two queries at full stretch have the sides of the 0th and 5,000th of 10,000.
    side = int(square.sides(SHAPE[:2], 2, 0.3)[1])
    first, second = np.asarray(run(queries=1)), np.asarray(run(queries=2))
    moved = first != second
    assert 4 < moved.any(axis=(1, 2, 3)).sum() < 28
    gains = margins(second) - margins(first)
    assert (gains >= 0).all()
    for row in np.flatnonzero(moved.any(axis=(1, 2, 3))):
        rows, columns, _ = np.nonzero(moved[row])
        assert np.ptp(rows) < side
        assert np.ptp(columns) < side
        assert gains[row] > 0


def test_a_patch_lies_anywhere_with_one_sign_for_each_channel():
    keys = jax.random.split(KEY, 3000)
    inside, signs = jax.vmap(partial(square._patch, (6, 5, 2)), (0, None))(
        keys, jnp.int32(3)
    )
    inside = np.asarray(inside[..., 0])
    assert (inside.sum(axis=(1, 2)) == 9).all()
    corners = np.argmax(inside.reshape(3000, -1), axis=1)
    places, counts = np.unique(corners, return_counts=True)
    # 4 x 3 places of the corner, 250 times each with sigma 15.
    assert len(places) == 12
    assert np.abs(counts - 250).max() < 75
    assert signs.shape == (3000, 1, 1, 2)
    pairs = np.unique(np.asarray(signs).reshape(3000, 2), axis=0, return_counts=True)[1]
    # 750 times each with sigma 24.
    assert np.abs(pairs - 750).max() < 120


def test_more_queries_break_more_and_undo_nothing():
    run = partial(square.square, KEY, PREDICT, X, Y, epsilon=0.05, low=0.0, high=1.0)
    wrong = []
    for queries in (1, 30, 400):
        # The schedule depends on the number, so that only the first ones compare.
        points = run(queries=queries)
        assert np.abs(points - X).max() <= 0.05 + 1e-6
        assert points.min() >= 0
        assert points.max() <= 1
        wrong.append(np.argmax(PREDICT(points), axis=1) != Y)
    assert wrong[0].sum() < wrong[1].sum() < wrong[2].sum() <= len(Y)


def test_examples_that_are_wrong_anyway_are_left_alone():
    labels = (Y + (jnp.arange(32) % 2)) % 5
    got = square.square(KEY, PREDICT, X, labels, queries=5, **LIMITS)
    np.testing.assert_array_equal(got[1::2], X[1::2])
    assert (np.abs(got[::2] - X[::2]).max(axis=(1, 2, 3)) > 0.1).all()


def test_a_compiled_loop_and_one_that_ends_early_give_the_same():
    # All are wrong within 200 of 400 queries.
    limits = {"epsilon": 0.5, "low": 0.0, "high": 1.0}
    run = partial(square.square, KEY, PREDICT, queries=400, **limits)
    plain = run(X, Y)
    assert (np.argmax(PREDICT(plain), axis=1) != Y).all()
    np.testing.assert_allclose(run(X, Y, scan=True), plain, atol=1e-6)
    compiled = jax.jit(partial(run, scan=True))
    np.testing.assert_allclose(compiled(X, Y), plain, atol=1e-6)


def test_draws_depend_on_the_key_and_not_on_the_batch():
    run = partial(square.square, queries=20, **LIMITS)
    whole = run(KEY, STEADY, X, ZEROS)
    np.testing.assert_array_equal(run(KEY, STEADY, X, ZEROS), whole)
    part = run(KEY, STEADY, X[20:], ZEROS[20:], indices=np.arange(20, 32))
    np.testing.assert_allclose(part, whole[20:], atol=1e-6)
    assert np.abs(run(jax.random.key(1), STEADY, X, ZEROS) - whole).max() > 0.1


def test_it_looks_at_logits_only():
    # Without a gradient anywhere.
    def rounded(x):
        return jnp.round(PREDICT(x) * 20) / 20

    got = square.square(KEY, rounded, X, Y, queries=200, **LIMITS)
    assert (np.argmax(rounded(got), axis=1) != Y).mean() > 0.8


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"queries": 0}, "queries must be at least 1, got 0"),
        ({"share": 0.0}, r"share must be in \(0, 1\], got 0.0"),
        ({"share": 1.5}, r"share must be in \(0, 1\], got 1.5"),
    ],
)
def test_options_out_of_range_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        square.square(KEY, PREDICT, X, Y, **LIMITS, **options)


def test_inputs_that_are_no_images_are_refused():
    with pytest.raises(ValueError, match=r"images \[B, H, W, C\], got \(32, 60\)"):
        square.square(KEY, PREDICT, X.reshape(32, 60), Y, **LIMITS)
