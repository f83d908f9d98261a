"""Checks of what one mixed row is: weights, inputs against targets, the loss."""

import numpy as np

from mixup_jax.testing.observation import EXACT, ROUNDING, Draws
from mixup_jax.testing.report import Finding


def weights(draws: Draws) -> Finding:
    """Each row is made of at most two examples, with weights that sum to one."""
    name = "weights"
    if not (np.all(np.isfinite(draws.inputs)) and np.all(np.isfinite(draws.targets))):
        rows = ~np.isfinite(draws.inputs.sum(-1) + draws.targets.sum(-1))
        return Finding(name, "fails", f"NaN or infinite in {rows.mean():.2%} of rows")
    sums = np.abs(draws.inputs.sum(axis=-1) - 1).max()
    least = draws.inputs.min()
    if sums > ROUNDING or least < -ROUNDING:
        detail = f"sums are off by {sums:.2g} and the least weight is {least:.2g}"
        return Finding(name, "fails", detail)
    count = (draws.inputs > ROUNDING).sum(axis=-1).max()
    if count > 2:
        return Finding(name, "differs", f"up to {count} examples in a row, paper: 2")
    return Finding(name, "holds", f"at most 2 examples; sums within {sums:.1g} of 1")


def pixels(draws: Draws) -> Finding:
    """All pixels of a row have the same weights; else the function cuts, as CutMix."""
    name = "same weights in all pixels"
    spread = draws.spread.max()
    if not draws.cuts:
        return Finding(name, "holds", f"they differ by at most {spread:.1g}")
    cut = draws.spread > ROUNDING
    if not np.all(draws.whole[cut]):
        detail = f"weights differ by {spread:.2g} between pixels, which are not pasted"
        return Finding(name, "fails", detail)
    detail = (
        f"{cut.mean():.0%} of batches are pasted from whole pixels: looks like CutMix, "
        "and the share of an example is the area of its pixels"
    )
    return Finding(name, "differs", detail)


def smoothing(draws: Draws) -> Finding:
    """Targets are mixed labels and no more: absent classes have weight 0."""
    if draws.smoothing == 0:
        detail = "absent classes have weight 0"
        return Finding("label smoothing", "holds", detail)
    detail = f"targets hold label smoothing of {draws.smoothing:.3g}"
    return Finding("label smoothing", "differs", detail)


def agreement(draws: Draws) -> Finding:
    """Targets give each example the weight that the inputs give it.

    Label smoothing is taken out of the targets first. For a function that cuts this is
    the rule of CutMix: the share in the label is the area of the pixels.
    """
    name = "inputs and targets agree"
    difference = weight_differences(draws)
    worst = difference.max()
    if worst <= EXACT:
        return Finding(name, "holds", f"weights differ by at most {worst:.1g}")
    if worst <= ROUNDING:
        detail = f"but for rounding: weights differ by up to {worst:.2g}"
        return Finding(name, "differs", detail)
    wrong = np.any(difference > ROUNDING, axis=-1)
    detail = (
        f"weights differ by up to {worst:.2g}, and by more than {ROUNDING} in "
        f"{wrong.mean():.0%} of rows{_hint(draws)}"
    )
    return Finding(name, "fails", detail)


def losses(draws: Draws) -> Finding:
    """Cross-entropy on the targets is the weighted sum of those of the two labels.

    lam * CE(label) + (1 - lam) * CE(partner's label), for random logits, with the
    shares and the partners that the inputs show.
    """
    name = "two losses = soft target"
    shape = draws.targets.shape[1:]
    logits = np.random.default_rng(0).normal(size=shape)
    logits -= np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    soft = -(draws.targets * logits).sum(axis=-1)
    examples = draws.inputs.shape[-1]
    two = -(draws.inputs * logits[:, :examples]).sum(axis=-1)
    worst = np.abs(soft - two).max()
    # The logits' range turns an error of a weight into one of the loss.
    scale = np.ptp(logits)
    detail = f"they differ by up to {worst:.2g} nats for standard normal logits"
    if worst <= scale * EXACT:
        return Finding(name, "holds", detail)
    if worst <= scale * ROUNDING:
        return Finding(name, "differs", f"{detail} (rounding)")
    if draws.smoothing:
        return Finding(name, "differs", f"{detail} (the label smoothing)")
    return Finding(name, "fails", detail)


def expectation(draws: Draws) -> Finding:
    """On average each example has weight 1 in a batch, so the batch's mean is kept.

    Six standard errors plus 0.001 for rounding: a correct function fails about twice
    in a thousand million times, per example.
    """
    name = "mean of the batch kept"
    total = draws.inputs.sum(axis=1)
    off = total.mean(axis=0) - 1
    error = total.std(axis=0) / np.sqrt(len(total))
    worst = int(np.abs(off).argmax())
    if np.all(np.abs(off) <= 6 * error + 1e-3):
        each = np.abs(total - 1).max()
        sort = "in each draw" if each < ROUNDING else "on average"
        detail = f"weights of an example sum to one {sort} (mean {1 + off[worst]:.4f})"
        return Finding(name, "holds", detail)
    detail = (
        f"example {worst} has weight {1 + off[worst]:.4f} per batch on average, "
        f"standard error {error[worst]:.4f}"
    )
    return Finding(name, "fails", detail)


def weight_differences(draws: Draws) -> np.ndarray:
    """How far the targets' weights are from the inputs', smoothing taken out."""
    targets = draws.unsmoothed
    absent = targets.shape[-1] - draws.inputs.shape[-1]
    return np.abs(targets - np.pad(draws.inputs, ((0, 0), (0, 0), (0, absent))))


def _hint(draws: Draws) -> str:
    """Says which of the usual mistakes it looks like."""
    size = draws.inputs.shape[-1]
    targets = draws.unsmoothed[..., :size]
    own = np.diagonal(targets, axis1=1, axis2=2)
    rows = draws.mixed
    if not np.any(rows):
        return ""
    if np.abs(own - 1)[rows].max() <= ROUNDING:
        return ": the labels are not mixed"
    if np.abs(own - (1 - draws.own))[rows].max() <= ROUNDING:
        return ": the targets give lambda to the partner"
    other = (targets * (1 - np.eye(size))).argmax(axis=-1)
    if np.mean((other != draws.partner)[rows]) > 0.5:
        return ": the labels have other partners than the inputs"
    return ""
