import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from mixup_jax.evaluation import in_between as between
from tests.evaluation.networks import mlp

KEY = jax.random.key(0)
PREDICT = mlp()
X = jax.random.uniform(KEY, (20, 6))
Y = jax.random.randint(jax.random.key(1), (20,), 0, 5)
PAIRS = between.sample_pairs(jax.random.key(2), 20, 30)


def test_the_default_grid_is_that_of_the_figure():
    assert len(between.GRID) == 21
    np.testing.assert_allclose(between.GRID, np.arange(0, 1.01, 0.05))


def test_misses_match_hand_computed_ones():
    # Class 2 wins between x = .3 and .7, class 0 below and class 1 above.
    def predict(x):
        middle = jnp.where((x > 0.3) & (x < 0.7), 2.0, 0.0)
        return jnp.concatenate([1 - x, x, middle], axis=1)

    x = jnp.array([[0.0], [1.0], [0.5]])
    y = jnp.array([0, 1, 2])
    got = between.in_between(
        predict, x, y, jnp.array([[0, 1], [1, 2]]), lam=(0.0, 0.25, 0.5, 0.6, 1.0)
    )
    # Of the pair (0, 1) the points are 1, .75, .5, .4, 0: missed where class 2 wins.
    # Of (1, 2) they are .5, .625, .75, .8, 1, and classes 1 and 2 are both right.
    np.testing.assert_array_equal(got.misses, [0, 0, 0.5, 0.5, 0])
    np.testing.assert_array_equal(got.lam, [0.0, 0.25, 0.5, 0.6, 1.0])


def test_lambda_is_the_share_of_the_first_of_a_pair():
    got = between.in_between(
        lambda x: jnp.concatenate([x, 0 * x], axis=1),
        jnp.array([[3.0], [-1.0]]),
        jnp.array([0, 0]),
        jnp.array([[0, 1]]),
        lam=(0.25, 1.0),
        loss=lambda logits, targets: logits[:, 0],
    )
    # .25 * 3 + .75 * -1 = 0.
    np.testing.assert_allclose(got.loss, [0.0, 3.0], atol=1e-7)


def test_gradients_and_losses_of_a_linear_network_match_their_formulas():
    # The gradient of the cross-entropy is W (p - target); lambda mixes the targets.
    weights = np.array(jax.random.normal(KEY, (6, 5)), np.float64)
    x, y = np.asarray(X, np.float64), np.asarray(Y)
    first, other = np.asarray(PAIRS).T
    got = between.in_between(lambda x: x @ jnp.float32(weights), X, Y, PAIRS)
    for place, lam in enumerate(between.GRID):
        points = lam * x[first] + (1 - lam) * x[other]
        targets = lam * np.eye(5)[y[first]] + (1 - lam) * np.eye(5)[y[other]]
        chances = np.exp(points @ weights)
        chances /= chances.sum(axis=1, keepdims=True)
        norms = np.linalg.norm((chances - targets) @ weights.T, axis=1)
        losses = -(targets * np.log(chances)).sum(axis=1)
        np.testing.assert_allclose(got.gradients[place], norms.mean(), rtol=1e-5)
        np.testing.assert_allclose(got.loss[place], losses.mean(), rtol=1e-5)


def test_gradients_equal_those_of_pytorch():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    first, second = (rng.normal(size=s).astype(np.float32) for s in ((12, 8), (8, 5)))
    images = rng.uniform(size=(20, 2, 3, 2)).astype(np.float32)
    got = between.in_between(
        lambda x: jnp.tanh(x.reshape(len(x), 12) @ first) @ second,
        images,
        Y,
        PAIRS,
        lam=(0.3,),
    )
    one, two = (torch.tensor(np.array(PAIRS[:, side])) for side in (0, 1))
    flat, labels = torch.tensor(images).reshape(20, 12), torch.tensor(np.array(Y))
    points = (0.3 * flat[one] + 0.7 * flat[two]).requires_grad_(True)
    logits = torch.tanh(points @ torch.tensor(first)) @ torch.tensor(second)
    each = [
        torch.nn.functional.cross_entropy(logits, labels[side].long(), reduction="none")
        for side in (one, two)
    ]
    (slope,) = torch.autograd.grad((0.3 * each[0] + 0.7 * each[1]).sum(), points)
    np.testing.assert_allclose(
        got.gradients, [slope.norm(dim=1).mean().item()], rtol=1e-5
    )


