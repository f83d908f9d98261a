from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mixup_jax.evaluation import adversarial, objectives
from mixup_jax.evaluation.apgd import apgd, apgd_targeted
from tests.evaluation.networks import examples, linear, mlp, worst_margins

KEY = jax.random.key(0)
LIMITS = {"epsilon": 0.2, "low": 0.0, "high": 1.0}
PREDICT = mlp(features=10)
X, Y = examples(PREDICT, (10,), 100)
RNG = np.random.default_rng(2)
WEIGHTS = RNG.normal(size=(8, 6)).astype(np.float32)
BIAS = RNG.normal(size=6).astype(np.float32)


def wrong(points, predict=PREDICT, labels=Y):
    return np.asarray(jnp.argmax(predict(points), axis=-1) != labels)


@pytest.mark.parametrize("loss", [objectives.cross_entropy, objectives.margin])
@pytest.mark.parametrize("steps", [1, 25])
def test_apgd_reaches_the_exact_optimum_of_a_linear_network(loss, steps):
    # The first step, of 2 epsilon, gets from anywhere to the corner.
    weights, bias = WEIGHTS[:, :2], BIAS[:2]
    predict = linear(weights, bias)
    x, y = examples(predict, (8,))
    got = apgd(KEY, predict, x, y, steps=steps, loss=loss, **LIMITS)
    want = worst_margins(weights, bias, x, y, 0.2).max(axis=1)
    margins = objectives.margin(predict(got), y)
    np.testing.assert_allclose(margins, want, atol=1e-5)


def test_towards_each_class_apgd_finds_all_that_a_linear_network_gets_wrong():
    predict = linear(WEIGHTS, BIAS)
    x, y = examples(predict, (8,), 200)
    margins = worst_margins(WEIGHTS, BIAS, x, y, 0.2)
    broken = margins.max(axis=1) > 0
    assert 40 < broken.sum() < 190
    # No margin is so near 0 that rounding decides.
    assert np.abs(margins.max(axis=1)).min() > 1e-4
    got = apgd_targeted(KEY, predict, x, y, steps=10, **LIMITS)
    np.testing.assert_array_equal(wrong(got, predict, y), broken)
    # One target is not enough: for some the likeliest other class is not the nearest.
    single = apgd_targeted(KEY, predict, x, y, steps=10, targets=1, **LIMITS)
    assert wrong(single, predict, y).sum() < broken.sum()


@pytest.mark.parametrize("steps", [20, 60])
def test_apgd_is_at_least_as_strong_as_pgd(steps):
    both = [
        run(KEY, PREDICT, X, Y, steps=steps, **LIMITS)
        for run in (adversarial.pgd, apgd)
    ]
    broken = [wrong(points).mean() for points in both]
    loss = [objectives.cross_entropy(PREDICT(p), Y).mean() for p in both]
    assert broken[1] >= broken[0]
    assert loss[1] >= loss[0]
    assert 0.2 < broken[0] < 0.98


def test_apgd_finds_more_by_restarts_and_never_less():
    limits = {**LIMITS, "epsilon": 0.1}
    runs = [
        apgd(KEY, PREDICT, X, Y, steps=3, restarts=count, **limits) for count in (1, 6)
    ]
    few, many = (wrong(points) for points in runs)
    assert (many >= few).all()
    assert many.sum() > few.sum()


def test_dlr_is_what_is_increased_if_asked():
    # A confident network: the gradient of its cross-entropy underflows to 0.
    def confident(x):
        return 500 * PREDICT(x)

    plain = apgd(KEY, confident, X, Y, steps=10, **LIMITS)
    ratio = apgd(KEY, confident, X, Y, steps=10, loss=objectives.dlr, **LIMITS)
    assert wrong(ratio).sum() > wrong(plain).sum() + 5


@pytest.mark.parametrize("run", [apgd, apgd_targeted])
def test_points_stay_within_epsilon_and_range(run):
    got = run(KEY, PREDICT, X, Y, steps=5, **LIMITS)
    assert np.abs(got - X).max() <= 0.2 + 1e-6
    assert got.min() >= 0
    assert got.max() <= 1
    assert wrong(got).any()


