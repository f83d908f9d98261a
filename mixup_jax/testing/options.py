"""Checks of what not every mixing function has: other alphas, seeds, masks."""

from collections.abc import Callable, Sequence

import numpy as np

from mixup_jax.testing import composition
from mixup_jax.testing.laws import lambda_law
from mixup_jax.testing.observation import (
    EXACT,
    ROUNDING,
    Labels,
    Mix,
    batch_size,
    call,
    call_often,
    make_batch,
    observe,
)
from mixup_jax.testing.probes import CALLS, short
from mixup_jax.testing.report import Finding


def other_alphas(
    at_alpha: Callable[[float], Mix],
    *,
    alphas: Sequence[float] = (0.1, 1.0, 8.0),
    num_classes: int = 8,
    labels: Labels = "one_hot",
    draws: int = 1000,
) -> Finding:
    """lambda follows Beta(alpha, alpha) at other alphas: see `lambda_law`.

    Args:
      at_alpha: Returns the function under test at an alpha.
      alphas: To be tried.
      num_classes: See `observe`.
      labels: See `observe`.
      draws: Calls at each alpha.
    """
    name = "lambda law at other alphas"
    found = {}
    for alpha in alphas:
        seen = observe(
            at_alpha(alpha), num_classes=num_classes, labels=labels, draws=draws
        )
        bad = composition.weights(seen)
        found[alpha] = bad if bad.status == "fails" else lambda_law(seen, alpha=alpha)
    for status in ("fails", "differs", "not applicable"):
        for alpha, finding in found.items():
            if finding.status == status:
                return Finding(name, status, f"alpha = {alpha:g}: {finding.detail}")
    return Finding(name, "holds", f"at {', '.join(f'{a:g}' for a in alphas)}")


def alpha_zero(
    at_alpha: Callable[[float], Mix],
    *,
    num_classes: int = 8,
    labels: Labels = "one_hot",
) -> Finding:
    """alpha = 0 leaves the batch as it is, which is ERM; it never gives NaN."""
    name = "alpha = 0 is ERM"
    inputs, given = make_batch(batch_size(num_classes), num_classes, labels=labels)
    try:
        mixed, _ = call_often(at_alpha(0.0), inputs, given, CALLS)
    except Exception as error:
        return Finding(name, "differs", f"refused ({short(error)})")
    if np.array_equal(mixed, np.broadcast_to(inputs, mixed.shape)):
        return Finding(name, "holds", "inputs returned bit for bit")
    if not np.all(np.isfinite(mixed)):
        return Finding(name, "fails", "gives NaN or infinities")
    shares = mixed.mean(axis=(2, 3))
    if np.all(np.minimum(shares, 1 - shares) < EXACT):
        return Finding(name, "differs", "lambda is 0 or 1: batches come out permuted")
    return Finding(name, "fails", "gives a batch that is mixed")


def reproducible(
    seeded: Callable[[int], Mix], *, num_classes: int = 8, labels: Labels = "one_hot"
) -> Finding:
    """The same seed gives the same three batches, another seed gives others."""
    name = "reproducible by seed"
    batch = make_batch(batch_size(num_classes), num_classes, labels=labels)

    def three(seed: int) -> list[np.ndarray]:
        mix = seeded(seed)
        return [array for _ in range(3) for array in call(mix, *batch)]

    first, again, other = three(1), three(1), three(2)
    if not all(map(np.array_equal, first, again)):
        return Finding(name, "fails", "seed 1 gives other batches the second time")
    if all(map(np.array_equal, first, other)):
        return Finding(name, "fails", "seeds 1 and 2 give the same batches")
    return Finding(name, "holds", "three batches equal bit for bit")


def masks(mix_masks: Mix, *, num_classes: int = 8) -> Finding:
    """Masks, [B, H, W, B] one-hot, get the weights that the inputs get.

    Args:
      mix_masks: Takes float32 images and masks, both NHWC, and mixes both.
      num_classes: See `observe`.
    """
    name = "masks"
    inputs, _ = make_batch(batch_size(num_classes), num_classes)
    try:
        mixed, mask = call_often(mix_masks, inputs, inputs, CALLS)
    except Exception as error:
        return Finding(name, "fails", f"refused ({short(error)})")
    if mask.shape != mixed.shape:
        detail = f"masks of shape {inputs.shape} become {mask.shape[1:]}"
        return Finding(name, "fails", detail)
    worst = np.abs(mixed - mask).max()
    if worst > ROUNDING:
        detail = f"weights differ from the inputs' by {worst:.2g}"
        return Finding(name, "fails", detail)
    return Finding(name, "holds", "weights as in the inputs")
