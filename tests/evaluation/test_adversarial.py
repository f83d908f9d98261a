from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mixup_jax.evaluation import adversarial, objectives
from tests.evaluation.networks import examples, linear, mlp, worst_margins

KEY = jax.random.key(0)
UNIT = {"low": 0.0, "high": 1.0}
PREDICT = mlp()
X, Y = examples(PREDICT)


def loss_of(points, labels=Y, predict=PREDICT):
    return np.asarray(objectives.cross_entropy(predict(points), labels))


def test_fgsm_matches_hand_computed_points():
    # The loss of label 0 rises along w_1 - w_0 = (2, -3, 0), that of label 1 against.
    predict = linear([[1.0, 3.0], [4.0, 1.0], [0.0, 0.0]], [0.0, 0.0])
    x = jnp.array([[0.5, 0.5, 0.5], [0.05, 0.95, 0.5]])
    got = adversarial.fgsm(predict, x, jnp.array([0, 1]), epsilon=0.1, **UNIT)
    np.testing.assert_allclose(got, [[0.6, 0.4, 0.5], [0.0, 1.0, 0.5]], atol=1e-6)


def test_ifgsm_takes_equal_steps_and_looks_again_after_each():
    # Two logits x^2 / 2 and .36 x: the loss of label 0 rises towards x = .36. From 0
    # with epsilon 1, ten steps of .1 go to .4 and then to and fro; FGSM ends at 1.
    def predict(x):
        return jnp.concatenate([x**2 / 2, 0.36 * x], axis=1)

    x, y = jnp.zeros((1, 1)), jnp.array([0])
    wide = {"epsilon": 1.0, "low": -2.0, "high": 2.0}
    got = adversarial.ifgsm(predict, x, y, **wide)
    np.testing.assert_allclose(got, [[0.4]], atol=1e-6)
    five = adversarial.ifgsm(predict, x, y, steps=5, **wide)
    np.testing.assert_allclose(five, [[0.2]], atol=1e-6)
    np.testing.assert_allclose(adversarial.fgsm(predict, x, y, **wide), [[1.0]])


def test_ifgsm_clips_to_the_range_after_every_step():
    # Once clipped at .05, the way back is counted from there.
    def predict(x):
        first = jnp.where(x < 0.04, x, 0.04 - 10 * (x - 0.04))
        return jnp.concatenate([jnp.zeros_like(x), first], axis=1)

    x, y = jnp.zeros((1, 1)), jnp.array([0])
    got = adversarial.ifgsm(predict, x, y, epsilon=0.4, low=-1.0, high=0.05, steps=4)
    # 0 -> .1, clipped to .05 -> -.05 -> .05 -> -.05
    np.testing.assert_allclose(got, [[-0.05]], atol=1e-6)


def test_fgsm_is_ifgsm_with_one_step():
    one = adversarial.ifgsm(PREDICT, X, Y, epsilon=0.1, steps=1, **UNIT)
    got = adversarial.fgsm(PREDICT, X, Y, epsilon=0.1, **UNIT)
    np.testing.assert_array_equal(got, one)


@pytest.mark.parametrize("steps", [1, 10])
def test_points_equal_those_of_pytorch(steps):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    first, second = (rng.normal(size=s).astype(np.float32) for s in ((6, 16), (16, 4)))
    x = rng.uniform(size=(32, 6)).astype(np.float32)
    y = rng.integers(0, 4, 32)
    start, points = torch.tensor(x), torch.tensor(x)
    for _ in range(steps):
        points.requires_grad_(True)
        logits = torch.relu(points @ torch.tensor(first)) @ torch.tensor(second)
        loss = torch.nn.functional.cross_entropy(logits, torch.tensor(y))
        (slope,) = torch.autograd.grad(loss, points)
        points = points.detach() + 0.2 / steps * slope.sign()
        points = torch.clip(torch.clip(points, start - 0.2, start + 0.2), 0, 1)
    got = adversarial.ifgsm(
        lambda x: jax.nn.relu(x @ first) @ second,
        x,
        y,
        epsilon=0.2,
        steps=steps,
        **UNIT,
    )
    np.testing.assert_allclose(got, points.numpy(), atol=1e-6)


