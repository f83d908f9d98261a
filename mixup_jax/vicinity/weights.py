"""With which weights examples are mixed: lambda and its law.

All draws are float32, whatever the caller computes in: a Beta drawn in bfloat16 at
alpha = 0.2 is exactly 0 or 1 in one draw of six.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from mixup_jax.types import Key
from mixup_jax.vicinity.checks import check, traced


def sample_lambda(
    key: Key,
    alpha: ArrayLike,
    shape: tuple[int, ...] = (),
    *,
    low: ArrayLike = 0.0,
    high: ArrayLike = 1.0,
    probability: ArrayLike = 1.0,
    fold: bool = False,
) -> Float[Array, "*shape"]:
    """Draws the share of the first example, lambda ~ Beta(alpha, alpha).

    The keyword options are not the paper's; by default none of them does anything.

    Args:
      key: Consumed here; do not use it again.
      alpha: Interpolation strength, at least 0; a number, or an array that broadcasts
        against `shape`. May be traced, so that one compiled program serves any alpha.
        At 0 the Beta has no density and the draw is exactly 1, which is plain ERM; at
        infinity it is exactly 1/2.
      shape: Shape of the draw: `()` for one lambda per batch (the paper).
      low: The draw is stretched from [0, 1] to [low, high]; a `low` below 0 or a
        `high` above 1 extrapolates. Not at alpha 0, which stays ERM.
      high: See `low`.
      probability: Chance that a draw mixes at all; otherwise it is exactly 1.
      fold: Replace lambda by max(lambda, 1 - lambda), so that the first example is
        always the closer one. With soft targets this changes nothing but which of two
        mirrored virtual examples is made.

    Returns:
      float32 in [0, 1], or in [low, high]. A traced alpha that is negative or NaN
      gives NaN.

    Raises:
      ValueError: If a concrete alpha is negative or NaN, a concrete probability is
        outside [0, 1], or low is not below high.

    Source: Zhang et al. (2018), section 2, arXiv:1710.09412.
    """
    check("alpha", "a number of at least 0", alpha, lambda a: a >= 0)
    check("probability", "in [0, 1]", probability, lambda p: (p >= 0) & (p <= 1))
    if not traced(low, high) and not np.all(np.asarray(low) < np.asarray(high)):
        raise ValueError(f"low must be below high, got {low} and {high}")
    concentration = jnp.asarray(alpha, jnp.float32)
    shape = jnp.broadcast_shapes(shape, concentration.shape)
    regular = (concentration > 0) & jnp.isfinite(concentration)
    # The untaken branch of a where is computed too, and JAX's Beta is NaN at 0.
    safe = jnp.where(regular, concentration, 1.0)
    draw = _symmetric_beta(key, jnp.broadcast_to(safe, shape))
    lam = jnp.where(regular, draw, jnp.where(jnp.isposinf(concentration), 0.5, jnp.nan))
    if not _is(low, 0) or not _is(high, 1):
        lam = low + (jnp.asarray(high, jnp.float32) - low) * lam
    if fold:
        lam = jnp.maximum(lam, 1 - lam)
    lam = jnp.where(concentration == 0, 1.0, lam)
    return _applied(key, lam, probability, lam.shape)


def sample_dirichlet(
    key: Key,
    alpha: ArrayLike,
    examples: int,
    shape: tuple[int, ...] = (),
    *,
    probability: ArrayLike = 1.0,
) -> Float[Array, " k *shape"]:
    """Draws the shares of k examples, Dirichlet(alpha, ..., alpha).

    Args:
      key: Consumed here.
      alpha: As in `sample_lambda`, a number: 0 gives all to the first example,
        infinity the same to each. May be traced.
      examples: k, at least 2; at 2 the first share is a Beta(alpha, alpha).
      shape: `()` for one draw per batch, `(B,)` for one per example.
      probability: Chance that a draw mixes at all; otherwise the first has all.

    Returns:
      float32, at least 0, summing to 1 over the leading axis of length k.

    Raises:
      ValueError: As `sample_lambda`, or if k is less than 2.

    Source: paper, section 2: mixing three or more "does not provide further gain".
    """
    if examples < 2:
        raise ValueError(f"at least 2 examples are mixed, got {examples}")
    check("alpha", "a number of at least 0", alpha, lambda a: a >= 0)
    check("probability", "in [0, 1]", probability, lambda p: (p >= 0) & (p <= 1))
    concentration = jnp.asarray(alpha, jnp.float32)
    regular = (concentration > 0) & jnp.isfinite(concentration)
    safe = jnp.where(regular, concentration, 1.0)
    draw = jax.random.dirichlet(key, jnp.full((examples,), safe), shape)
    shares = jnp.moveaxis(draw, -1, 0)
    equal = jnp.where(jnp.isposinf(concentration), 1 / examples, jnp.nan)
    shares = jnp.where(regular, shares, equal)
    first = (jnp.arange(examples) == 0).astype(jnp.float32)
    first = first.reshape(-1, *[1] * len(shape))
    # The same choice for all shares of one draw.
    chosen = _applied(key, jnp.zeros(shape), probability, shape) == 0
    mixes = (concentration > 0) & chosen[None]
    shares = jnp.where(mixes, shares, first)
    return jnp.where(concentration >= 0, shares, jnp.nan)


@jax.jit  # so that it rounds alike wherever it is called
def _symmetric_beta(key: Key, alpha: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Draws Beta(alpha, alpha) in closed form, accurate near 0 and 1.

    JAX's own rejects in loops, and whoever drives a GPU waits for it whenever a loop
    asks whether to go on. What that costs: docs/speed.md.

    Where t has Student's distribution with 2 alpha degrees of freedom,
    (1 + t / sqrt(t^2 + 2 alpha)) / 2 is Beta(alpha, alpha), and
    t = sqrt(2 alpha (q^-1 - 1)) cos(angle), with q = u^(1 / alpha) and a uniform angle.

    Source: Bailey (1994), "Polar generation of random variates with the
    t-distribution", Mathematics of Computation 62; Devroye (1996), "Random variate
    generation in one line of code", section 2.
    """
    # In the middle of uniform's steps of 2^-23, so that neither end is ever drawn.
    u, v = jax.random.uniform(key, (2, *alpha.shape), jnp.float32) + 2.0**-24
    # XLA divides so by a number; by an array it would not, and the last digit differ.
    log_q = jnp.log(u) * (1 / alpha)
    square = jnp.square(jnp.cos(jnp.pi * v)) * -jnp.expm1(log_q)
    rest = jnp.exp(log_q)
    # The distance from the nearer end, (1 - root) / 2, without its cancellation.
    root = jnp.sqrt(square / (square + rest))
    near = rest / (square + rest) / (2 * (1 + root))
    return jnp.where(v < 0.5, near, 1 - near)


def pair_lambda(lam: Float[Array, " B"], partner: Array) -> Float[Array, " B"]:
    """Gives both examples of each pair one share: that of the earlier of the two.

    Args:
      lam: A draw per example.
      partner: A matching, where everyone is their partner's partner; see
        `sample_matching`.
    """
    return lam[jnp.minimum(jnp.arange(len(partner)), partner)]


def _applied(
    key: Key, lam: Array, probability: ArrayLike, shape: tuple[int, ...]
) -> Array:
    if _is(probability, 1):
        return lam
    # Another key, so that the draws themselves do not depend on the probability.
    apply = jax.random.bernoulli(jax.random.fold_in(key, 1), probability, shape)
    return jnp.where(apply, lam, 1.0)


def _is(value: ArrayLike, number: int) -> bool:
    return isinstance(value, int | float) and value == number
