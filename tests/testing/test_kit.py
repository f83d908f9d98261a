"""The kit passes what is right and names, by the right check, what is wrong."""

import functools
import itertools
import re

import jax
import numpy as np
import pytest

import mixup_jax
from mixup_jax import testing
from tests.testing.reference import ALPHA, Reference


@functools.cache
def _many():
    """250 draws at once: 5,000 calls of one take longer than all the checks."""

    def mix(key, batch, alpha):
        keys = jax.random.split(key, 250)
        return jax.vmap(lambda key: mixup_jax.mixup(key, batch, alpha=alpha))(keys)

    return jax.jit(mix)


def ours(alpha=ALPHA, seed=0):
    calls = itertools.count()
    ahead = {}

    def mix(inputs, labels):
        form = (inputs.shape, inputs.dtype, labels.dtype)
        if not ahead.get(form):
            key = jax.random.fold_in(jax.random.key(seed), next(calls))
            mixed, targets = _many()(key, (inputs, labels), float(alpha))
            ahead[form] = list(zip(np.asarray(mixed), np.asarray(targets), strict=True))
        return ahead[form].pop()

    return mix


def statuses(report):
    return {found.check: found.status for found in report.findings}


def test_everything_holds_for_our_mixup():
    report = testing.check_mixing(
        ours(), alpha=ALPHA, at_alpha=ours, seeded=lambda seed: ours(seed=seed)
    )
    assert len(report.findings) == 20
    assert set(statuses(report).values()) == {"holds"}, report.table()
    report.raise_if_failed()


def test_everything_holds_for_a_reference_in_numpy():
    def mix_masks(inputs, masks):
        return Reference()(inputs, masks)

    report = testing.check_mixing(Reference(), alpha=ALPHA, mix_masks=mix_masks)
    assert set(statuses(report).values()) == {"holds"}, report.table()


@functools.cache
def report_on(broken):
    return testing.check_mixing(broken(), alpha=ALPHA, draws=500)


class GammaOfRateAlpha(Reference):
    def lam(self, size):  # keras-cv's for years: alpha cancels, lambda is uniform
        first, other = self.rng.gamma(1, 1 / self.alpha, size=2)
        return first / (first + other)


class Folded(Reference):
    def lam(self, size):
        return max(lam := super().lam(size), 1 - lam)


class SometimesNaN(Reference):
    def lam(self, size):
        return np.nan if self.rng.random() < 0.01 else super().lam(size)


class PerExample(Reference):
    def lam(self, size):
        return self.rng.beta(self.alpha, self.alpha, size)


