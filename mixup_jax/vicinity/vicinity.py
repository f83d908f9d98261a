"""A vicinity as one value: who mixes with whom, with which weights, where, and what
the target becomes. Every row of the paper's Table 5 is one; training steps obey it.
"""

import dataclasses
import math
import numbers
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int

from mixup_jax.errors import out_of_range, unknown
from mixup_jax.types import Key
from mixup_jax.vicinity.mix import LAM_PER, Mixing
from mixup_jax.vicinity.pairing import (
    sample_class_partners,
    sample_matching,
    sample_partners,
)
from mixup_jax.vicinity.weights import pair_lambda, sample_dirichlet, sample_lambda

PAIRINGS = ("random", "same_class", "neighbours", "same_class_neighbours")
SCOPES = ("global", "device")
TARGETS = ("mixed", "closer", "own")


def _field(default: Any, help: str) -> Any:
    return dataclasses.field(default=default, metadata={"help": help})


@dataclasses.dataclass(frozen=True)
class Vicinity:
    """The vicinal distribution of a run; the defaults are ERM."""

    alpha: float = _field(0.0, "lambda ~ Beta(alpha, alpha); 0: ERM")
    alpha_end: float = _field(
        -1.0, "alpha goes there linearly over the run; -1: it stays"
    )
    pairing: str = _field("random", f"partners: {', '.join(PAIRINGS)}")
    pairing_scope: str = _field("global", "partners from all devices, or from its own")
    neighbours: int = _field(200, "nearest ones that a partner is drawn from")
    lam_per: str = _field("batch", f"one lambda per {', '.join(LAM_PER)}")
    lam_low: float = _field(0.0, "lambda begins here; below 0 extrapolates inputs")
    lam_high: float = _field(1.0, "lambda ends here; above 1 extrapolates inputs")
    fold_lam: bool = _field(False, "use max(lambda, 1 - lambda)")
    mixed_examples: int = _field(2, "examples in a mixture; above 2: Dirichlet shares")
    mix_probability: float = _field(1.0, "chance that lambda is not exactly 1")
    mix_from_epoch: int = _field(0, "ERM before this epoch")
    mix_until_epoch: int = _field(0, "ERM from this epoch on; 0: never")
    mix_at: str = _field(
        "inputs",
        "inputs, or waveforms of sounds, or stage1, stage2, ... of the network",
    )
    target: str = _field("mixed", f"of a virtual example: {', '.join(TARGETS)}")
    label_smoothing: float = _field(0.0, "epsilon, spread over all classes")
    noise: float = _field(0.0, "sigma of Gaussian noise on the normalised inputs")
    cutmix_alpha: float = _field(1.0, "of CutMix's lambda, where CutMix is used")
    cutmix_probability: float = _field(0.0, "share of the batches CutMix is used on")

    @property
    def mixes(self) -> bool:
        """Whether any step has partners; else neither are drawn nor loaded."""
        return max(self.alpha, self.alpha_end, self.cutmix_probability) > 0

    @property
    def stage(self) -> int:
        """Stage of the network whose input is mixed; 0 for what is before it."""
        number = self.mix_at.removeprefix("stage")
        return int(number) if number.isdecimal() else 0

    @property
    def needs_neighbours(self) -> bool:
        """Whether partners come from a table of nearest neighbours."""
        return self.mixes and self.pairing.endswith("neighbours")

    def alpha_at(
        self, alpha: ArrayLike, epoch: Float[Array, ""], epochs: int
    ) -> Float[Array, ""]:
        """Returns the alpha of an epoch, 0 outside of those that mix.

        Args:
          alpha: At the start; traced, so that one program serves any.
          epoch: Epochs done, with fraction.
          epochs: Of the run.
        """
        alpha = jnp.asarray(alpha, jnp.float32)
        if self.alpha_end >= 0:
            alpha = alpha + (self.alpha_end - alpha) * epoch / epochs
        return jnp.where(self.mixes_at(epoch), alpha, 0.0)

    def mixes_at(self, epoch: Float[Array, ""]) -> Array:
        """Returns whether the epoch is one of those that mix."""
        return (epoch >= self.mix_from_epoch) & (
            epoch < (self.mix_until_epoch or jnp.inf)
        )

    def draw_lam(self, key: Key, size: int, alpha: ArrayLike) -> Float[Array, "*shape"]:
        """Draws the shares for a batch; see `Mixing` for their shape."""
        shape = () if self.lam_per == "batch" else (size,)
        if self.mixed_examples > 2:
            return sample_dirichlet(
                key, alpha, self.mixed_examples, shape, probability=self.mix_probability
            )
        return sample_lambda(
            key,
            alpha,
            shape,
            low=self.lam_low,
            high=self.lam_high,
            probability=self.mix_probability,
            fold=self.fold_lam,
        )

    def draw_partners(self, key: Key, labels: Int[Array, " B"]) -> Int[Array, "*k B"]:
        """Draws partners within a batch: places in it, one row for each of k > 2."""
        if self.mixed_examples > 2:
            keys = jax.random.split(key, self.mixed_examples - 1)
            return jax.vmap(self._draw_partners, (0, None))(keys, labels)
        return self._draw_partners(key, labels)

    def _draw_partners(self, key: Key, labels: Int[Array, " B"]) -> Int[Array, " B"]:
        if self.pairing == "same_class":
            return sample_class_partners(key, labels)
        if self.lam_per == "pair":
            return sample_matching(key, len(labels))
        return sample_partners(key, len(labels))

    def draw(self, key: Key, labels: Int[Array, " B"], *, alpha: ArrayLike) -> Mixing:
        """Draws shares and partners within a batch.

        Args:
          key: Consumed here.
          labels: Class ids of the batch.
          alpha: Of this step, see `alpha_at`.

        With the default options this is `draw_mixing`.
        """
        lam_key, partner_key = jax.random.split(key)
        lam = self.draw_lam(lam_key, len(labels), alpha)
        return self.draw_within(partner_key, lam, labels)

    def draw_within(
        self, key: Key, lam: Float[Array, "*shape"], labels: Int[Array, " B"]
    ) -> Mixing:
        """Draws partners for shares that are drawn already."""
        partner = self.draw_partners(key, labels)
        if self.lam_per == "pair":
            lam = pair_lambda(lam, partner)
        return Mixing(lam, partner)

    def problems(self) -> list[str]:
        """Returns everything wrong with this vicinity, a sentence each."""
        wrong = [*self._wrong_words(), *self._wrong_numbers()]
        # Combinations are judged only once each part makes sense.
        return wrong or [*self._wrong_together(), *self._without_effect()]

    def _wrong_words(self) -> list[str]:
        words = [
            ("pairing", self.pairing, PAIRINGS),
            ("pairing_scope", self.pairing_scope, SCOPES),
            ("lam_per", self.lam_per, LAM_PER),
            ("target", self.target, TARGETS),
        ]
        wrong = [
            str(unknown(name, word, known))
            for name, word, known in words
            if word not in known
        ]
        known = self.mix_at in ("inputs", "waveforms")
        if not known and not (self.mix_at.startswith("stage") and self.stage):
            wrong.append(
                "mix_at must be inputs, waveforms, stage1, stage2, ..., got "
                f"{self.mix_at}"
            )
        return wrong

    def _wrong_numbers(self) -> list[str]:
        ranges = {
            "alpha": (0, math.inf),
            "neighbours": (1, math.inf),
            "mixed_examples": (2, math.inf),
            "mix_probability": (0, 1),
            "mix_from_epoch": (0, math.inf),
            "mix_until_epoch": (0, math.inf),
            "label_smoothing": (0, 1),
            "noise": (0, math.inf),
            "cutmix_alpha": (0, math.inf),
            "cutmix_probability": (0, 1),
            "lam_low": (-math.inf, math.inf),
            "lam_high": (-math.inf, math.inf),
        }
        if not isinstance(self.alpha_end, numbers.Real):
            return [f"alpha_end must be a number, got {self.alpha_end!r}"]
        wrong = out_of_range(self, ranges)
        known = all(isinstance(getattr(self, n), numbers.Real) for n in ranges)
        return wrong + (self._wrong_order() if known else [])

    def _wrong_order(self) -> list[str]:
        wrong, end = [], self.alpha_end
        if end != -1 and not (math.isfinite(end) and end >= 0):
            wrong.append(f"alpha_end must be -1 or finite and at least 0, got {end}")
        if self.lam_low >= self.lam_high:
            wrong.append(
                f"lam_low {self.lam_low} must be below lam_high {self.lam_high}"
            )
        if 0 < self.mix_until_epoch <= self.mix_from_epoch:
            wrong.append(
                f"mix_until_epoch must be after mix_from_epoch {self.mix_from_epoch}, "
                f"got {self.mix_until_epoch}"
            )
        return wrong

    def _wrong_together(self) -> list[str]:
        """One sentence for each pair of options that exclude each other."""
        near, latent = self.pairing.endswith("neighbours"), self.stage > 0
        many, cut = self.mixed_examples > 2, self.cutmix_probability > 0
        pair, device = self.lam_per == "pair", self.pairing_scope == "device"
        range_ = (self.lam_low, self.lam_high) != (0, 1)
        rules = [
            (near and latent, f"mix_at {self.mix_at}", f"pairing {self.pairing}"),
            (near and device, "pairing_scope device", f"pairing {self.pairing}"),
            (
                pair and self.pairing != "random",
                "lam_per pair",
                f"pairing {self.pairing}",
            ),
            (pair and many, "lam_per pair", "mixed_examples above 2"),
            (many and self.fold_lam, "fold_lam", "mixed_examples above 2"),
            (many and range_, "lam_low and lam_high", "mixed_examples above 2"),
            (cut and many, "cutmix_probability", "mixed_examples above 2"),
            (cut and pair, "cutmix_probability", "lam_per pair"),
            (
                cut and self.mix_at != "inputs",
                "cutmix_probability",
                f"mix_at {self.mix_at}",
            ),
        ]
        return [f"{a} does not go with {b}" for holds, a, b in rules if holds]

    def _without_effect(self) -> list[str]:
        """What is asked of mixing where nothing is mixed: likely a forgotten alpha."""
        if not self.cutmix_probability and self.cutmix_alpha != 1:
            return ["cutmix_alpha has no effect while cutmix_probability is 0"]
        if self.mixes:
            return []
        idle = [
            field.name
            for field in dataclasses.fields(Vicinity)
            if field.name not in _ALSO_IN_ERM
            and getattr(self, field.name) != field.default
        ]
        return (
            [f"without mixing (alpha is 0), {', '.join(idle)} would have no effect"]
            if idle
            else []
        )


_ALSO_IN_ERM = ("alpha", "alpha_end", "label_smoothing", "noise", "neighbours")
