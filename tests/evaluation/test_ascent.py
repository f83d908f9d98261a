import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mixup_jax.evaluation import ascent, attack, objectives
from tests.evaluation.networks import examples, mlp

KEY = jax.random.key(0)


def test_checkpoints_of_100_steps_match_hand_computed_ones():
    # Widths 22 19 16 13 10 7 and then 6.
    assert ascent.checkpoints(100) == [22, 41, 57, 70, 80, 87, 93, 99]


@pytest.mark.parametrize(
    ("steps", "places"), [(1, [1]), (2, [1, 2]), (10, [3, 5, 6, 7, 8, 9, 10])]
)
def test_checkpoints_of_few_steps_are_rounded_up_and_counted_once(steps, places):
    assert ascent.checkpoints(steps) == places


def algorithm_1(value, start, lower, upper, epsilon, steps):
    """Algorithm 1 of the paper for one example, as it is written there."""

    def clip(point):
        return np.clip(point, lower, upper)

    points, eta = [start], 2 * epsilon
    heights, slopes = ([each] for each in value(start))
    best = 0
    marks = [0, *ascent.checkpoints(steps)]
    sizes, tops = [eta], [heights[0]]
    for k in range(steps):
        uphill = clip(points[k] + eta * np.sign(slopes[k]))
        if k:
            uphill = clip(
                points[k]
                + 0.75 * (uphill - points[k])
                + 0.25 * (points[k] - points[k - 1])
            )
        points.append(uphill)
        height, slope = value(uphill)
        heights.append(height)
        slopes.append(slope)
        if height > heights[best]:
            best = k + 1
        if k + 1 in marks:
            place = marks.index(k + 1)
            since = range(marks[place - 1], k + 1)
            rises = sum(heights[i + 1] > heights[i] for i in since)
            first = rises < 0.75 * len(since)
            second = sizes[-1] == eta and tops[-1] == heights[best]
            sizes.append(eta)
            tops.append(heights[best])
            if first or second:
                eta /= 2
                points[-1], heights[-1], slopes[-1] = (
                    points[best],
                    heights[best],
                    slopes[best],
                )
                best = k + 1
    return points[best], heights[best], eta


def test_an_ascent_equals_algorithm_1():
    predict = mlp(features=3, classes=4)
    x, y = examples(predict, (3,), 24)
    area = attack.region(x, epsilon=0.4, low=0.0, high=1.0)
    keys = attack.keys_of(KEY, y, None)
    loss = objectives.cross_entropy
    start = attack.random_points(keys, area)
    nothing = attack.Found(x, jnp.full(24, -jnp.inf), jnp.zeros(24, bool))
    found = ascent.ascend(
        predict, loss, area, (y,), keys, nothing, steps=40, scan=False
    )
    halved = 0
    for row in range(24):

        def value(point, row=row):
            one = attack.evaluate(
                predict, loss, jnp.asarray(point)[None], (y[row : row + 1],)
            )
            return float(one.loss[0]), np.asarray(one.slope[0])

        ends = np.asarray(area.lower[row]), np.asarray(area.upper[row])
        point, height, eta = algorithm_1(
            value, np.asarray(start[row]), *ends, np.float32(0.4), 40
        )
        halved += eta < 0.8
        np.testing.assert_allclose(found.loss[row], height, atol=1e-4)
        # Near its top the loss is flat.
        np.testing.assert_allclose(found.points[row], point, atol=0.01)
    assert halved > 12


def test_steps_are_halved_until_they_fit_a_narrow_peak():
    # The loss of label 0 is greatest at x = .3, and steps of 2 epsilon jump over it.
    def predict(x):
        height = -10 * (x - 0.3) ** 2
        return jnp.concatenate([jnp.zeros_like(x), height], axis=1)

    x, y = jnp.full((4, 1), 0.5), jnp.zeros(4, jnp.int32)
    area = attack.region(x, epsilon=0.5, low=0.0, high=1.0)
    keys = attack.keys_of(KEY, y, None)
    nothing = attack.Found(x, jnp.full(4, -jnp.inf), jnp.zeros(4, bool))
    found = ascent.ascend(
        predict, objectives.margin, area, (y,), keys, nothing, steps=100, scan=False
    )
    np.testing.assert_allclose(found.points, np.full((4, 1), 0.3), atol=0.01)


def test_what_was_found_before_is_kept_where_it_is_worse():
    predict = mlp()
    x, y = examples(predict)
    # Those that are right by the most, so that the ascent does not make them wrong.
    sure = np.argsort(objectives.margin(predict(x), y))[:2]
    x, y = x[sure], y[sure]
    area = attack.region(x, epsilon=0.01, low=0.0, high=1.0)
    keys = attack.keys_of(KEY, y, None)
    found = attack.Found(x + 7, jnp.array([99.0, 99.0]), jnp.array([False, True]))
    got = ascent.ascend(
        predict, objectives.cross_entropy, area, (y,), keys, found, steps=3, scan=True
    )
    np.testing.assert_array_equal(got.points, x + 7)


def test_at_a_checkpoint_the_step_is_halved_by_the_two_rules_of_the_paper():
    # Of four steps: rose thrice and higher than before; too seldom; not higher although
    # the last checkpoint left the step; not higher, but it was halved there.
    zeros = jnp.zeros((4, 1))
    climb = ascent._Climb(
        points=zeros,
        before=zeros,
        slope=zeros,
        loss=jnp.zeros(4),
        top=(zeros + 1, zeros, jnp.array([2.0, 2.0, 1.0, 1.0])),
        size=jnp.ones(4),
        rises=jnp.array([3, 2, 3, 3]),
        halved=jnp.array([False, False, False, True]),
        passed=jnp.ones(4),
        found=attack.Found(zeros, jnp.zeros(4), jnp.zeros(4, bool)),
    )
    after = ascent._checkpoint(climb, jnp.int32(4))
    assert after.size.tolist() == [1.0, 0.5, 0.5, 1.0]
    assert after.points[:, 0].tolist() == [0.0, 1.0, 1.0, 0.0]  # from the top again
    assert after.halved.tolist() == [False, True, True, False]
    assert after.rises.tolist() == [0] * 4
    between = ascent._checkpoint(climb, jnp.int32(0))
    assert between.size.tolist() == [1.0] * 4 and between.rises.tolist() == [3, 2, 3, 3]
