import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mixup_jax.evaluation import attack
from tests.evaluation.networks import linear

X = jnp.array([[0.05, 0.5], [0.9, 1.0]])


def test_the_region_is_the_ball_within_the_range():
    area = attack.region(X, epsilon=0.1, low=0.0, high=1.0)
    np.testing.assert_allclose(area.lower, [[0, 0.4], [0.8, 0.9]], atol=1e-7)
    np.testing.assert_allclose(area.upper, [[0.15, 0.6], [1.0, 1.0]], atol=1e-7)
    got = attack.project(area, jnp.array([[-1.0, 0.45], [0.95, 2.0]]))
    np.testing.assert_allclose(got, [[0, 0.45], [0.95, 1.0]], atol=1e-7)


def test_channels_may_have_limits_of_their_own():
    images = jnp.full((1, 2, 2, 3), 0.5)
    area = attack.region(
        images,
        epsilon=np.array([0.1, 0.2, 0.3]),
        low=np.array([0.45, 0.0, 0.0]),
        high=np.array([1.0, 0.6, 1.0]),
    )
    np.testing.assert_allclose(area.lower[0, 1, 0], [0.45, 0.3, 0.2], rtol=1e-6)
    np.testing.assert_allclose(area.upper[0, 0, 1], [0.6, 0.6, 0.8], rtol=1e-6)


def test_inputs_of_numpys_own_precision_will_do():
    # A conversion to float64 would warn, and warnings are errors here.
    area = attack.region(np.array([[0.5, 0.25]]), epsilon=0.1, low=0.0, high=1.0)
    assert area.centre.dtype == jnp.float32


def test_a_range_may_be_endless():
    area = attack.region(X, epsilon=0.1, low=-jnp.inf, high=jnp.inf)
    np.testing.assert_allclose(area.upper - area.lower, np.full((2, 2), 0.2), rtol=1e-5)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"epsilon": -0.1}, "epsilon must be finite and at least 0, got -0.1"),
        ({"epsilon": np.inf}, "epsilon must be finite"),
        ({"epsilon": np.nan}, "epsilon must be finite"),
        ({"low": 1.0}, "low must be below high, got 1.0 and 1.0"),
        ({"high": 0.9}, r"reach from 0.05 to 1, outside .* see normalised_limits"),
        ({"low": 0.1}, r"reach from 0.05 to 1, outside"),
        ({"low": 0.1, "high": np.inf}, r"reach from 0.05 to 1, outside"),
        ({"epsilon": np.ones(3)}, "shape"),
    ],
)
def test_limits_that_cannot_be_meant_are_refused(options, words):
    given = {"epsilon": 0.1, "low": 0.0, "high": 1.0}
    with pytest.raises(ValueError, match=words):
        attack.region(X, **{**given, **options})


def test_bytes_are_refused():
    with pytest.raises(ValueError, match="dtype uint8; convert them to float"):
        attack.region(np.zeros((2, 2), np.uint8), epsilon=0.1, low=0.0, high=1.0)


def test_an_attack_begins_with_class_ids_only():
    predict = linear(np.ones((2, 3), np.float32), np.zeros(3, np.float32))
    limits = {"epsilon": 0.1, "low": 0.0, "high": 1.0}
    with pytest.raises(ValueError, match=r"labels must be in 0 \.\. 2, got 0 \.\. 3"):
        attack.begin(predict, X, jnp.array([0, 3]), **limits)


def test_random_points_fill_the_ball_and_stay_in_the_range():
    inputs = jnp.zeros((2000, 2)) + jnp.array([[0.5, 0.0]])
    area = attack.region(inputs, epsilon=0.1, low=0.0, high=1.0)
    keys = attack.keys_of(jax.random.key(0), jnp.zeros(2000, jnp.int32), None)
    points = np.asarray(attack.random_points(keys, area))
    # U(.4, .6) has std .2 / sqrt(12) = .0577, within 4 sigma of 2,000 draws.
    np.testing.assert_allclose(points[:, 0].mean(), 0.5, atol=4 * 0.0577 / 2000**0.5)
    np.testing.assert_allclose(points[:, 0].std(), 0.0577, atol=0.003)
    # Half of the second coordinate is clipped to the range's end.
    np.testing.assert_allclose((points[:, 1] == 0).mean(), 0.5, atol=0.045)
    assert points.min() >= 0


def test_keys_go_by_the_place_in_the_data_set():
    key, labels = jax.random.key(3), jnp.zeros(4, jnp.int32)
    whole = jax.random.key_data(attack.keys_of(key, labels, None))
    part = attack.keys_of(key, labels[:2], jnp.array([2, 3]))
    np.testing.assert_array_equal(jax.random.key_data(part), whole[2:])


def test_values_of_a_linear_network_match_hand_computed_ones():
    # Margin x (w_1 - w_0) = 2 x_0 - 3 x_1 for label 0, its opposite for label 1.
    predict = linear([[1.0, 3.0], [4.0, 1.0]], [0.0, 0.0])
    labels = jnp.array([0, 1])

    def margin(logits, labels):
        own = jnp.take_along_axis(logits, labels[:, None], axis=1)[:, 0]
        return logits.sum(axis=1) - 2 * own

    value = attack.evaluate(predict, margin, X, (labels,))
    np.testing.assert_allclose(value.loss, [0.1 - 1.5, 3 - 1.8], rtol=1e-5)
    np.testing.assert_allclose(value.slope, [[2.0, -3.0], [-2.0, 3.0]], rtol=1e-6)
    assert value.wrong.tolist() == [False, True]


def test_the_way_uphill_is_0_where_the_gradient_is_no_number():
    slope = jnp.array([[2.0, -3.0, 0.0, jnp.nan, jnp.inf]])
    np.testing.assert_array_equal(attack.uphill(slope), [[1, -1, 0, 0, 0]])


@pytest.mark.parametrize(
    ("wrong", "loss", "found_wrong", "found_loss", "taken"),
    [
        (True, 0.0, False, 9.0, True),
        (False, 9.0, True, 0.0, False),
        (False, 2.0, False, 1.0, True),
        (True, 1.0, True, 2.0, False),
        (True, 1.0, True, 1.0, False),
        (False, np.nan, False, 1.0, False),
    ],
)
def test_wrong_points_come_before_those_with_more_loss(
    wrong, loss, found_wrong, found_loss, taken
):
    found = attack.Found(
        jnp.zeros((1, 2)), jnp.array([found_loss]), jnp.array([found_wrong])
    )
    value = attack.Value(jnp.array([loss]), jnp.array([wrong]), jnp.zeros((1, 2)))
    got = attack.keep_worst(found, jnp.ones((1, 2)), value)
    assert bool(got.points[0, 0] == 1) == taken


def test_a_compiled_loop_gives_what_python_gives():
    def step(state, inputs):
        first, second = inputs
        return state * first + second

    inputs = np.arange(1.0, 5, dtype=np.float32), np.ones(4, np.float32)
    start = jnp.float32(1.0)
    # ((((1 + 1) 2 + 1) 3 + 1) 4 + 1)
    for scan in (False, True):
        assert float(attack.iterate(step, start, inputs, scan=scan)) == 65


def test_a_loop_ends_when_nothing_would_change():
    calls = []

    def step(state, number):
        calls.append(int(number))
        return state + 1

    attack.iterate(step, 0, np.arange(500), scan=False, done=lambda state: state >= 70)
    assert len(calls) == 100