@pytest.mark.parametrize("attack", ["fgsm", "ifgsm", "pgd"])
def test_points_stay_within_epsilon_and_range(attack):
    run = getattr(adversarial, attack)
    if attack == "pgd":
        run = partial(run, KEY)
    got = run(PREDICT, X, Y, epsilon=0.3, **UNIT)
    assert got.dtype == jnp.float32
    assert np.abs(got - X).max() <= 0.3 + 1e-6
    assert got.min() >= 0
    assert got.max() <= 1
    # Some are clipped, and some go all the way.
    assert (got == 0).any()
    assert (np.abs(got - X) > 0.3 - 1e-6).any()


def test_pgd_reaches_the_exact_optimum_of_a_linear_network():
    rng = np.random.default_rng(1)
    weights = rng.normal(size=(8, 2)).astype(np.float32)
    bias = np.array([0.3, -0.2], np.float32)
    predict = linear(weights, bias)
    x, y = examples(predict, (8,))
    got = adversarial.pgd(KEY, predict, x, y, epsilon=0.2, steps=10, **UNIT)
    margins = objectives.margin(predict(got), y)
    want = worst_margins(weights, bias, x, y, 0.2).max(axis=1)
    np.testing.assert_allclose(margins, want, atol=1e-5)


def test_pgd_is_never_less_wrong_than_the_examples_and_gains_by_restarts():
    y = (Y + (jnp.arange(len(Y)) % 2)) % 5
    runs = [
        adversarial.pgd(
            KEY, PREDICT, X, y, epsilon=0.1, steps=4, restarts=count, **UNIT
        )
        for count in (1, 5)
    ]
    wrong = [np.asarray(jnp.argmax(PREDICT(p), axis=-1) != y) for p in (X, *runs)]
    loss = [loss_of(p, y) for p in (X, *runs)]
    for less, more in ((0, 1), (1, 2)):
        assert (wrong[more] >= wrong[less]).all()
        same = wrong[more] == wrong[less]
        assert (loss[more] >= loss[less] - 1e-6)[same].all()
        assert (loss[more] > loss[less] + 1e-3).any()
    assert wrong[0].sum() < wrong[1].sum() <= wrong[2].sum() < len(Y)


def test_pgd_keeps_the_worst_of_all_steps():
    # Steps of .5 in a ball of .5 jump over the peak at the middle; the last point is at
    # an end, and the best one was the unperturbed one.
    def predict(x):
        return jnp.concatenate([jnp.abs(x - 0.5), jnp.zeros_like(x)], axis=1)

    x, y = jnp.full((1, 1), 0.5), jnp.array([0])
    got = adversarial.pgd(KEY, predict, x, y, epsilon=0.5, step_size=0.5, **UNIT)
    np.testing.assert_array_equal(got, x)


def test_steps_of_pgd_are_2_5_epsilon_over_their_number():
    default = adversarial.pgd(KEY, PREDICT, X, Y, epsilon=0.2, steps=5, **UNIT)
    said = adversarial.pgd(
        KEY, PREDICT, X, Y, epsilon=0.2, steps=5, step_size=0.1, **UNIT
    )
    np.testing.assert_allclose(default, said, atol=1e-6)


def test_other_losses_are_increased_if_asked():
    def rightness(logits, labels):
        return -objectives.cross_entropy(logits, labels)

    limits = {"epsilon": 0.1, "loss": rightness, **UNIT}
    for attack in (adversarial.fgsm, adversarial.ifgsm, partial(adversarial.pgd, KEY)):
        got = attack(PREDICT, X, Y, **limits)
        assert loss_of(got).mean() < loss_of(X).mean() - 0.01


def test_draws_depend_on_the_key_and_not_on_the_batch():
    run = partial(adversarial.pgd, epsilon=0.1, steps=3, **UNIT)
    whole = run(KEY, PREDICT, X, Y)
    np.testing.assert_array_equal(run(KEY, PREDICT, X, Y), whole)
    # Rows of another batch size may be added up in another order.
    part = run(KEY, PREDICT, X[40:], Y[40:], indices=np.arange(40, 64))
    np.testing.assert_allclose(part, whole[40:], atol=1e-5)
    assert np.abs(run(jax.random.key(1), PREDICT, X, Y) - whole).max() > 0.01


