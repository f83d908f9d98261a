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

# Since jaxlib 0.10.1 XLA's CPU backend hands single convolutions and reductions to
# another library. Its weight gradients are 2 to 5 times slower, and in jaxlib 0.10.2
# one pattern of its reductions is wrong (a sum of squares under vmap over more than
# 32,768 rows). A leading "-" takes an item off the default list.
_CPU_OPTION = "xla_cpu_experimental_ynn_fusion_type"
_CPU_FLAG = f"--{_CPU_OPTION}=-individual_convolution,-reduce"

# Seconds. JAX keeps nothing that compiles in under 1, as most of a small network does.
_MIN_SECONDS = "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"
_WORTH_KEEPING = 0.1

# Names of malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -4, -8

_ACCELERATORS = ("jax_cuda13_plugin", "jax_cuda12_plugin", "jax_rocm7_plugin", "libtpu")


def start(*, cpu_devices: int = 0, cache: bool = True) -> str:
    """Chooses settings of XLA and of memory for a CPU, and keeps compiled programs.

    Call it first, before anything is computed. What the user has set in XLA_FLAGS,
    JAX_PLATFORMS or JAX_COMPILATION_CACHE_DIR stays as it is.

    Args:
      cpu_devices: Devices to simulate on a CPU; 0 leaves JAX's own setting.
      cache: Whether to keep compiled programs in the user's cache directory.

    Returns:
      One line saying what was set.
    """
    done = []
    on_cpu = _runs_on_cpu()
    if on_cpu and _choose_cpu_flag():
        done.append(f"XLA_FLAGS {_CPU_FLAG}")
    if on_cpu and _keep_memory():
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


def _runs_on_cpu() -> bool:
    wanted = jax.config.jax_platforms  # pyrefly: ignore[missing-attribute]
    if wanted:
        return wanted.split(",")[0] == "cpu"
    return not any(importlib.util.find_spec(name) for name in _ACCELERATORS)


def _choose_cpu_flag() -> bool:
    flags = os.environ.get("XLA_FLAGS", "")
    if _CPU_OPTION in flags or not _xla_knows(_CPU_OPTION):
        return False
    os.environ["XLA_FLAGS"] = f"{flags} {_CPU_FLAG}".strip()
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
