"""The statistical checks: their limits, their power, and what they abstain from."""

import numpy as np
import pytest
import scipy.stats

from mixup_jax import testing
from tests.testing.reference import Reference

EXAMPLES = 4


def draws_of(lam, partner=None):
    """Batches of four in which each row has the batch's lambda and the partner said."""
    count = len(lam)
    if partner is None:
        partner = np.broadcast_to(np.roll(np.arange(EXAMPLES), 1), (count, EXAMPLES))
    eye = np.eye(EXAMPLES)
    inputs = lam[:, None, None] * eye + (1 - lam)[:, None, None] * eye[partner]
    return testing.Draws(inputs, inputs, np.zeros(count), np.zeros(count, dtype=bool))


def beta_draws(alpha, count=2000, seed=0):
    return np.random.default_rng(seed).beta(alpha, alpha, count)


@pytest.mark.parametrize("alpha", [0.2, 1.0, 8.0])
def test_the_distance_and_its_limit_are_those_of_kolmogorov_and_smirnov(alpha):
    lam = beta_draws(alpha)
    detail = testing.lambda_law(draws_of(lam), alpha=alpha).detail
    told = detail.replace(",", "").split()
    distance, limit = (
        float(told[told.index(word) + 1]) for word in ("distance", "limit")
    )
    seen, beta = lam[lam < 0.99], scipy.stats.beta(alpha, alpha)
    law = scipy.stats.ks_1samp(seen, lambda x: beta.cdf(x) / beta.cdf(0.99))
    # The grid has steps of 0.001, where SciPy has all points, below 0.01 too.
    assert distance == pytest.approx(law.statistic, abs=0.004)
    assert limit == pytest.approx(scipy.stats.kstwo.isf(1e-6, len(seen)), rel=0.01)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("alpha", [0.05, 0.4, 1.0, 32.0])
def test_the_right_beta_passes_and_twice_its_alpha_does_not(alpha, seed):
    # float32 as in a framework: at 0.05 one draw in five is rounded to exactly 1.
    draws = draws_of(beta_draws(alpha, seed=seed).astype(np.float32))
    assert testing.lambda_law(draws, alpha=alpha).status == "holds"
    assert testing.lambda_law(draws, alpha=2 * alpha).status == "fails"
    assert testing.lambda_law(draws, alpha=alpha / 2).status == "fails"


def test_the_nearest_alpha_is_named():
    found = testing.lambda_law(draws_of(beta_draws(1.0)), alpha=0.2)
    nearest = float(found.detail.split("alpha = ")[1].split()[0])
    assert nearest == pytest.approx(1.0, rel=0.15)


def test_a_folded_lambda_is_told_from_a_wrong_one():
    lam = beta_draws(0.4)
    folded = np.maximum(lam, 1 - lam)
    assert testing.lambda_law(draws_of(folded), alpha=0.4).status == "differs"
    assert testing.lambda_law(draws_of(folded), alpha=2.0).status == "fails"


def test_self_pairs_do_not_disturb_the_law_of_lambda():
    lam = beta_draws(0.4)
    rng = np.random.default_rng(1)
    partner = np.stack([rng.permutation(EXAMPLES) for _ in lam])
    draws = draws_of(lam, partner)
    assert np.mean(~draws.mixed[:, 0]) > 0.25  # a naive test would see lambda = 1
    assert testing.lambda_law(draws, alpha=0.4).status == "holds"
    found = testing.pairing(draws)
    assert found.status == "holds"
    rate = float(found.detail.split("own partner in ")[1].split("%")[0])
    # 1/4, without the one permutation in 24 that leaves all rows to themselves.
    assert rate == pytest.approx(100 * (1 / 4 - 1 / 24) / (1 - 1 / 24), abs=3)


def test_never_mixing_fails():
    plain = draws_of(np.ones(2000))
    assert testing.lambda_law(plain, alpha=0.4).status == "fails"
    assert testing.pairing(plain).status == "fails"
    assert testing.always_mixed(plain, alpha=0.4).status == "differs"
    assert testing.lambda_scope(plain).status == "not applicable"


def test_few_draws_accuse_nobody():
    few = draws_of(beta_draws(0.4, count=30))
    assert testing.lambda_law(few, alpha=8.0).status == "not applicable"
    assert testing.pairing(few).status == "not applicable"


def test_always_mixed_counts_what_lambda_explains():
    # Beta(0.1, 0.1) is above 0.99 in a third of draws; folded, in two thirds.
    lam = beta_draws(0.1)
    for draws in (draws_of(lam), draws_of(np.maximum(lam, 1 - lam))):
        assert testing.always_mixed(draws, alpha=0.1).status == "holds"
        assert testing.always_mixed(draws, alpha=1.0).status == "differs"


class CutMix(Reference):
    """Pastes a box of the partner's pixels; the label share is the area or lambda."""

    corrected = True

    def __call__(self, inputs, labels):
        if labels.dtype.kind != "f":
            raise ValueError("floats, please")
        size, height, width, _ = inputs.shape
        lam, partner = self.lam(size), self.partner(size)
        high, wide = (int(side * np.sqrt(1 - lam)) for side in (height, width))
        top, left = self.rng.integers(0, height), self.rng.integers(0, width)
        box = np.s_[:, top : top + high, left : left + wide]
        mixed = inputs.copy()
        mixed[box] = inputs[partner][box]
        area = mixed[0, ..., 0].size - inputs[box][0, ..., 0].size
        share = area / (height * width) if self.corrected else lam
        return mixed, self.targets(labels, partner, share)


class CutMixOfLambda(CutMix):
    corrected = False


def test_cutmix_is_known_and_its_labels_are_held_to_the_area():
    report = testing.check_mixing(CutMix(), alpha=0.4, draws=1000)
    assert report.failures == (), report.table()
    assert "looks like CutMix" in report["same weights in all pixels"].detail
    assert report["inputs and targets agree"].status == "holds"
    assert report["lambda law"].status == "not applicable"
    assert report["every batch mixed"].status == "not applicable"
    assert report["pairing"].status == "holds"


def test_cutmix_without_the_correction_of_lambda_fails():
    report = testing.check_mixing(CutMixOfLambda(), alpha=0.4, draws=1000)
    assert report["inputs and targets agree"].status == "fails"
    assert report["two losses = soft target"].status == "fails"
