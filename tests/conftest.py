"""Eight simulated devices, the programs' own settings, no silent broadcasting.

With JAX_PLATFORMS=cuda the tests run on a GPU; those that need several devices fail.
"""

import gc
import importlib.util
import os

import jax
import jaxtyping
import pytest

from mixup_jax import runtime
from mixup_jax.data import preparing, tfds_source

# For the processes that tests start, and for this one.
_PLATFORM = os.environ.setdefault("JAX_PLATFORMS", "cpu")
jax.config.update("jax_platforms", _PLATFORM)
if _PLATFORM != "cpu":  # products and convolutions in TF32, three digits
    jax.config.update("jax_default_matmul_precision", "highest")
# Most of the time goes into compiling, and what is compiled here runs once.
_QUICK = "--xla_backend_optimization_level=0"
os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {_QUICK}".strip()
runtime.start(cpu_devices=8)
jax.config.update("jax_numpy_rank_promotion", "raise")


@pytest.fixture(autouse=True, scope="module")
def let_go_of_programs():
    """Thousands of compiled programs fill memory and the table of mappings."""
    yield
    jax.clear_caches()
    gc.collect()


@pytest.fixture
def untyped(monkeypatch):
    """Without the tests' own checks of types, which a user does not have."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


@pytest.fixture(scope="session")
def tensorflow():
    """Skips without TensorFlow; imports it here as the library does."""
    if importlib.util.find_spec("tensorflow") is None:
        pytest.skip("needs TensorFlow: pip install 'mixup-jax[data]'")
    with preparing.quiet():
        tfds_source.import_tensorflow()
