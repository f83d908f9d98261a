"""Which modes of a known mixture samples cover: figure 5 of the paper, in numbers.

These measures are ours; the paper and its authors' script only show pictures.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from mixup_jax.evaluation.predict import AnyArray


class Coverage(NamedTuple):
    """What samples make of the modes of a mixture.

    Attributes:
      high_quality: Share of samples that are near a mode.
      counts: Of those, how many are nearest to each mode.
      modes: How many modes are covered.
      divergence: KL divergence in nats of the shares of the modes, among samples near
        one, from equal shares: 0 is perfect, log K is a single mode; NaN if no sample
        is near a mode. From few samples it is biased upwards, by (K - 1) / 2n.
    """

    high_quality: Float[Array, ""]
    counts: Int[Array, " K"]
    modes: Int[Array, ""]
    divergence: Float[Array, ""]


def mode_coverage(
    samples: Float[AnyArray, "N d"],
    centres: Float[AnyArray, "K d"],
    *,
    std: float,
    radius: float = 3.0,
    least: float = 0.0,
) -> Coverage:
    """Counts samples near the centres of a mixture of equal, round Gaussians.

    Args:
      samples: Of the generator; what is not finite is near no mode.
      centres: Of the modes, such as `data.toy.RING` and `GRID`.
      std: Of each coordinate about its centre, such as `data.toy.SPREAD`.
      radius: Greatest distance of a sample near a mode, in std. Of true samples in the
        plane, 1 - exp(-radius^2 / 2) are: 98.9 % within 3.
      least: Share of all samples that must be near a mode for it to be covered; at 0
        one sample is enough.

    Raises:
      ValueError: If there are no samples or centres, std or radius is not above 0, or
        least is not in [0, 1].

    Source: the usual measure of mode collapse, as in Srivastava et al. (2017),
    arXiv:1705.07761, section 4.1.
    """
    if len(samples) == 0 or len(centres) == 0:
        raise ValueError(
            f"samples and centres are needed, got {len(samples)} and {len(centres)}"
        )
    if samples.ndim != 2 or samples.shape[1:] != centres.shape[1:]:
        raise ValueError(
            "samples [N, d] and centres [K, d] must be points of one space, got "
            f"{samples.shape} and {centres.shape}"
        )
    if not (std > 0 and radius > 0 and 0 <= least <= 1):
        raise ValueError(
            "std and radius must be above 0 and least in [0, 1], got "
            f"{std}, {radius}, {least}"
        )
    samples = jnp.asarray(samples, jnp.float32)
    ways = samples[:, None] - jnp.asarray(centres, jnp.float32)[None]
    distance = jnp.sqrt(jnp.sum(ways**2, axis=-1))
    near = distance.min(axis=1) <= radius * std
    nearest = jnp.argmin(distance, axis=1)
    counts = jax.ops.segment_sum(near.astype(jnp.int32), nearest, len(centres))
    enough = jnp.maximum(least * len(samples), 1)
    return Coverage(near.mean(), counts, (counts >= enough).sum(), _divergence(counts))


def _divergence(counts: Int[Array, " K"]) -> Float[Array, ""]:
    share = counts / counts.sum()
    # 0 log 0 is 0, with a finite argument of the untaken branch.
    terms = jnp.where(share > 0, share * jnp.log(jnp.maximum(share, 1e-30)), 0.0)
    return jnp.where(counts.sum() > 0, jnp.log(len(counts)) + terms.sum(), jnp.nan)