@pytest.mark.parametrize("run", [apgd, apgd_targeted])
def test_draws_depend_on_the_key_and_not_on_the_batch(run):
    run = partial(run, steps=3, **LIMITS)
    whole = run(KEY, PREDICT, X, Y)
    np.testing.assert_array_equal(run(KEY, PREDICT, X, Y), whole)
    part = run(KEY, PREDICT, X[60:], Y[60:], indices=np.arange(60, 100))
    np.testing.assert_allclose(part, whole[60:], atol=1e-5)
    assert np.abs(run(jax.random.key(1), PREDICT, X, Y) - whole).max() > 0.01


@pytest.mark.parametrize("run", [apgd, apgd_targeted])
def test_a_compiled_loop_and_jit_give_the_same(run):
    run = partial(run, KEY, PREDICT, steps=4, **LIMITS)
    plain, compiled = run(X, Y), partial(run, scan=True)
    np.testing.assert_allclose(compiled(X, Y), plain, atol=1e-5)
    np.testing.assert_allclose(jax.jit(compiled)(X, Y), plain, atol=1e-5)


def test_a_bfloat16_network_is_attacked_in_float32():
    def half(x):
        assert x.dtype == jnp.float32
        return PREDICT(x.astype(jnp.bfloat16)).astype(jnp.bfloat16)

    got = apgd(KEY, half, X.astype(jnp.bfloat16), Y, steps=10, **LIMITS)
    assert got.dtype == jnp.float32
    assert (
        wrong(got, half).sum()
        >= 0.9 * wrong(apgd(KEY, PREDICT, X, Y, steps=10, **LIMITS)).sum()
    )


# Theirs warns of points without a gradient, of which ours are as many.
@pytest.mark.filterwarnings("ignore:.*zero gradient")
@pytest.mark.parametrize("loss", ["ce", "dlr", "targeted"])
def test_apgd_is_as_strong_as_its_authors_program(loss):
    torch = pytest.importorskip("torch")
    theirs = pytest.importorskip("pyautoattack.autopgd_base")
    first = jnp.asarray(RNG.normal(size=(10, 32)), jnp.float32)
    second = jnp.asarray(RNG.normal(size=(32, 5)) / 2, jnp.float32)

    def predict(x):
        return jnp.tanh(x @ first) @ second

    def network(x):
        hidden = torch.tanh(x.flatten(1) @ torch.tensor(np.array(first)))
        return hidden @ torch.tensor(np.array(second))

    x, y = examples(predict, (10,), 100)
    images = torch.tensor(np.array(x)).reshape(-1, 1, 1, 10)
    run = partial(apgd_targeted if loss == "targeted" else apgd, steps=20)
    if loss == "dlr":
        run = partial(run, loss=objectives.dlr)
    kind = theirs.APGDAttack_targeted if loss == "targeted" else theirs.APGDAttack
    options = {} if loss == "targeted" else {"loss": loss}
    if loss == "targeted":
        # Theirs counts targets too, and K - 1 is all there are.
        options["n_target_classes"] = 4
    broken = np.zeros(2)
    for seed in range(5):
        other = kind(
            network, n_iter=20, norm="Linf", eps=0.1, seed=seed, device="cpu", **options
        )
        points = other.perturb(images, torch.tensor(np.array(y)).long())
        ours = run(jax.random.key(seed), predict, x, y, epsilon=0.1, low=0.0, high=1.0)
        broken += [
            wrong(ours, predict, y).mean() / 5,
            wrong(points.detach().numpy().reshape(-1, 10), predict, y).mean() / 5,
        ]
    assert 0.1 < broken[1] < 0.95
    # A few examples of 100 may be chance.
    assert broken[0] >= broken[1] - 0.03


@pytest.mark.parametrize(
    ("run", "words"),
    [
        (partial(apgd, steps=0), "steps must be at least 1, got 0"),
        (partial(apgd, restarts=0), "restarts must be at least 1, got 0"),
        (partial(apgd_targeted, steps=0), "steps must be at least 1, got 0"),
        (partial(apgd_targeted, targets=0), "targets must be at least 1, got 0"),
    ],
)
def test_attacks_without_steps_are_refused(run, words):
    with pytest.raises(ValueError, match=words):
        run(KEY, PREDICT, X, Y, **LIMITS)


def test_too_few_classes_are_refused():
    predict = mlp(features=10, classes=3)
    x, y = examples(predict, (10,), 4)
    with pytest.raises(ValueError, match="at least 4 classes, got 3"):
        apgd_targeted(KEY, predict, x, y, **LIMITS)
