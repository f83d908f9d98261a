import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mixup_jax.vicinity.mix import draw_mixing
from mixup_jax.vicinity.vicinity import Vicinity

KEY = jax.random.key(0)
LABELS = jnp.array([0, 1, 0, 1, 2, 0, 1, 0])


def test_the_default_is_erm():
    assert not Vicinity().mixes
    assert Vicinity().problems() == []
    assert not Vicinity(label_smoothing=0.1, noise=0.2).mixes


@pytest.mark.parametrize("lam_per", ["batch", "pair", "example"])
@pytest.mark.parametrize("examples", [2, 3])
def test_random_pairs_are_those_of_draw_mixing(lam_per, examples):
    if lam_per == "pair" and examples == 3:
        return
    vicinity = Vicinity(alpha=0.4, lam_per=lam_per, mixed_examples=examples)
    got = vicinity.draw(KEY, LABELS, alpha=0.4)
    expected = draw_mixing(KEY, 8, alpha=0.4, lam_per=lam_per, examples=examples)
    jax.tree.map(np.testing.assert_array_equal, got, expected)


def test_partners_of_the_same_class():
    vicinity = Vicinity(alpha=1.0, pairing="same_class", mixed_examples=3)
    partners = vicinity.draw(KEY, LABELS, alpha=1.0).partner
    assert partners.shape == (2, 8)
    np.testing.assert_array_equal(LABELS[partners], np.stack([LABELS] * 2))


def test_range_folding_and_probability_reach_lambda():
    draw = Vicinity(alpha=1.0, lam_low=2.0, lam_high=3.0).draw(KEY, LABELS, alpha=1.0)
    assert 2 <= float(draw.lam) <= 3
    folded = Vicinity(alpha=1.0, lam_per="example", fold_lam=True)
    assert (folded.draw(KEY, LABELS, alpha=1.0).lam >= 0.5).all()
    never = Vicinity(alpha=1.0, mix_probability=0.0)
    assert float(never.draw(KEY, LABELS, alpha=1.0).lam) == 1.0


def alphas(vicinity, epochs=10):
    at = jax.vmap(lambda epoch: vicinity.alpha_at(vicinity.alpha, epoch, epochs))
    return np.asarray(at(jnp.arange(0.0, epochs, 0.5)))


def test_mixing_starts_and_stops_between_epochs():
    # The speech recipe: five ERM epochs first.
    speech = alphas(Vicinity(alpha=0.2, mix_from_epoch=5))
    np.testing.assert_allclose(speech, [0] * 10 + [0.2] * 10, rtol=1e-6)
    both = alphas(Vicinity(alpha=0.2, mix_from_epoch=2, mix_until_epoch=4))
    np.testing.assert_allclose(both, [0] * 4 + [0.2] * 4 + [0] * 12, rtol=1e-6)


def test_alpha_moves_linearly_over_the_run():
    got = alphas(Vicinity(alpha=1.0, alpha_end=0.0))
    np.testing.assert_allclose(got, 1 - np.arange(0, 1, 0.05), atol=1e-6)
    assert Vicinity(alpha=0.0, alpha_end=1.0).mixes


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"alpha": -1.0}, "alpha must be a finite number of at least 0, got -1.0"),
        ({"alpha": "1"}, "alpha must be a number, got '1'"),
        ({"alpha_end": None}, "alpha_end must be a number, got None"),
        ({"mixed_examples": 2.5}, "mixed_examples must be a whole number, got 2.5"),
        ({"alpha": 1.0, "pairing": "randm"}, "randm"),
        ({"alpha": 1.0, "lam_per": "element"}, "element"),
        ({"alpha": 1.0, "target": "hard"}, "hard"),
        (
            {"alpha": 1.0, "mix_at": "layer1"},
            "mix_at must be inputs, waveforms, stage1",
        ),
        (
            {"alpha": 1.0, "mix_at": "stage0"},
            "mix_at must be inputs, waveforms, stage1",
        ),
        ({"alpha": 1.0, "mix_at": "3"}, "mix_at must be inputs, waveforms, stage1"),
        ({"alpha": 1.0, "mix_probability": 1.5}, "at least 0 and at most 1, got 1.5"),
        ({"label_smoothing": 1.5}, "label_smoothing"),
        ({"noise": -0.1}, "noise"),
        (
            {"alpha_end": -0.5},
            "alpha_end must be -1 or finite and at least 0, got -0.5",
        ),
        ({"alpha": 1.0, "cutmix_alpha": 0.5}, "cutmix_alpha has no effect"),
        ({"alpha": 1.0, "lam_low": 1.0}, "lam_low 1.0 must be below lam_high 1.0"),
        (
            {"alpha": 1.0, "mix_from_epoch": 5, "mix_until_epoch": 5},
            "mix_until_epoch must be after mix_from_epoch 5, got 5",
        ),
        ({"alpha": 1.0, "mixed_examples": 1}, "mixed_examples"),
        (
            {"alpha": 1.0, "pairing": "neighbours", "mix_at": "stage1"},
            "mix_at stage1 does not go with pairing neighbours",
        ),
        (
            {"alpha": 1.0, "lam_per": "pair", "mixed_examples": 3},
            "lam_per pair does not go with mixed_examples above 2",
        ),
        (
            {"cutmix_probability": 0.5, "mix_at": "stage2"},
            "cutmix_probability does not go with mix_at stage2",
        ),
        (
            {"pairing": "neighbours", "target": "closer"},
            r"without mixing \(alpha is 0\), pairing, target would have no effect",
        ),
    ],
)
def test_what_makes_no_sense_is_said(fields, message, untyped):
    (problem,) = Vicinity(**fields).problems()
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(problem)


def test_every_field_has_a_help_text():
    assert all(field.metadata["help"] for field in dataclasses.fields(Vicinity))
