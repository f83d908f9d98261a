"""Checks of how the draws are distributed: lambda, partners, how often."""

import numpy as np
import scipy.special
import scipy.stats

from mixup_jax.testing.observation import ROUNDING, VISIBLE, Draws
from mixup_jax.testing.report import Finding

# How often a check of a distribution may fail a correct function.
FALSE_ALARM = 1e-6
# lambda is compared up to 0.99: a row that is its own partner looks like lambda = 1,
# and float32 has no number between 1 - 6e-8 and 1, so that small alphas pile up there.
_GRID = np.linspace(VISIBLE, 1 - VISIBLE, 981)


def lambda_law(draws: Draws, *, alpha: float) -> Finding:
    """The share of the first example in the rows seen mixed follows Beta(alpha, alpha).

    A Kolmogorov-Smirnov test of one row per call (calls are independent, rows need not
    be), conditional on a share below 0.99, at the values 0.01, 0.011, ..., 0.99. The
    limit is that of Dvoretzky, Kiefer and Wolfowitz with Massart's constant, which
    holds for any number of draws; false alarms: 1e-6. With 2,000 calls it is 0.06 to
    0.09, enough to tell alpha = 0.4 from 0.8, but not from 0.5.

    Args:
      draws: From `observe`.
      alpha: What the function was asked for. At alpha = 1 a function that ignores
        alpha may well pass: Beta(1, 1) is the uniform law.
    """
    name = "lambda law"
    if draws.cuts:
        return Finding(name, "not applicable", "cut boxes have areas of another law")
    own = draws.own[:, 0][draws.mixed[:, 0]]
    if len(own) < 50:
        detail = f"example 0 was seen mixed in {len(own)} of {len(draws.own)} batches"
        return Finding(name, "not applicable" if len(own) else "fails", detail)
    limit = float(np.sqrt(np.log(2 / FALSE_ALARM) / (2 * len(own))))
    distance = _distance(own, _beta(alpha))
    numbers = f"KS distance {distance:.3f}, limit {limit:.3f}, {len(own)} draws"
    if distance <= limit:
        return Finding(name, "holds", f"Beta({alpha:g}, {alpha:g}): {numbers}")
    folded = _distance(own, _folded(alpha))
    if own.min() >= 0.5 - ROUNDING and folded <= limit:
        detail = f"folded: max(lambda, 1 - lambda), so never below 1/2 ({folded:.3f})"
        return Finding(name, "differs", f"{detail}; Beta: {numbers}")
    near = min(np.logspace(-2, 2, 81), key=lambda a: _distance(own, _beta(a)))
    fit = _distance(own, _beta(near))
    nearest = f"nearest symmetric Beta: alpha = {near:.2g} at {fit:.3f}"
    detail = f"not Beta({alpha:g}, {alpha:g}): {numbers}; {nearest}"
    return Finding(name, "fails", detail)


def lambda_scope(draws: Draws) -> Finding:
    """One lambda serves the whole batch, as in the paper."""
    name = "one lambda per batch"
    rows = draws.mixed
    several = rows.sum(axis=1) >= 2
    if not np.any(several):
        return Finding(name, "not applicable", "no batch shows two mixed rows")
    own = np.where(rows, draws.own, np.nan)[several]
    spread = np.nanmax(own, axis=1) - np.nanmin(own, axis=1)
    if spread.max() <= ROUNDING:
        detail = f"shares in a batch differ by at most {spread.max():.1g}"
        return Finding(name, "holds", detail)
    of_partner = np.take_along_axis(draws.own, draws.partner, axis=1)
    back = np.take_along_axis(draws.partner, draws.partner, axis=1)
    mutual = rows & (back == np.arange(rows.shape[1]))
    if np.all(mutual[rows]) and np.abs(of_partner - draws.own)[mutual].max() < ROUNDING:
        return Finding(name, "differs", "one lambda for each pair")
    return Finding(name, "differs", "one lambda for each example")


