import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mixup_jax.evaluation import classification
from mixup_jax.evaluation.adversarial import fgsm, pgd
from mixup_jax.evaluation.robustness import standard_attacks, transfer, worst_case
from tests.evaluation.networks import examples, linear, mlp, worst_margins

KEY = jax.random.key(0)
LIMITS = {"epsilon": 0.15, "low": 0.0, "high": 1.0}
# Predicts class 1 where the first coordinate is above .5.
STEP = linear([[0.0, 1.0], [0.0, 0.0]], [0.5, 0.0])
X = jnp.stack([jnp.full(10, 0.1), jnp.arange(10) / 10], axis=1)
Y = jnp.array([0] * 9 + [1])


def breaking(places, seen):
    """An attack that breaks the examples at some places of the data set."""

    def attack(inputs, labels, indices):
        seen.append(np.asarray(indices).tolist())
        hit = jnp.isin(jnp.asarray(indices), jnp.asarray(places))
        return jnp.where(hit[:, None], 0.9, jnp.asarray(inputs))

    return attack


def test_examples_are_made_once_and_tried_on_each_network():
    source, other = mlp(0, classes=7), mlp(1, classes=7)
    x, y = examples(source)
    calls = []

    def white_box(x, y, indices):
        calls.append(len(x))
        return fgsm(source, x, y, **LIMITS)

    targets = {"white": source, "black": other}
    sums = transfer(white_box, targets, x, y, chunk_size=10)
    assert calls == [10] * 7
    points = white_box(x, y, None)
    for name, predict in targets.items():
        logits = np.asarray(predict(points))
        order = np.argsort(-logits, axis=1)
        assert sums[name].count[0] == len(y)
        assert classification.error_rate(sums[name]) == np.mean(order[:, 0] != y)
        among = (order[:, :5] == np.asarray(y)[:, None]).any(axis=1)
        assert classification.top5_error_rate(sums[name]) == np.mean(~among)


def test_a_network_that_looks_elsewhere_is_not_fooled():
    # The source reads the first coordinate, the other the second.
    first = linear([[0.0, 1.0], [0.0, 0.0]], [0.5, 0.0])
    second = linear([[0.0, 0.0], [0.0, 1.0]], [0.5, 0.0])
    x = jnp.array([[0.4, 0.4], [0.6, 0.6]])
    y = jnp.array([0, 1])
    sums = transfer(
        lambda x, y, i: fgsm(first, x, y, **LIMITS), {"a": first, "b": second}, x, y
    )
    assert classification.error_rate(sums["a"]) == 1
    assert classification.error_rate(sums["b"]) == 0


def test_chunks_do_not_change_the_draws():
    source = mlp()
    x, y = examples(source)

    def attack(x, y, indices):
        key = jax.random.key(0)
        return pgd(key, source, x, y, indices=indices, steps=3, **LIMITS)

    results = [
        transfer(attack, {"a": source}, x, y, chunk_size=size)["a"] for size in (7, 64)
    ]
    np.testing.assert_allclose(results[0].loss, results[1].loss, rtol=1e-4)


def test_each_attack_gets_what_those_before_it_left():
    first, second = [], []
    attacks = {
        "a": breaking([0, 1, 2], first),
        "b": breaking([2, 3, 9], second),
    }
    result = worst_case(STEP, attacks, X, Y, chunk_size=20)
    # The last example is wrong without an attack.
    assert result.accuracy == {"clean": 0.9, "a": 0.6, "b": 0.5}
    assert list(result.accuracy) == ["clean", "a", "b"]
    assert first == [[0, 1, 2, 3, 4, 5, 6, 7, 8, 8]]
    assert second == [[3, 4, 5, 6, 7, 8, 8, 8, 8, 8]]
    assert np.flatnonzero(result.robust).tolist() == [4, 5, 6, 7, 8]
    want = np.array(X)
    want[:4] = 0.9
    np.testing.assert_allclose(result.inputs, want)


def test_an_attack_may_not_undo_what_was_wrong_before():
    def repair(inputs, labels, indices):
        return jnp.full(inputs.shape, 0.9)

    result = worst_case(STEP, {"repair": repair}, X, Y)
    # All were class 0 but the last, which class 1 would have been right for.
    assert result.accuracy["repair"] == 0
    np.testing.assert_allclose(result.inputs[9], X[9])


def test_the_inputs_are_left_as_they_are():
    inputs = np.array(X)
    worst_case(STEP, {"a": breaking([0], [])}, inputs, Y)
    np.testing.assert_array_equal(inputs, X)


def test_nothing_is_attacked_when_nothing_is_left():
    second = []
    attacks = {"a": breaking(range(9), []), "b": breaking([0], second)}
    result = worst_case(STEP, attacks, X, Y)
    assert result.accuracy == {"clean": 0.9, "a": 0.0, "b": 0.0}
    assert second == []


