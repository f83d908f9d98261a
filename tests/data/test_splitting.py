import numpy as np
import pytest

from mixup_jax.data.splitting import random_split
from mixup_jax.errors import UsageError


def test_every_example_goes_one_way_and_the_seed_decides_which():
    train, test = random_split(90, seed=3)
    assert (len(train), len(test)) == (60, 30)
    assert sorted([*train, *test]) == list(range(90))
    assert train.tolist() == random_split(90, seed=3)[0].tolist()
    assert train.tolist() != random_split(90, seed=4)[0].tolist()


@pytest.mark.parametrize(
    ("share", "first"), [(0.25, 11), (0.5, 22), (0.8, 35), (0.001, 1), (0.999, 43)]
)
def test_the_share_is_that_of_all_and_neither_part_is_empty(share, first):
    train, test = random_split(44, seed=0, train_share=share)
    assert (len(train), len(test)) == (first, 44 - first)


def test_every_example_is_as_likely_to_be_trained_on():
    count, seeds = 12, 600
    drawn = np.zeros(count)
    for seed in range(seeds):
        drawn[random_split(count, seed=seed, train_share=0.5)[0]] += 1
    # 300 of 600 with std 12.2; 4.5 sigma.
    assert abs(drawn - seeds / 2).max() < 55


@pytest.mark.parametrize(
    ("count", "options", "message"),
    [
        (1, {}, "1 example cannot be split"),
        (9, {"seed": -1}, "split_seed must be from 0 to .*, got -1"),
        (9, {"seed": 2**32}, "split_seed .* got 4294967296"),
        (9, {"train_share": 0.0}, r"train_share .* got 0\.0"),
        (9, {"train_share": 1.0}, r"train_share .* got 1\.0"),
        (9, {"train_share": float("nan")}, "train_share .* got nan"),
    ],
)
def test_what_cannot_be_split_is_refused_by_value(count, options, message):
    with pytest.raises(UsageError, match=message):
        random_split(count, **{"seed": 0, **options})
