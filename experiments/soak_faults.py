"""What `experiments.soak` does to a run."""

import contextlib
import dataclasses
import os
import resource
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

from experiments.soak_run import PATIENCE, SILENCE, Run, newest
from mixup_jax.errors import UsageError

# Bytes: whole checkpoints are larger, lines of metrics smaller.
_LARGEST_FILE = 8192
_DAY = 24 * 3600 * 10**9  # nanoseconds
_JUMPS = ("+1d", "-1d")
_HALF_WRITTEN = "*.orbax-checkpoint-tmp"


@dataclasses.dataclass(frozen=True)
class Fault:
    """One way to break a run.

    Attributes:
      strike: What happens to its processes, which then end.
      damage: What happens to its files once they have ended; returns the names of the
        checkpoints that can be used no more.
      prefix: Command by which the processes must be started for it; raises UsageError
        where the fault cannot be injected on this machine.
      at_once: Whether to strike without a random pause.
    """

    strike: Callable[[Run], None]
    damage: Callable[[Run], set[str]] = lambda run: set()
    prefix: Callable[[Run], list[str]] = lambda run: []
    at_once: bool = False


def _kill_one(run: Run) -> None:
    run.draws.choice(run.processes).kill()


def _kill_both(run: Run) -> None:
    for process in run.processes:
        process.kill()


def _kill_while_saving(run: Run) -> None:
    """A save takes a few hundredths of a second, so it is looked for without a rest."""
    end = time.monotonic() + PATIENCE
    while run.alive() and time.monotonic() < end:
        if any(run.folder.glob(_HALF_WRITTEN)):
            break
    _kill_both(run)


def _terminate_one(run: Run) -> None:
    run.draws.choice(run.processes).terminate()


def _stop_one(run: Run) -> None:
    """A process that is there and does nothing; the other must not wait forever."""
    silent, other = run.draws.sample(run.processes, 2)
    silent.send_signal(signal.SIGSTOP)
    other.wait(timeout=PATIENCE)
    silent.kill()


def _fill_the_disk(run: Run) -> None:
    """No file can grow beyond a size; Python ignores the signal and the write fails."""
    for process in run.processes:
        _, hard = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
        limits = (_LARGEST_FILE, hard)
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, limits)


def _as_anybody(run: Run) -> list[str]:
    """The administrator may write where nobody may; without that right, not."""
    if os.geteuid() != 0:
        return []
    if not shutil.which("setpriv"):
        raise UsageError("for the administrator it needs setpriv (util-linux)")
    return ["setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override"]


def _forbid_writing(run: Run) -> None:
    _set_modes(run.workdir, 0o555, 0o444)


def _allow_writing(run: Run) -> set[str]:
    _set_modes(run.workdir, 0o755, 0o644)
    return set()


def _set_modes(workdir: Path, folders: int, files: int) -> None:
    for path in [workdir, *workdir.rglob("*")]:
        with contextlib.suppress(FileNotFoundError):  # a save was under way
            path.chmod(folders if path.is_dir() else files)


def _clock(run: Run) -> Path:
    return run.logs / "clock"


def _under_our_clock(run: Run) -> list[str]:
    """Python and the C++ below it get the time of day from a file's word.

    Clocks that count from the start, and what the kernel itself waits for, stay right.
    """
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    if not found:
        raise UsageError("it needs libfaketime (Debian's package faketime)")
    _clock(run).write_text("+0")
    return [
        "env",
        f"LD_PRELOAD={found[0]}",
        f"FAKETIME_TIMESTAMP_FILE={_clock(run)}",
        "FAKETIME_CACHE_DURATION=1",
        "FAKETIME_DISABLE_SHM=1",
        "DONT_FAKE_MONOTONIC=1",
    ]


def _move_the_clock(run: Run) -> None:
    _clock(run).write_text(run.draws.choice(_JUMPS))
    end = time.monotonic() + 2 * SILENCE
    while run.alive() and time.monotonic() < end:
        time.sleep(0.1)
    if run.alive():
        _terminate_one(run)


def _move_times_of_files(run: Run) -> set[str]:
    for path in run.folder.rglob("*"):
        times = path.stat()
        moved = run.draws.choice((-_DAY, _DAY))
        os.utime(path, ns=(times.st_atime_ns + moved, times.st_mtime_ns + moved))
    return set()


def _damage_newest(damage: Callable[[Path], None]) -> Callable[[Run], set[str]]:
    def apply(run: Run) -> set[str]:
        name = newest(run.checkpoints())
        if name is None:
            return set()
        damage(run.folder / name)
        return {name}

    return apply


def truncate(checkpoint: Path) -> None:
    """Cuts the largest file of a checkpoint in half."""
    files = [path for path in checkpoint.rglob("*") if path.is_file()]
    largest = max(files, key=lambda path: path.stat().st_size)
    with largest.open("r+b") as file:
        file.truncate(largest.stat().st_size // 2)


FAULTS = {
    "kill -9 of one": Fault(_kill_one),
    "kill -9 of both": Fault(_kill_both),
    "kill -9 of both during a save": Fault(_kill_while_saving, at_once=True),
    "SIGTERM to one": Fault(_terminate_one),
    "one hangs (SIGSTOP)": Fault(_stop_one),
    "newest checkpoint cut in half": Fault(_kill_both, _damage_newest(truncate)),
    "newest checkpoint deleted": Fault(_kill_both, _damage_newest(shutil.rmtree)),
    "full disk": Fault(_fill_the_disk),
    "read-only directory": Fault(_forbid_writing, _allow_writing, _as_anybody),
    "clock jumps by a day": Fault(
        _move_the_clock, _move_times_of_files, _under_our_clock
    ),
}