@pytest.mark.parametrize("size", [4, 100])
def test_chunks_do_not_change_the_verdicts(size):
    predict = mlp(features=10)
    x, y = examples(predict, (10,), 50)
    limits = {"epsilon": 0.1, "low": 0.0, "high": 1.0}
    attacks = {
        "few": lambda x, y, i: pgd(KEY, predict, x, y, indices=i, steps=2, **limits),
        "more": lambda x, y, i: pgd(KEY, predict, x, y, indices=i, steps=8, **limits),
    }
    got = worst_case(predict, attacks, x, y, chunk_size=size)
    whole = attacks["few"](x, y, None)
    left = np.asarray(jnp.argmax(predict(whole), axis=1) == y)
    assert got.accuracy["few"] == left.mean()
    assert 0 < got.accuracy["more"] < got.accuracy["few"] < 1
    broken = ~got.robust
    assert (jnp.argmax(predict(got.inputs), axis=1) != y)[broken].all()


def test_the_standard_attacks_find_the_exact_robust_accuracy_of_a_linear_network():
    rng = np.random.default_rng(2)
    weights = rng.normal(size=(8, 6)).astype(np.float32)
    bias = rng.normal(size=6).astype(np.float32)
    predict = linear(weights, bias)
    x, y = examples(predict, (2, 2, 2), 100)
    attacks = standard_attacks(KEY, predict, x, steps=8, queries=20, **LIMITS)
    assert list(attacks) == ["apgd-ce", "apgd-t", "square"]
    robust = worst_margins(weights, bias, x, y, 0.15).max(axis=1) < 0
    result = worst_case(predict, attacks, x, y, chunk_size=32)
    np.testing.assert_array_equal(result.robust, robust)
    assert result.accuracy["square"] == result.accuracy["apgd-t"] == robust.mean()
    assert np.abs(result.inputs - x).max() <= 0.15 + 1e-6


@pytest.mark.parametrize(
    ("classes", "shape", "names"),
    [
        (2, (6,), ["apgd-ce"]),
        (3, (6,), ["apgd-ce", "apgd-dlr"]),
        (4, (6,), ["apgd-ce", "apgd-t"]),
        (2, (2, 3, 1), ["apgd-ce", "square"]),
    ],
)
def test_the_standard_attacks_are_those_that_fit(classes, shape, names):
    predict = mlp(classes=classes)
    x, y = examples(predict, shape, 8)
    attacks = standard_attacks(KEY, predict, x, steps=2, queries=2, **LIMITS)
    assert list(attacks) == names
    for attack in attacks.values():
        moved = np.abs(attack(x, y, np.arange(8)) - x)
        assert 0.01 < moved.max() <= 0.15 + 1e-6


def test_a_search_without_gradients_shows_that_gradients_are_hidden():
    # Rounded inputs have no gradient; the network is as weak as without.
    network = mlp(features=27)

    def masked(x):
        return network(jnp.round(x * 255) / 255)

    x, y = examples(network, (3, 3, 3), 40)
    x = jnp.round(x * 255) / 255
    attacks = standard_attacks(KEY, masked, x, steps=5, queries=150, **LIMITS)
    result = worst_case(masked, attacks, x, y)
    assert result.accuracy["apgd-t"] - result.accuracy["square"] > 0.3


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_an_attack_that_returns_no_numbers_is_named(bad):
    with pytest.raises(ValueError, match="attack 'mine' returned values that are no"):
        worst_case(STEP, {"mine": lambda x, y, i: jnp.asarray(x) * bad}, X, Y)


def test_labels_that_are_no_class_are_refused():
    with pytest.raises(ValueError, match=r"labels must be in 0 \.\. 1"):
        worst_case(STEP, {}, X, Y + 1)
    with pytest.raises(ValueError, match="no examples"):
        worst_case(STEP, {}, X[:0], Y[:0])


def test_an_attack_that_returns_other_points_is_named():
    with pytest.raises(ValueError, match="attack 'mine' must return points of the in"):
        worst_case(STEP, {"mine": lambda x, y, i: jnp.asarray(x)[:, :0]}, X, Y)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"steps": 0}, "steps must be at least 1, got 0"),
        ({"queries": 0}, "queries must be at least 1, got 0"),
        ({"epsilon": -1.0}, "epsilon must be finite and at least 0, got -1.0"),
        ({"low": 2.0}, "low must be below high, got 2.0 and 1.0"),
    ],
)
def test_what_the_last_attack_refuses_is_found_before_the_first(wrong, words):
    limits = {"epsilon": 0.1, "low": -1.0, "high": 1.0}
    with pytest.raises(ValueError, match=words):
        standard_attacks(jax.random.key(0), STEP, X, **(limits | wrong))