def test_the_ends_are_the_examples_themselves():
    got = between.in_between(PREDICT, X, Y, PAIRS, lam=(0.0, 1.0))
    guess = np.argmax(PREDICT(X), axis=1)
    for place, side in ((0, 1), (1, 0)):
        rows, others = PAIRS[:, side], PAIRS[:, 1 - side]
        missed = (guess[rows] != Y[rows]) & (guess[rows] != Y[others])
        np.testing.assert_allclose(got.misses[place], missed.mean(), rtol=1e-6)
    assert 0 < got.misses[0] < 1


def test_another_loss_has_another_gradient():
    got = between.in_between(
        lambda x: x, X, Y, PAIRS, loss=lambda logits, targets: 3 * logits[:, 1]
    )
    np.testing.assert_allclose(got.gradients, np.full(21, 3.0), rtol=1e-6)


@pytest.mark.parametrize("size", [7, 30, 1000])
def test_chunks_do_not_change_the_means(size):
    whole = between.in_between(PREDICT, X, Y, PAIRS, lam=(0.5,), chunk_size=30)
    got = between.in_between(PREDICT, X, Y, PAIRS, lam=(0.5,), chunk_size=size)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, 1e-5), got, whole)


def test_a_bfloat16_network_is_measured_in_float32():
    got = between.in_between(
        lambda x: PREDICT(x).astype(jnp.bfloat16), X.astype(jnp.bfloat16), Y, PAIRS
    )
    want = between.in_between(PREDICT, X, Y, PAIRS)
    np.testing.assert_allclose(got.loss, want.loss, rtol=0.02)
    np.testing.assert_allclose(got.gradients, want.gradients, rtol=0.02)


def test_a_prediction_that_is_no_number_is_a_miss():
    def predict(x):
        return jnp.where(x[:, :1] > 0.4, jnp.nan, jnp.eye(2)[None, 0])

    x, y = jnp.array([[0.0], [1.0]]), jnp.array([0, 1])
    got = between.in_between(predict, x, y, jnp.array([[1, 0]]), lam=(0.25, 0.5))
    np.testing.assert_array_equal(got.misses, [0, 1])


def test_pairs_are_of_two_and_all_equally_likely():
    pairs = np.asarray(between.sample_pairs(KEY, 4, 12_000))
    assert (pairs[:, 0] != pairs[:, 1]).all()
    counts = np.bincount(pairs[:, 0] * 4 + pairs[:, 1], minlength=16)
    assert (counts > 0).sum() == 12
    assert scipy.stats.chisquare(counts[counts > 0]).pvalue > 1e-3


def test_what_is_no_pair_is_refused():
    with pytest.raises(ValueError, match="at least 2 examples, got 1"):
        between.sample_pairs(KEY, 1, 5)
    with pytest.raises(ValueError, match="at least 1 pair, got -1"):
        between.sample_pairs(KEY, 5, -1)
    with pytest.raises(ValueError, match="there are no pairs"):
        between.in_between(PREDICT, X, Y, PAIRS[:0])
    for bad in ([[0, 20]], [[-1, 0]]):
        with pytest.raises(ValueError, match=r"rows 0 \.\. 19 of the inputs"):
            between.in_between(PREDICT, X, Y, jnp.array(bad))


def test_labels_that_are_no_class_are_refused():
    with pytest.raises(ValueError, match=r"labels must be in 0 \.\. 4"):
        between.in_between(PREDICT, X, Y + 1, PAIRS)


@pytest.mark.parametrize(
    ("pairs", "lam", "words"),
    [
        (PAIRS[:, 0], (0.5,), r"whole numbers \[P, 2\], got int32"),
        (PAIRS.astype(float), (0.5,), r"whole numbers \[P, 2\], got float"),
        (PAIRS, (), "no lambdas"),
        (PAIRS, (0.5, float("nan")), r"finite numbers, got \(0.5, nan\)"),
    ],
)
def test_pairs_and_lambdas_that_nothing_can_be_measured_at_are_refused(
    pairs, lam, words, untyped
):
    with pytest.raises(ValueError, match=words):
        between.in_between(PREDICT, X, Y, pairs, lam=lam)
