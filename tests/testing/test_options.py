"""Checks of other alphas, alpha = 0, seeds, masks, class ids as the usual input."""

import numpy as np
import pytest

from mixup_jax import testing
from tests.testing.reference import ALPHA, Reference

EYE = np.eye(8, dtype=np.float32)


def at_alpha(alpha):
    return Reference(alpha=alpha)


class IgnoresAlpha(Reference):
    def lam(self, size):
        return self.rng.random()


class ErmAtZero(Reference):
    def lam(self, size):
        return super().lam(size) if self.alpha > 0 else 1.0


class CoinAtZero(Reference):
    def lam(self, size):
        return super().lam(size) if self.alpha > 0 else float(self.rng.random() < 0.5)


class NanAtZero(Reference):
    def lam(self, size):
        return super().lam(size) if self.alpha > 0 else np.nan


class HalfAtZero(Reference):
    def lam(self, size):
        return super().lam(size) if self.alpha > 0 else 0.5


def test_one_alpha_can_hide_what_other_alphas_show():
    def ignores(alpha):
        return IgnoresAlpha(alpha=alpha)

    assert (
        testing.lambda_law(testing.observe(ignores(1.0), draws=500), alpha=1.0).status
        == "holds"
    )
    found = testing.other_alphas(ignores, draws=500)
    assert found.status == "fails"
    assert "alpha = 0.1: not Beta(0.1, 0.1)" in found.detail
    assert testing.other_alphas(at_alpha, draws=500).status == "holds"
    assert (
        "NaN" in testing.other_alphas(lambda alpha: NanAtZero(alpha=0), draws=10).detail
    )


@pytest.mark.parametrize(
    ("kind", "status", "words"),
    [
        (ErmAtZero, "holds", "bit for bit"),
        (Reference, "differs", "refused (ValueError"),  # NumPy refuses Beta(0, 0)
        (CoinAtZero, "differs", "come out permuted"),
        (NanAtZero, "fails", "NaN"),
        (HalfAtZero, "fails", "a batch that is mixed"),
    ],
)
def test_alpha_zero_is_erm_or_refused(kind, status, words):
    found = testing.alpha_zero(lambda alpha: kind(alpha=alpha))
    assert found.status == status
    assert words in found.detail


def test_a_seed_must_be_heard_and_must_be_enough():
    assert testing.reproducible(Reference).status == "holds"
    deaf = testing.reproducible(lambda seed: Reference(0))
    assert deaf.detail == "seeds 1 and 2 give the same batches"
    shared = Reference()
    unseeded = testing.reproducible(lambda seed: shared)
    assert unseeded.detail == "seed 1 gives other batches the second time"
    assert deaf.status == unseeded.status == "fails"


def test_masks_must_be_mixed_as_the_images_are():
    mix = Reference()

    def along_the_wrong_axis(inputs, masks):
        return mix(inputs, masks)[0], np.take(masks, mix.partner(8))

    def apart(inputs, masks):
        return mix(inputs, masks)[0], mix(masks, masks)[1]

    def refuses(inputs, masks):
        raise ValueError("no masks")

    assert testing.masks(mix).status == "holds"
    assert "become (8,)" in testing.masks(along_the_wrong_axis).detail
    assert "differ from the inputs' by" in testing.masks(apart).detail
    assert "refused (ValueError: no masks)" in testing.masks(refuses).detail


class TakesIds(Reference):
    def __call__(self, inputs, labels):
        return super().__call__(inputs, EYE[labels.reshape(-1)])


def test_a_function_of_class_ids_is_checked_in_its_own_form():
    report = testing.check_mixing(TakesIds(), alpha=ALPHA, labels="ids", draws=500)
    assert report.failures == (), report.table()
    assert report["class ids"].detail == "[B, 1] one-hot encoded"


def test_a_function_that_averages_class_ids_ends_the_report():
    def averages(inputs, labels):
        return Reference()(inputs, labels.astype(np.float32))

    report = testing.check_mixing(averages, alpha=ALPHA, labels="ids")
    assert [found.check for found in report.failures] == ["shapes"]
    assert len(report.findings) == 1
    assert "targets of shape (8,): class ids averaged?" in report.failures[0].detail


@pytest.mark.parametrize("num_classes", [4, 5, 30])
def test_any_number_of_classes_will_do(num_classes):
    draws = testing.observe(Reference(), num_classes=num_classes, draws=20)
    assert draws.targets.shape == (20, min(8, num_classes // 2 * 2), num_classes)
    assert testing.agreement(draws).status == "holds"


def test_too_few_classes_and_strange_shapes_are_refused():
    with pytest.raises(ValueError, match="num_classes must be at least 4, got 3"):
        testing.observe(Reference(), num_classes=3)
    with pytest.raises(ValueError, match=r"targets have shape \(8,\)"):
        testing.observe(lambda inputs, labels: (inputs, labels[:, 0]))
    with pytest.raises(ValueError, match=r"inputs have shape \(8, 6, 10\)"):
        testing.observe(lambda inputs, labels: (inputs[..., 0], labels))
