"""mixup: Beyond Empirical Risk Minimization, in JAX and Flax.

The functions below are pure and work in any JAX training loop. Around them:

  models       the paper's networks
  data         its data sets, in device memory
  training     steps, optimizers, devices
  evaluation   error rates
  runs         a whole run: config, directory, checkpoints, result
"""

from mixup_jax.losses import soft_cross_entropy, two_target_cross_entropy
from mixup_jax.mixing import (
    Mixing,
    apply_mixing,
    blend,
    draw_mixing,
    mixup,
    sample_lambda,
    sample_partners,
)

__all__ = [
    "Mixing",
    "apply_mixing",
    "blend",
    "draw_mixing",
    "mixup",
    "sample_lambda",
    "sample_partners",
    "soft_cross_entropy",
    "two_target_cross_entropy",
]
__version__ = "0.1.0"
