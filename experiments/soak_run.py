r"""The run that `experiments.soak` breaks: processes on this machine, what they leave.

  python -m experiments.soak_run FILE ...   as experiments.cifar, counting into FILE

The count of steps lies in a mapped file, which outlives a process that is killed.
"""

import contextlib
import json
import mmap
import random
import re
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

STEPS_PER_EPOCH = 11  # 1,050 examples in batches of 100
PATIENCE = 180  # seconds for anything
SILENCE = 10  # seconds until a silent process is given up
_ARGUMENTS = (
    "--run=c10_preact18_mixup --dataset=mnist5k --model=mlp --width=16 --crop_pad=0 "
    "--noflip --corruption=0.5 --learning_rate=0.01 --batch_size=100 "
    "--train_examples=1050 --train_error_every=-1"
).split()
_SAID = re.compile(r"saved at step|failed:|error:|Terminating|continues")
_COUNT = struct.Struct("<q")


class Run:
    """One run, started as often as asked.

    Args:
      workdir: Of the run.
      logs: Directory for what the processes say; exists.
      epochs: Of the run.
      draws: Chooses moments and victims.
    """

    def __init__(self, workdir: Path, logs: Path, epochs: int, draws: random.Random):
        self.workdir, self.logs, self.draws = workdir, logs, draws
        self.processes: list[subprocess.Popen] = []
        self._starts = 0
        self._count = logs / "steps"
        self._arguments = [*_ARGUMENTS, f"--epochs={epochs}"]
        self._arguments.append(f"--lr_drops={epochs // 2}")

    @property
    def folder(self) -> Path:
        """Of the checkpoints."""
        return self.workdir / "checkpoints"

    def start(self, processes: int, prefix: Sequence[str] = ()) -> None:
        """Starts it; a prefix is a command that starts commands."""
        self._starts += 1
        self._count.write_bytes(_COUNT.pack(0))
        address = free_address()
        self.processes = []
        for process in range(processes):
            several = [
                "--distributed=manual",
                f"--coordinator={address}",
                f"--processes={processes}",
                f"--process={process}",
                f"--host_timeout={SILENCE}",
            ]
            # Every process has one device, but for the one that counts for two.
            options = several if processes > 1 else ["--cpu_devices=2"]
            counts = str(self._count) if process == 0 else "/dev/null"
            command = [*prefix, sys.executable, "-m", "experiments.soak_run", counts]
            command += [*self._arguments, f"--workdir={self.workdir}", *options]
            with self.log(process).open("w") as log:
                started = subprocess.Popen(command, stdout=log, stderr=log)
            self.processes.append(started)

    def wait(self) -> list[int]:
        """Returns the exit codes, negative for signals."""
        return [process.wait(timeout=10 * PATIENCE) for process in self.processes]

    def alive(self) -> bool:
        """Whether no process has ended."""
        return all(process.poll() is None for process in self.processes)

    def wait_for_more(self, than: int) -> None:
        """Waits until the metrics go beyond a step."""
        end = time.monotonic() + PATIENCE
        while self.measured() <= than and self.alive() and time.monotonic() < end:
            time.sleep(0.02)

    def measured(self) -> int:
        """Step of the last whole line of the metrics."""
        try:
            lines = (self.workdir / "metrics.jsonl").read_text().split("\n")[:-1]
        except FileNotFoundError:
            return 0
        return json.loads(lines[-1])["step"] if lines else 0

    def taken_up(self) -> int | None:
        """Step that the newest start continued from; None if it took none."""
        found = re.search(r"continuing from step (\d+)", self.log(0).read_text())
        if found:
            return int(found[1])
        return 0 if self._counted() else None

    def reached(self) -> int | None:
        """Last step that the newest start took; None if it took none."""
        begin = self.taken_up()
        return None if begin is None else begin + self._counted()

    def _counted(self) -> int:
        return _COUNT.unpack(self._count.read_bytes())[0]

    def checkpoints(self) -> dict[str, int]:
        """Bytes of every checkpoint by its folder's name, half-written ones too."""
        return {path.name: _size(path) for path in self.folder.glob("*")}

    def log(self, process: int) -> Path:
        """What a process says since its newest start."""
        name = f"{self.workdir.name}{self._starts:03d}_process{process}.txt"
        return self.logs / name

    def said(self) -> str:
        """Last line that says how it ended: the main process's, else another's."""
        for process in range(len(self.processes)):
            lines = self.log(process).read_text().strip().splitlines()
            for line in reversed(lines):
                if _SAID.search(line):
                    return line
        return ""

    def params_sha256(self) -> str:
        """Hash of the parameters at the end."""
        return json.loads((self.workdir / "result.json").read_text())["params_sha256"]


def free_address() -> str:
    """Returns an address of this machine with a port that was free just now."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{free.getsockname()[1]}"


def newest(checkpoints: dict[str, int]) -> str | None:
    """Name of the newest whole checkpoint."""
    return max(filter(str.isdigit, checkpoints), key=int, default=None)


def _size(folder: Path) -> int:
    sizes = []
    for path in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):  # renamed meanwhile
            sizes.append(path.stat().st_size if path.is_file() else 0)
    return sum(sizes)


def _count_steps(path: str) -> None:
    """Has every step of this process counted in a file."""
    from mixup_jax.runs.telemetry import Telemetry

    with open(path, "r+b") as file:
        count = mmap.mmap(file.fileno(), _COUNT.size)
    take = Telemetry.step

    def step(self: Telemetry, steps: int = 1) -> None:
        take(self, steps)
        count[:] = _COUNT.pack(_COUNT.unpack(count)[0] + steps)

    Telemetry.step = step


def _main() -> None:
    from experiments import cifar, common, reproduction

    path = sys.argv.pop(1)
    if path != "/dev/null":
        _count_steps(path)
    common.main(lambda argv: reproduction.main(cifar.REPRODUCTION, "", argv))


if __name__ == "__main__":
    _main()
