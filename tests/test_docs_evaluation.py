"""The code of docs/evaluation.md is run, and measures what the page says."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mixup_jax import evaluation
from tests.blocks import ROOT, blocks_of, run


@pytest.fixture(scope="module")
def names():
    text = (ROOT / "docs" / "evaluation.md").read_text()
    return run(*blocks_of(text), names={})


def test_errors_are_those_of_the_logits(names):
    wrong = names["logits"].argmax(axis=1) != names["labels"]
    assert names["top1"] == pytest.approx(float(wrong.mean()))
    assert 0 < names["top1"] < 0.3 and names["top5"] == 0
    assert (names["best"], names["last"], names["median"]) == (0.10, 0.11, 0.11)


def test_calibration_is_better_after_the_temperature(names):
    before = evaluation.calibration.negative_log_likelihood(
        names["logits"], names["labels"]
    )
    assert names["nll"] < before
    assert names["temperature"] < 1  # mixup is not sure enough of itself
    low, high = names["interval"].low, names["interval"].high
    assert low < names["brier"] < high
    assert 0 < names["ece"] < 1 and 0 < names["same_mass"] < 1


def test_half_way_between_examples_are_the_most_misses(names):
    assert float(names["found"].lam[10]) == pytest.approx(0.5)
    assert names["at_half"][0] > 2 * max(names["found"].misses[[0, -1]])


def test_attacks_stay_within_epsilon_and_find_errors(names):
    def error(points):
        with jax.numpy_rank_promotion("allow"):
            found = names["predict"](points).argmax(axis=1)
        return float((found != names["labels"]).mean())

    clean = error(names["inputs"])
    for attack in ("one_step", "iterated", "projected"):
        assert clean < error(names[attack])
        change = jnp.abs(names[attack] - names["inputs"]).max()
        assert 0.05 < float(change) < 0.1 + 1e-6
    accuracy = names["worst"].accuracy
    assert list(accuracy) == ["clean", "apgd-ce", "apgd-t"]
    assert accuracy["clean"] == pytest.approx(1 - clean)
    assert accuracy["apgd-t"] <= 1 - error(names["projected"]) + 0.01


def test_far_points_look_less_familiar_and_all_modes_are_covered(names):
    assert 0 < float(names["area"]) < 1
    assert int(names["coverage"].modes) == 4
    assert np.isclose(float(names["coverage"].high_quality), 0.99, atol=0.02)
