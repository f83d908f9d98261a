"""Start of a program: settings of JAX that must stand before its first computation.

Only programs call this (experiments, notebooks, benchmarks), never an import of the
library: a user's own process keeps the user's settings.
"""

import ctypes
import importlib.util
import mmap
import os
import platform
from pathlib import Path

import jax
import jaxlib

# An option of XLA and its value, by platform.
_OPTIONS = {
    # Since jaxlib 0.10.1 XLA's CPU backend hands single convolutions and reductions to
    # another library. Its weight gradients are 2 to 5 times slower, and in jaxlib
    # 0.10.2 one pattern of its reductions is wrong (a sum of squares under vmap over
    # more than 32,768 rows). A leading "-" takes an item off the default list.
    "cpu": ("xla_cpu_experimental_ynn_fusion_type", "-individual_convolution,-reduce"),
    # Else sums come in another order each time, and the same run in float32, or one
    # that continues, does not end in the same bits. What it costs: docs/speed.md.
    "gpu": ("xla_gpu_exclude_nondeterministic_ops", "true"),
}

# Seconds. JAX keeps nothing that compiles in under 1, as most of a small network does.
_MIN_SECONDS = "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"
_WORTH_KEEPING = 0.1

# Names of malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -4, -8

_GPU_PLUGINS = ("jax_cuda13_plugin", "jax_cuda12_plugin", "jax_rocm7_plugin")


def start(*, cpu_devices: int = 0, cache: bool = True) -> str:
    """Chooses settings of XLA and, on a CPU, of memory; keeps compiled programs.

    Call it first, before anything is computed. What the user has set in XLA_FLAGS,
    JAX_PLATFORMS or JAX_COMPILATION_CACHE_DIR stays as it is.

    Args:
      cpu_devices: Devices to simulate on a CPU; 0 leaves JAX's own setting.
      cache: Whether to keep compiled programs in the user's cache directory.

    Returns:
      One line saying what was set.
    """
    done = []
    kind = _platform()
    if kind in _OPTIONS and _choose(*_OPTIONS[kind]):
        done.append(f"XLA_FLAGS {_flag(*_OPTIONS[kind])}")
    if kind == "cpu" and _keep_memory():
        done.append("memory kept between steps")
    if cpu_devices:
        jax.config.update("jax_num_cpu_devices", cpu_devices)
        # Size of XLA's thread pool; simulated devices starve each other in a smaller.
        os.environ.setdefault("NPROC", str(2 * cpu_devices))
        done.append(f"{cpu_devices} simulated CPU devices")
    # pyrefly: ignore[missing-attribute]  JAX adds its options at run time
    if cache and not jax.config.jax_compilation_cache_dir:
        directory = _cache_directory()
        jax.config.update("jax_compilation_cache_dir", str(directory))
        if _MIN_SECONDS not in os.environ:
            jax.config.update(_MIN_SECONDS.lower(), _WORTH_KEEPING)
        done.append(f"compilation cache {directory}")
    return "; ".join(done) if done else "settings of JAX left as they were"


def _platform() -> str:
    """Where JAX will run, without starting it: cpu, gpu or something else."""
    wanted = jax.config.jax_platforms  # pyrefly: ignore[missing-attribute]
    if wanted:
        first = wanted.split(",")[0]
        return "gpu" if first in ("cuda", "rocm") else first
    if any(importlib.util.find_spec(name) for name in _GPU_PLUGINS):
        return "gpu"
    return "tpu" if importlib.util.find_spec("libtpu") else "cpu"


def _flag(option: str, value: str) -> str:
    return f"--{option}={value}"


def _choose(option: str, value: str) -> bool:
    flags = os.environ.get("XLA_FLAGS", "")
    if option in flags or not _xla_knows(option):
        return False
    os.environ["XLA_FLAGS"] = f"{flags} {_flag(option, value)}".strip()
    return True


def _keep_memory() -> bool:
    """Tells glibc to keep what is freed, for the next step.

    Else the hundreds of megabytes that a step works in go back to the system after it,
    and come page by page, filled with zeros, in the next. For that they must lie in one
    arena: those of threads give back whatever they can.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    library = ctypes.CDLL(None)
    settings = {_M_ARENA_MAX: 1, _M_MMAP_MAX: 0, _M_TRIM_THRESHOLD: 2**31 - 1}
    return all(library.mallopt(name, value) for name, value in settings.items())


def _xla_knows(option: str) -> bool:
    """Whether this jaxlib has an option; XLA aborts the process on unknown ones."""
    package = Path(jaxlib.__file__).parent
    libraries = sorted(package.glob("*.so*"), key=lambda path: path.stat().st_size)
    with (
        libraries[-1].open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
    ):
        return content.find(option.encode()) >= 0


def _cache_directory() -> Path:
    # Compiled programs suit one kind of processor; a home directory may serve several.
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "mixup-jax" / f"xla-{platform.node()}"