class PerPair(PerExample):
    def lam(self, size):
        half = super().lam(-(-size // 2))
        return np.concatenate([half, half[: size // 2][::-1]])

    def partner(self, size):
        return np.arange(size)[::-1]


class Rolled(Reference):
    def partner(self, size):
        return np.roll(np.arange(size), 1)


class FixedOrder(Reference):
    def partner(self, size):
        return np.arange(size) ^ 1 if size % 2 == 0 else super().partner(size)


class NotUniform(Reference):
    def partner(self, size):  # one in five batches is rolled
        rolled = np.roll(np.arange(size), 1)
        return rolled if self.rng.random() < 0.2 else super().partner(size)


class WithTheFirst(Reference):
    def partner(self, size):
        return np.zeros(size, int)


class HalfTheTime(Reference):
    def lam(self, size):
        return super().lam(size) if self.rng.random() < 0.5 else 1.0


class LabelsPermutedApart(Reference):
    def targets(self, labels, partner, lam):
        return super().targets(labels, self.partner(len(labels)), lam)


class SwappedInTargets(Reference):
    def targets(self, labels, partner, lam):
        return super().targets(labels, partner, 1 - lam)


class LabelsNotMixed(Reference):
    def targets(self, labels, partner, lam):
        return labels


class Smoothed(Reference):
    def targets(self, labels, partner, lam):
        return super().targets(0.9 * labels + 0.1 / labels.shape[1], partner, lam)


class Rounded(Reference):
    def blend(self, rows, partner, lam):
        mixed = super().blend(rows, partner, lam)
        return mixed if rows.ndim == 2 else np.rint(mixed * 255) / 255


class Truncated(Reference):
    def blend(self, rows, partner, lam):
        mixed = super().blend(rows, partner, lam)
        return mixed if rows.ndim == 2 else np.trunc(mixed * 255) / 255


class WeightsTooSmall(Reference):
    def blend(self, rows, partner, lam):
        return super().blend(rows, partner, lam) * rows.dtype.type(0.98)


class ThreeInARow(Reference):
    def blend(self, rows, partner, lam):
        return super().blend(super().blend(rows, partner, lam), partner, lam)


class Gradient(Reference):
    def blend(self, rows, partner, lam):  # more of the partner to the right
        if rows.ndim == 2:
            return super().blend(rows, partner, lam)
        lam = np.linspace(0, 1, rows.shape[2], dtype=rows.dtype)[:, None]
        return lam * rows + (1 - lam) * rows[partner]


class ShuffledInPlace(Reference):
    def __call__(self, inputs, labels):
        mixed = super().__call__(inputs.copy(), labels)
        inputs[:] = inputs[::-1]
        return mixed


class WrittenOverItsInput(Reference):
    def __call__(self, inputs, labels):
        inputs[:], targets = super().__call__(inputs, labels)
        return inputs, targets


class Float32Always(Reference):
    def blend(self, rows, partner, lam):
        return super().blend(rows.astype(np.float32), partner, lam)


class NoHalf(Reference):
    def __call__(self, inputs, labels):
        if inputs.dtype == np.float16:
            raise TypeError("no float16")
        return super().__call__(inputs, labels)


class AveragesClassIds(Reference):
    def __call__(self, inputs, labels):
        return super().__call__(inputs, labels.astype(np.float32))


class AveragesColumnsOfClassIds(Reference):
    def __call__(self, inputs, labels):
        if labels.ndim == 1:
            raise ValueError("two axes, please")
        return super().__call__(inputs, labels.astype(np.float32))


class Bytes(Reference):
    """Mixes bytes, and returns them, in the way that a subclass says."""

    def __call__(self, inputs, labels):
        mixed, targets = super().__call__(inputs.astype(np.float32), labels)
        return (self.cast(mixed) if inputs.dtype == np.uint8 else mixed), targets


class BytesToFloats(Bytes):
    def cast(self, mixed):
        return mixed


class BytesToUnitInterval(Bytes):
    def cast(self, mixed):
        return mixed / 255


class BytesRounded(Bytes):
    def cast(self, mixed):
        return np.rint(mixed).astype(np.uint8)


class BytesScaledAway(Bytes):
    def cast(self, mixed):
        return (mixed / 255).astype(np.uint8)


class EvenOnly(Reference):
    def __call__(self, inputs, labels):
        if len(inputs) % 2:
            raise AssertionError("even batches only")
        return super().__call__(inputs, labels)


class OddRowDropped(Reference):
    def __call__(self, inputs, labels):
        even = max(len(inputs) // 2 * 2, 1)
        mixed, targets = super().__call__(inputs, labels)
        return mixed[:even], targets[:even]


class SqueezedOfOne(Reference):
    def __call__(self, inputs, labels):
        mixed, targets = super().__call__(inputs, labels)
        return mixed, targets.squeeze()


@pytest.mark.parametrize(
    ("broken", "check", "status", "words"),
    [
        (GammaOfRateAlpha, "lambda law", "fails", "nearest symmetric Beta: alpha = "),
        (Folded, "lambda law", "differs", r"max\(lambda, 1 - lambda\)"),
        (SometimesNaN, "weights", "fails", "NaN"),
        (WeightsTooSmall, "weights", "fails", "sums are off by 0.02"),
        (ThreeInARow, "weights", "differs", "up to 3 examples"),
        (Gradient, "same weights in all pixels", "fails", "not pasted"),
        (PerExample, "one lambda per batch", "differs", "for each example"),
        (PerPair, "one lambda per batch", "differs", "for each pair"),
        (PerPair, "pairing", "differs", "reverse order"),
        (Rolled, "pairing", "differs", "row i -1"),
        (FixedOrder, "pairing", "differs", "always the same"),
        (NotUniform, "pairing", "fails", "not uniform"),
        (WithTheFirst, "mean of the batch kept", "fails", "example 0 has weight 4."),
        (HalfTheTime, "every batch mixed", "differs", "probability below 1"),
        (LabelsPermutedApart, "inputs and targets agree", "fails", "other partners"),
        (SwappedInTargets, "inputs and targets agree", "fails", "lambda to the partn"),
        (LabelsNotMixed, "inputs and targets agree", "fails", "are not mixed"),
        (LabelsNotMixed, "two losses = soft target", "fails", "nats"),
        (Smoothed, "label smoothing", "differs", "smoothing of 0.1"),
        (Smoothed, "inputs and targets agree", "holds", "at most"),
        (Smoothed, "two losses = soft target", "differs", "the label smoothing"),
        (Rounded, "inputs and targets agree", "differs", "up to 0.00"),
        (Rounded, "two losses = soft target", "differs", "rounding"),
        (Truncated, "mean of the batch kept", "fails", "weight 0.99"),
        (ShuffledInPlace, "arguments kept", "fails", "input array was changed"),
        (WrittenOverItsInput, "pairing", "holds", "uniform over the other"),
        (WrittenOverItsInput, "arguments kept", "differs", "written over the input"),
        (Float32Always, "dtypes", "differs", "float16 -> float32; bfloat16 -> float32"),
        (NoHalf, "dtypes", "differs", "float16 refused .*no float16"),
        (AveragesClassIds, "class ids", "fails", r"int64 ids \(8,\) become"),
        (AveragesColumnsOfClassIds, "class ids", "fails", r"ids \(8, 1\) become"),
        (BytesToFloats, "images of bytes", "holds", "become float32, not rounded"),
        (BytesToUnitInterval, "images of bytes", "holds", "not rounded"),
        (BytesRounded, "images of bytes", "differs", "become uint8; .* 0.00"),
        (BytesScaledAway, "images of bytes", "fails", "become uint8"),
        (EvenOnly, "batch of 7", "differs", "refused .*even batches only"),
        (OddRowDropped, "batch of 7", "fails", "shape"),
        (SqueezedOfOne, "batch of 1", "fails", r"shape \(8,\)"),
    ],
)
def test_each_mistake_is_caught_by_the_check_of_its_name(broken, check, status, words):
    found = report_on(broken)[check]
    assert found.status == status, found
    assert re.search(words, found.detail), found
