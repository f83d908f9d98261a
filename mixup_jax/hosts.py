"""Several processes as one program: joining, speaking with one voice, stopping as one.

The only place that knows of `jax.distributed`. With one process everything here is a
plain call. Process 0, the main one, does all that touches the disk; the others learn
what it found, an error included, so that all go on or all stop.
"""

import json
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

from mixup_jax.errors import RunError, UsageError, unknown
from mixup_jax.types import PyTree

MODES = ("off", "auto", "manual")

_SHUTDOWN = 30  # seconds

# What the main process may run into while the others wait for its answer.
_ERRORS = {kind.__name__: kind for kind in (UsageError, RunError, OSError)}


def join(
    mode: str,
    *,
    coordinator: str = "",
    processes: int = 0,
    process: int = -1,
    timeout: int = 300,
) -> str:
    """Makes this process one of several; call it before anything is computed.

    Args:
      mode: "off" for a process alone; "auto" where the cluster tells (a TPU pod, SLURM,
        Open MPI, GKE); "manual" to say it here.
      coordinator: Address of process 0, HOST:PORT, the same for all.
      processes: How many there are.
      process: Which one this is, from 0.
      timeout: Seconds to wait for the others, at the start and whenever one is silent.

    Returns:
      One line saying what was joined; empty for a process alone.

    Raises:
      UsageError: If the arguments do not go together, or nothing tells of a cluster.
      RunError: If the others could not be reached in time.
    """
    given = {"coordinator": coordinator, "processes": processes, "process": process + 1}
    _check(mode, given, process, timeout)
    if mode == "off":
        return ""
    manual: dict[str, Any] = {
        "coordinator_address": coordinator,
        "num_processes": processes,
        "process_id": process,
    }
    try:
        jax.distributed.initialize(
            **(manual if mode == "manual" else {}),
            initialization_timeout=timeout,
            heartbeat_timeout_seconds=timeout,
            # A process that has failed waits so long for the others, at its end.
            shutdown_timeout_seconds=min(timeout, _SHUTDOWN),
        )
    except ValueError as error:
        raise UsageError(
            f"nothing tells of a cluster ({error}); use --distributed=manual with "
            "--coordinator, --processes and --process"
        ) from error
    except RuntimeError as error:
        raise RunError(
            f"could not join the other processes within {timeout} s: {error}"
        ) from error
    return f"process {jax.process_index()} of {jax.process_count()}"


def _check(mode: str, given: dict[str, Any], process: int, timeout: int) -> None:
    if mode not in MODES:
        raise unknown("way to be distributed", mode, MODES)
    named = [f"--{name}" for name, value in given.items() if value]
    if mode != "manual" and named:
        raise UsageError(
            f"{', '.join(named)} would have no effect with --distributed={mode}; say "
            "--distributed=manual"
        )
    missing = [f"--{name}" for name, value in given.items() if not value]
    if mode == "manual" and missing:
        raise UsageError(f"--distributed=manual needs {', '.join(missing)} too")
    processes = given["processes"]
    if processes < 0:
        raise UsageError(f"--processes must be at least 1, got {processes}")
    if mode == "manual" and not 0 <= process < processes:
        raise UsageError(
            f"--process must be from 0 to {processes - 1}, as there are {processes} "
            f"processes, got {process}"
        )
    if mode == "manual" and ":" not in given["coordinator"]:
        raise UsageError(
            f"--coordinator is HOST:PORT, such as 10.0.0.1:1234, got "
            f"{given['coordinator']!r}"
        )
    if timeout < 1:
        raise UsageError(f"--host_timeout must be at least 1 second, got {timeout}")


def count() -> int:
    """How many processes there are."""
    return jax.process_count()


def index() -> int:
    """Which of them this is, from 0."""
    return jax.process_index()


def is_main() -> bool:
    """Whether this is the process that writes files and speaks to people."""
    return jax.process_index() == 0


def on_main(function: Callable[[], Any]) -> Any:
    """Calls a function in the main process and gives everyone what it returned.

    Args:
      function: Its result is something that JSON can hold.

    Raises:
      UsageError, RunError, OSError: In every process, if it did in the main one.
    """
    if count() == 1:
        return function()
    answer: dict[str, Any] = {}
    failure: Exception | None = None
    if is_main():
        try:
            answer = {"result": function()}
        except tuple(_ERRORS.values()) as error:
            failure = error
            kind = next(k for k in type(error).__mro__ if k.__name__ in _ERRORS)
            answer = {"error": kind.__name__, "message": str(error)}
    answer = json.loads(_from_main(json.dumps(answer).encode()))
    if failure is not None:
        raise failure
    if "error" in answer:
        raise _ERRORS[answer["error"]](answer["message"])
    return answer["result"]


def main_first(function: Callable[[], Any]) -> Any:
    """Calls a function in the main process, and once it is done there in the others.

    What it prepares on a disk that all see is then there. If it fails anywhere, all
    stop: where it did not, with a RunError that says in which process it did.
    """
    if count() == 1:
        return function()
    found: list[Any] = []
    on_main(lambda: found.append(function()))
    failure: Exception | None = None
    if not is_main():
        try:
            found.append(function())
        except tuple(_ERRORS.values()) as error:
            failure = error
    failed = multihost_utils.process_allgather(np.int32(failure is not None))
    if failure is not None:
        raise failure
    if failed.any():
        raise RunError(
            f"process {int(failed.argmax())} could not go on; its output says why"
        )
    return found[0]


def _from_main(text: bytes) -> bytes:
    """Returns the main process's bytes in every process."""
    size = int(multihost_utils.broadcast_one_to_all(np.int32(len(text))))
    text = text if is_main() else bytes(size)
    # Broadcasting adds zeros, which would make 0.0 of -0.0: so in whole numbers.
    words = np.frombuffer(text + bytes(-size % 4), np.uint32)
    return multihost_utils.broadcast_one_to_all(words).tobytes()[:size]


def arrays_from_main(tree: PyTree) -> PyTree:
    """Returns the main process's arrays in every process, on the host.

    Args:
      tree: Of arrays; in the other processes, any of the same shapes and dtypes.
    """
    tree = jax.tree.map(np.asarray, tree)
    if count() == 1:
        return tree
    return jax.tree.map(
        lambda x: np.frombuffer(_from_main(x.tobytes()), x.dtype).reshape(x.shape), tree
    )


def gather(value: float) -> list[float]:
    """Returns the value of every process, in every process."""
    if count() == 1:
        return [value]
    return multihost_utils.process_allgather(np.float32(value)).tolist()


def told_to_stop(call: int) -> bool:
    """Whether all processes are to stop after this call, as one has got SIGTERM.

    The runtime picks a call that none has passed yet. To be asked after every call of
    the loop, with their number, by all processes if by one.
    """
    return count() > 1 and multihost_utils.reached_preemption_sync_point(call)
