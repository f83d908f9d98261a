import os
import platform
import subprocess
import sys

import pytest

# A sum of squares under vmap over more than 32,768 rows of 3 columns, which jaxlib
# 0.10.2 gets wrong on a CPU with its default settings, and the same on the host.
WRONG_SUM = """
import jax, jax.numpy as jnp, numpy as np
rows = np.full((32_769, 3), 8192, np.float32)
matrix = np.eye(4, 3, dtype=np.float32)
squares = jax.jit(jax.vmap(lambda row: jnp.sum((matrix @ row) ** 2)))(rows)
want = ((rows @ matrix.T) ** 2).sum(axis=1)
print(int((np.asarray(squares) != want).sum()))
"""
START = "from mixup_jax import runtime; print(runtime.start())\n"


def python(code, **environment):
    kept = {k: v for k, v in os.environ.items() if k not in ("XLA_FLAGS", "NPROC")}
    kept |= {"JAX_PLATFORMS": "cpu", **environment}
    done = subprocess.run(
        [sys.executable, "-c", code], env=kept, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().split("\n")


def test_sums_are_right_under_the_settings_of_a_program():
    said, wrong = python(START + WRONG_SUM)
    assert said.startswith("XLA_FLAGS --xla_cpu")  # what it is, to whoever reads it
    assert "-individual_convolution,-reduce" in said
    assert wrong == "0"


def test_the_users_own_setting_stays():
    own = "--xla_cpu_experimental_ynn_fusion_type=-reduce"
    said, flags = python(
        START + "import os; print(os.environ['XLA_FLAGS'])", XLA_FLAGS=own
    )
    assert "ynn" not in said
    assert flags == own


def test_other_flags_of_the_user_are_kept_beside_ours():
    other = "--xla_cpu_enable_fast_math=false"
    code = START + "import os, jax; jax.devices(); print(os.environ['XLA_FLAGS'])"
    assert python(code, XLA_FLAGS=other)[-1].startswith(other + " --xla_cpu_exp")


def test_checking_a_run_does_not_start_the_platform():
    code = """
from jax._src import xla_bridge
from experiments import cifar
cifar.RUNS["c10_preact18_mixup"].validate()
print(xla_bridge.backends_are_initialized())
"""
    assert python(code)[-1] == "False"


def faults(code):
    """Pages that a program asks for while it makes 64 MB of numbers, over and over."""
    counted = """
import resource, jax, jax.numpy as jnp
make = jax.jit(lambda x: jnp.cumsum(jnp.sin(x)[::-1]) + 1)
x = jnp.ones(2**24)
for _ in range(5): make(x).block_until_ready()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5): make(x).block_until_ready()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
    return int(python(code + counted)[-1])


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="a setting of glibc")
def test_a_step_does_not_ask_the_system_for_its_memory_again():
    # How many arrays are alive at once depends on the machine's load: best of three.
    assert 3 * min(faults(START) for _ in range(3)) < faults("")


FLAGS = START + "import os; print(os.environ.get('XLA_FLAGS'))"


def test_a_tpu_is_left_alone():
    assert python(FLAGS, JAX_PLATFORMS="tpu")[-1] == "None"


@pytest.mark.parametrize("platforms", ["cuda,cpu", "gpu"])
def test_a_gpu_adds_in_the_same_order_each_time(platforms):
    said, flags = python(FLAGS, JAX_PLATFORMS=platforms)
    assert flags == "--xla_gpu_exclude_nondeterministic_ops=true"
    assert flags in said and "memory" not in said
    own = "--xla_gpu_exclude_nondeterministic_ops=false"
    assert python(FLAGS, JAX_PLATFORMS=platforms, XLA_FLAGS=own)[-1] == own


@pytest.mark.parametrize(
    "package, platform",
    [("jax_cuda13_plugin", "gpu"), ("libtpu", "tpu"), ("nothing", "cpu")],
)
def test_a_plugin_of_jax_says_what_it_will_run_on(package, platform, tmp_path):
    (tmp_path / package).mkdir()
    (tmp_path / package / "__init__.py").touch()
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "import jax; jax.config.update('jax_platforms', None)\n"
        "from mixup_jax import runtime; print(runtime._platform())"
    )
    assert python(code)[-1] == platform


def test_importing_the_library_changes_nothing_and_loads_nothing_heavy():
    code = """
import os, sys
import mixup_jax, mixup_jax.models, mixup_jax.data, mixup_jax.runs
print(os.environ.get("XLA_FLAGS"))
heavy = "tensorflow tensorflow_datasets matplotlib mlxtend"
print([name for name in heavy.split() if name in sys.modules])
from jax._src import xla_bridge
print(xla_bridge.backends_are_initialized())
"""
    assert python(code) == ["None", "[]", "False"]


def test_cpu_devices_are_simulated_with_threads_to_run_on():
    code = (
        "from mixup_jax import runtime; runtime.start(cpu_devices=3)\n"
        "import os, jax; print(jax.device_count(), os.environ['NPROC'])"
    )
    assert python(code) == ["3 6"]


def test_the_compilation_cache_lies_with_the_user_and_an_own_one_stays(tmp_path):
    code = START + "import jax; print(jax.config.jax_compilation_cache_dir)"
    assert python(code, XDG_CACHE_HOME=str(tmp_path))[-1].startswith(
        str(tmp_path / "mixup-jax" / "xla-")
    )
    own = str(tmp_path / "own")
    assert python(code, JAX_COMPILATION_CACHE_DIR=own)[-1] == own


def test_what_compiles_in_a_tenth_of_a_second_is_kept_unless_the_user_says_otherwise(
    tmp_path,
):
    code = START + (
        "import jax; print(jax.config.jax_persistent_cache_min_compile_time_secs)"
    )
    home = {"XDG_CACHE_HOME": str(tmp_path)}
    assert python(code, **home)[-1] == "0.1"
    said = {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "3"}
    assert python(code, **home, **said)[-1] == "3.0"


def test_an_unknown_option_is_never_given_to_xla():
    # XLA aborts the whole process on one.
    code = "from mixup_jax import runtime; print(runtime._xla_knows('xla_cpu_no_such'))"
    assert python(code) == ["False"]
