"""mixup for the discriminator of a GAN (paper, section 3.7), in both its forms.

The paper's formula and the first author's script (hongyi-zhang/mixup,
gan/example_gan.py) differ: the formula mixes each real point with a fake one, the
script mixes two shuffled batches of both, so that half of all pairs are of one kind,
and draws lambda ~ U(0, alpha) instead of a Beta.
"""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from mixup_jax.types import Batch, Key
from mixup_jax.vicinity.checks import check
from mixup_jax.vicinity.mix import blend
from mixup_jax.vicinity.weights import sample_lambda


def mix_real_with_fake(
    key: Key,
    real: Float[Array, "B ..."],
    fake: Float[Array, "B ..."],
    *,
    alpha: ArrayLike,
) -> Batch:
    """Returns lam * real + (1 - lam) * fake with target lam, one lambda per row.

    Args:
      key: Consumed here.
      real: Points of the data, target 1.
      fake: As many of the generator, target 0.
      alpha: Of lambda ~ Beta(alpha, alpha). At 0, where the limit of the Beta is 0 or
        1 with equal chance, every row is real; train on both kinds without mixing.

    Returns:
      inputs [B, ...] and targets [B, 1].

    Source: paper, section 3.7: l(d(lam x + (1 - lam) g(z)), lam).
    """
    lam = sample_lambda(key, alpha, (len(real),))
    return Batch(blend(real, fake, lam), lam[:, None])


def mix_shuffled(key: Key, first: Batch, other: Batch, *, alpha: ArrayLike) -> Batch:
    """Mixes two batches of real and fake points as the first author's script does.

    Args:
      key: Consumed here.
      first: From `shuffle_together`.
      other: Likewise, of fresh points.
      alpha: Of lambda ~ U(0, alpha), per row; in [0, 1]. `first` has share lambda.

    Raises:
      ValueError: If a concrete alpha is outside [0, 1].

    Source: hongyi-zhang/mixup, gan/example_gan.py.
    """
    check("alpha", "in [0, 1]", alpha, lambda a: (a >= 0) & (a <= 1))
    uniform = jax.random.uniform(key, (len(first.inputs),))
    return blend(first, other, jnp.asarray(alpha, jnp.float32) * uniform)


def shuffle_together(
    key: Key, real: Float[Array, "R ..."], fake: Float[Array, "F ..."]
) -> Batch:
    """Returns real (target 1) and fake (target 0) points in random order.

    Returns:
      inputs [R + F, ...] and targets [R + F, 1].
    """
    targets = jnp.concatenate([jnp.ones(len(real)), jnp.zeros(len(fake))])[:, None]
    batch = Batch(jnp.concatenate([real, fake]), targets)
    order = jax.random.permutation(key, len(targets))
    return jax.tree.map(lambda leaf: leaf[order], batch)
