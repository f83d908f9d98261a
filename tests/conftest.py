"""Eight simulated devices, the programs' own settings, no silent broadcasting."""

import os

# Before JAX is imported: the size of XLA's thread pool (see mixup_jax.runtime).
os.environ["NPROC"] = "16"
os.environ["JAX_PLATFORMS"] = "cpu"
# Most of the time goes into compiling, and what is compiled here runs once.
_QUICK = "--xla_backend_optimization_level=0"
os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {_QUICK}".strip()

import jax

from mixup_jax import runtime

runtime.start(cpu_devices=8)
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
jax.config.update("jax_numpy_rank_promotion", "raise")