def always_mixed(draws: Draws, *, alpha: float) -> Finding:
    """No more batches stay as they are than those with lambda near 0 or 1.

    A binomial test of the batches without a mixed row; false alarms: 1e-6 at most.
    """
    name = "every batch mixed"
    if draws.cuts:
        return Finding(name, "not applicable", "small boxes can be empty")
    plain = int((~draws.mixed.any(axis=1)).sum())
    # Both ends, since a folded lambda is near 1 wherever it was near 0.
    chance = 2 * scipy.special.betainc(alpha, alpha, VISIBLE)
    detail = f"{plain / len(draws.own):.1%} of batches show no mixing"
    if scipy.stats.binom.sf(plain - 1, len(draws.own), min(chance, 1)) >= FALSE_ALARM:
        return Finding(name, "holds", f"{detail}; lambda explains up to {chance:.1%}")
    detail += f", lambda explains {chance:.1%}: applied with a probability below 1?"
    return Finding(name, "differs", detail)


def pairing(draws: Draws) -> Finding:
    """Partners are drawn anew, each other example equally likely.

    A chi-square test for each row, over the other examples; false alarms: 1e-6 for all
    rows together.
    """
    name = "pairing"
    size = draws.own.shape[1]
    counts = np.zeros((size, size), np.int64)
    example = np.broadcast_to(np.arange(size), draws.partner.shape)
    np.add.at(counts, (example[draws.mixed], draws.partner[draws.mixed]), 1)
    seen = counts.sum(axis=1)
    if seen.min() < 10 * size:  # too few for a chi-square test
        detail = f"example {seen.argmin()} was seen mixed in {seen.min()} batches"
        return Finding(name, "not applicable" if seen.min() else "fails", detail)
    if np.all((counts > 0).sum(axis=1) == 1):
        order = _order(counts.argmax(axis=1))
        return Finding(name, "differs", f"fixed: {order}, never drawn anew")
    off_diagonal = counts[~np.eye(size, dtype=bool)].reshape(size, size - 1)
    least = scipy.stats.chisquare(off_diagonal, axis=1).pvalue.min()
    detail = f"least p of {size} chi-square tests {least:.2g}{_self_pairs(draws)}"
    if least < FALSE_ALARM / size:
        return Finding(name, "fails", f"random, but not uniform: {detail}")
    return Finding(name, "holds", f"uniform over the other examples: {detail}")


def _order(partner: np.ndarray) -> str:
    size = len(partner)
    shifts = set((partner - np.arange(size)) % size)
    if len(shifts) == 1:
        shift = int(shifts.pop())
        shift -= size if shift > size // 2 else 0
        return f"the batch rolled (partner of row i is row i {shift:+d})"
    if np.all(partner == np.arange(size)[::-1]):
        return "the batch in reverse order"
    return "partner of each row always the same"


def _self_pairs(draws: Draws) -> str:
    """Says how often a row is its own partner, where one lambda per batch tells."""
    told = draws.mixed.any(axis=1)
    if draws.cuts or lambda_scope(draws).status != "holds" or not np.any(told):
        return ""
    rate = np.mean(~draws.mixed[told])
    size = draws.own.shape[1]
    return f"; own partner in {rate:.1%} of rows (permutation: {1 / size:.1%})"


def _beta(alpha: float) -> np.ndarray:
    """The distribution function of lambda below 0.99."""
    below = scipy.special.betainc(alpha, alpha, _GRID)
    return below / below[-1]


def _folded(alpha: float) -> np.ndarray:
    """The same of max(lambda, 1 - lambda)."""
    below = scipy.special.betainc(alpha, alpha, _GRID)
    below = np.maximum(below - below[::-1], 0)
    return below / below[-1]


def _distance(sample: np.ndarray, law: np.ndarray) -> float:
    below = np.searchsorted(np.sort(sample), _GRID, side="right") / len(sample)
    return float(np.abs(below - law).max())