def test_attacks_work_under_jit_and_as_a_compiled_loop():
    run = partial(adversarial.pgd, KEY, PREDICT, epsilon=0.1, steps=3, **UNIT)
    plain = run(X, Y)
    for other in (
        run(X, Y, scan=True),
        jax.jit(run)(X, Y),
        jax.jit(partial(run, scan=True))(X, Y),
    ):
        np.testing.assert_allclose(other, plain, atol=1e-5)
    step = partial(adversarial.fgsm, PREDICT, epsilon=0.1, **UNIT)
    np.testing.assert_allclose(jax.jit(step)(X, Y), step(X, Y), atol=1e-6)


def test_several_networks_are_attacked_at_once_by_vmap():
    weights = jax.random.normal(KEY, (3, 6, 4))

    def run(weights):
        return adversarial.pgd(
            KEY, lambda x: x @ weights, X, Y % 4, epsilon=0.1, steps=3, **UNIT
        )

    stacked = jax.vmap(run)(weights)
    for number in range(3):
        np.testing.assert_allclose(stacked[number], run(weights[number]), atol=1e-5)


def test_epsilon_may_be_traced():
    def run(epsilon):
        return adversarial.fgsm(PREDICT, X, Y, epsilon=epsilon, **UNIT)

    several = jax.vmap(run)(jnp.array([0.0, 0.1]))
    np.testing.assert_array_equal(several[0], X)
    np.testing.assert_allclose(several[1], run(0.1), atol=1e-6)


def test_a_bfloat16_network_is_attacked_in_float32():
    def half(x):
        assert x.dtype == jnp.float32
        return PREDICT(x.astype(jnp.bfloat16)).astype(jnp.bfloat16)

    x = X.astype(jnp.bfloat16)
    got = adversarial.ifgsm(half, x, Y, epsilon=0.01, **UNIT)
    assert got.dtype == jnp.float32
    # Steps of .001, and .002 is what a bfloat16 near 1 rounds to.
    moved = np.abs(got - x.astype(jnp.float32))
    np.testing.assert_allclose(moved.max(), 0.01, atol=1e-6)
    assert loss_of(got).mean() > loss_of(X).mean()


def test_normalised_inputs_have_the_same_adversarial_examples():
    mean, std = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)
    centre, spread = (np.float32(v).reshape(1, 1, 1, 3) for v in (mean, std))
    network = mlp(features=12)
    raw, y = examples(network, (2, 2, 3), 16)
    limits = adversarial.normalised_limits(mean, std, epsilon=0.1)
    got = adversarial.ifgsm(
        lambda x: network(x * spread + centre), (raw - centre) / spread, y, **limits
    )
    want = adversarial.ifgsm(network, raw, y, epsilon=0.1, **UNIT)
    np.testing.assert_allclose(got * spread + centre, want, atol=1e-5)
    np.testing.assert_allclose(limits["epsilon"], [0.5, 0.4, 1 / 3], rtol=1e-6)
    np.testing.assert_allclose(limits["low"], [-2, -2, -2], rtol=1e-6)


def test_a_gradient_that_is_no_number_leaves_the_input_as_it_is():
    def predict(x):
        # The root has an infinite slope at 0, times 0.
        return jnp.concatenate([jnp.sqrt(x) * 0.0, x], axis=1)

    got = adversarial.fgsm(
        predict, jnp.zeros((1, 1)), jnp.array([0]), epsilon=0.1, low=-1.0, high=1.0
    )
    np.testing.assert_array_equal(got, [[0.0]])


@pytest.mark.parametrize(
    ("run", "words"),
    [
        (partial(adversarial.ifgsm, steps=0), "steps must be at least 1, got 0"),
        (partial(adversarial.pgd, KEY, steps=0), "steps must be at least 1, got 0"),
        (partial(adversarial.pgd, KEY, restarts=0), "restarts must be at least 1"),
        (partial(adversarial.pgd, KEY, step_size=-1.0), "step_size must be finite and"),
        (partial(adversarial.pgd, KEY, step_size=np.nan), "step_size .* got nan"),
    ],
)
def test_attacks_without_steps_are_refused(run, words):
    with pytest.raises(ValueError, match=words):
        run(PREDICT, X, Y, epsilon=0.1, **UNIT)


@pytest.mark.parametrize(("mean", "std"), [((0.5,), (0.0,)), ((0.5, 0.5), (1.0,))])
def test_limits_need_a_mean_and_a_std_above_0_for_each_channel(mean, std):
    with pytest.raises(ValueError, match="one number per channel, std above 0, got"):
        adversarial.normalised_limits(mean, std, epsilon=0.1)
