"""Eight simulated devices, the programs' own settings, no silent broadcasting."""

import os

# Before JAX is imported: the size of XLA's thread pool (see mixup_jax.runtime).
os.environ["NPROC"] = "16"
os.environ["JAX_PLATFORMS"] = "cpu"

import jax

from mixup_jax import runtime

runtime.start(cpu_devices=8)
jax.config.update("jax_numpy_rank_promotion", "raise")
