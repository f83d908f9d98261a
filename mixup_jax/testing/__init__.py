"""Is this mixing function mixup? Checks for any framework, ours or another.

  from mixup_jax import testing

  def mix(inputs, labels):           # NumPy in, NumPy out, a new draw at each call
      ...

  report = testing.check_mixing(mix, alpha=0.4)
  print(report.table())
  report.raise_if_failed()

The single checks serve in tests of your own:

  draws = testing.observe(mix)
  assert testing.agreement(draws).status == "holds"
  assert testing.lambda_law(draws, alpha=0.4).status == "holds"
"""

from mixup_jax.testing.composition import (
    agreement,
    expectation,
    losses,
    pixels,
    smoothing,
    weights,
)
from mixup_jax.testing.kit import check_mixing
from mixup_jax.testing.laws import always_mixed, lambda_law, lambda_scope, pairing
from mixup_jax.testing.observation import Draws, Mix, make_batch, observe
from mixup_jax.testing.options import alpha_zero, masks, other_alphas, reproducible
from mixup_jax.testing.probes import (
    arguments_kept,
    batch_of,
    bytes_images,
    class_ids,
    dtypes,
    shapes,
)
from mixup_jax.testing.report import Finding, Report

__all__ = [
    "Draws",
    "Finding",
    "Mix",
    "Report",
    "agreement",
    "alpha_zero",
    "always_mixed",
    "arguments_kept",
    "batch_of",
    "bytes_images",
    "check_mixing",
    "class_ids",
    "dtypes",
    "expectation",
    "lambda_law",
    "lambda_scope",
    "losses",
    "make_batch",
    "masks",
    "observe",
    "other_alphas",
    "pairing",
    "pixels",
    "reproducible",
    "shapes",
    "smoothing",
    "weights",
]
