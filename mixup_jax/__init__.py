"""mixup: Beyond Empirical Risk Minimization, in JAX and Flax.

The functions below are pure and work in any JAX training loop. Around them:

  vicinity     every way of making virtual examples
  models       the paper's networks
  data         its data sets, in device memory or streamed
  training     steps, optimizers, devices; populations of small networks, GANs
  evaluation   measures of anybody's predict: inputs -> logits
  runs         a whole run: config, directory, checkpoints, result
  hosts        several processes as one run

Stable are the names in `__all__` here, with their parameters: they change with a major
version alone (before 1.0 with a minor one), and the changelog says so. What the modules
hold besides may change with any minor version.
"""

import importlib
from typing import TYPE_CHECKING

from mixup_jax.losses import soft_cross_entropy, two_target_cross_entropy
from mixup_jax.types import Batch
from mixup_jax.vicinity.cutmix import (
    CutMixing,
    apply_cutmix,
    apply_switched,
    cutmix,
    draw_cutmix,
    sample_boxes,
    switch,
)
from mixup_jax.vicinity.exchange import apply_mixing_across
from mixup_jax.vicinity.gan import mix_real_with_fake, mix_shuffled, shuffle_together
from mixup_jax.vicinity.mix import (
    Mixing,
    apply_mixing,
    blend,
    combine,
    draw_mixing,
    mixup,
)
from mixup_jax.vicinity.neighbours import (
    Neighbours,
    nearest_neighbours,
    sample_neighbours,
)
from mixup_jax.vicinity.noise import gaussian_noise
from mixup_jax.vicinity.pairing import (
    sample_class_partners,
    sample_matching,
    sample_partners,
    sample_partners_by_distance,
)
from mixup_jax.vicinity.sequences import mix_sequences
from mixup_jax.vicinity.targets import closer, closest, mix_loss, smooth_labels
from mixup_jax.vicinity.vicinity import Vicinity
from mixup_jax.vicinity.weights import pair_lambda, sample_dirichlet, sample_lambda

__all__ = [
    "Batch",
    "CutMixing",
    "Mixing",
    "Neighbours",
    "Vicinity",
    "apply_cutmix",
    "apply_mixing",
    "apply_mixing_across",
    "apply_switched",
    "blend",
    "closer",
    "closest",
    "combine",
    "cutmix",
    "draw_cutmix",
    "draw_mixing",
    "gaussian_noise",
    "mix_loss",
    "mix_real_with_fake",
    "mix_sequences",
    "mix_shuffled",
    "mixup",
    "nearest_neighbours",
    "pair_lambda",
    "sample_boxes",
    "sample_class_partners",
    "sample_dirichlet",
    "sample_lambda",
    "sample_matching",
    "sample_neighbours",
    "sample_partners",
    "sample_partners_by_distance",
    "shuffle_together",
    "smooth_labels",
    "soft_cross_entropy",
    "switch",
    "two_target_cross_entropy",
]
__version__ = "0.1.0"

_PACKAGES = ("data", "evaluation", "models", "runs", "testing", "training")

# Type checkers would take every misspelt name for a module.
if not TYPE_CHECKING:

    def __getattr__(name: str):
        """Imports a package when it is asked for: a loop of one's own needs none."""
        if name in _PACKAGES:
            return importlib.import_module(f"{__name__}.{name}")
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
