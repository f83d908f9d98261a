r"""Breaks a run on purpose, again and again, and checks that nothing is lost.

  python -m experiments.soak --workdir=runs/soak --faults=21

A run of two processes on this machine is started, broken at a random moment and started
again, as often as asked; then it is left to finish. It must end in bitwise the
parameters of a run that nobody touched, and every fault in an exit that says what
happened. Prints a table: faults, what became of them, steps that had to be done again.
"""

import dataclasses
import json
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from absl import flags

from experiments import common, markdown
from mixup_jax.errors import RunError, UsageError

_RUN = (
    "--run=c10_preact18_mixup --dataset=mnist5k --model=mlp --width=16 --crop_pad=0 "
    "--noflip --corruption=0.5 --learning_rate=0.01 --batch_size=100 "
    "--train_examples=1050 --train_error_every=-1"
).split()
_STEPS = 11  # in an epoch: 1,050 examples in batches of 100
_SILENCE = 10  # seconds until a silent process is given up
_PATIENCE = 120  # seconds for anything else
# Kilobytes: whole checkpoints are larger, lines of metrics smaller.
_LARGEST_FILE = 8


@dataclasses.dataclass
class Outcome:
    """One fault.

    Attributes:
      fault: Its name.
      exits: Of the processes, negative for signals.
      before: Steps that the metrics had when it struck.
      after: Step that the next start continued from; None if it was broken before it
        could say so.
      said: Last line of the main process.
    """

    fault: str
    exits: list[int]
    before: int
    after: int | None = None
    said: str = ""


def main(argv: Sequence[str]) -> None:
    values = flags.FlagValues()
    here = {"flag_values": values}
    flags.DEFINE_string("workdir", None, "directory of its files, a new one", **here)
    flags.DEFINE_integer("faults", 21, "how many", lower_bound=1, **here)
    flags.DEFINE_integer("epochs", 400, "of the run", lower_bound=2, **here)
    flags.DEFINE_integer("seed", 0, "of moments and victims", **here)
    if common.parse(values, __doc__ or "", argv):
        return
    workdir = Path(common.workdir_of(values)).resolve()
    if workdir.exists() and any(workdir.iterdir()):
        raise UsageError(f"{workdir} is not empty; name a new directory")
    soak = Soak(workdir, values.epochs, random.Random(values.seed))
    outcomes = soak.run(values.faults)
    text = table(outcomes)
    (workdir / "soak.md").write_text(f"{text}\n")
    print(text)
    if soak.result() != soak.reference():
        raise RunError("the run did not end in the parameters of the untouched one")
    print(f"\nBitwise the parameters of an untouched run. Files: {workdir}")


class Soak:
    """The run that is broken, and an untouched one beside it."""

    def __init__(self, workdir: Path, epochs: int, draws: random.Random):
        self.broken, self._whole = workdir / "broken", workdir / "whole"
        self._logs = workdir / "logs"
        self._logs.mkdir(parents=True)
        self._arguments = [*_RUN, f"--epochs={epochs}", f"--lr_drops={epochs // 2}"]
        self.draws = draws

    def run(self, faults: int) -> list[Outcome]:
        """Injects the faults in turn, shuffled, and lets the run finish."""
        outcomes: list[Outcome] = []
        names: list[str] = []
        while len(outcomes) < faults and not (self.broken / "result.json").exists():
            if not names:
                names = self.draws.sample(list(FAULTS), len(FAULTS))
            outcome = self._strike(names.pop())
            self._note_resumption(outcomes)
            outcomes.append(outcome)
            print(f"[{len(outcomes)}/{faults}] {outcome.fault}", file=sys.stderr)
        processes = self._start(self.broken, processes=2)
        codes = [process.wait(timeout=1800) for process in processes]
        if any(codes):
            raise RunError(f"the last start ended with {codes}; see {self._logs}")
        self._note_resumption(outcomes)
        (process,) = self._start(self._whole, processes=1)
        if code := process.wait(timeout=1800):
            raise RunError(f"the untouched run ended with {code}; see {self._logs}")
        return outcomes

    def result(self) -> str:
        """Hash of the broken run's parameters."""
        return _hash(self.broken)

    def reference(self) -> str:
        """Hash of the untouched run's."""
        return _hash(self._whole)

    def _strike(self, fault: str) -> Outcome:
        limit = _LARGEST_FILE if fault == "full disk" else None
        processes = self._start(self.broken, processes=2, largest_file=limit)
        had = _steps(self.broken)
        if fault != "full disk":
            self._wait_for_more(had, processes)
            time.sleep(self.draws.uniform(0, 2))
        before = _steps(self.broken)
        FAULTS[fault](self, processes)
        exits = [process.wait(timeout=_PATIENCE) for process in processes]
        lines = self._log(0).read_text().strip().splitlines()
        said = next((line for line in reversed(lines) if _SAID.search(line)), "")
        return Outcome(fault, exits, before, said=said[:100])

    def _wait_for_more(self, had: int, processes: list[subprocess.Popen]) -> None:
        end = time.monotonic() + _PATIENCE
        while _steps(self.broken) <= had:
            if time.monotonic() > end or any(p.poll() is not None for p in processes):
                break
            time.sleep(0.02)

    def _start(
        self, workdir: Path, *, processes: int, largest_file: int | None = None
    ) -> list[subprocess.Popen]:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{free.getsockname()[1]}"

        command = [sys.executable, "-m", "experiments.cifar", *self._arguments]
        if largest_file is not None:
            # Python ignores the signal, and the write fails.
            limited = f'ulimit -f {largest_file}; exec "$@"'
            command = ["bash", "-c", limited, "limited", *command]
        started = []
        for process in range(processes):
            several = [
                "--distributed=manual",
                f"--coordinator={address}",
                f"--processes={processes}",
                f"--process={process}",
                f"--host_timeout={_SILENCE}",
            ]
            alone = ["--cpu_devices=2"]
            options = several if processes > 1 else alone
            with self._log(process).open("w") as log:
                started.append(
                    subprocess.Popen(
                        [*command, f"--workdir={workdir}", *options],
                        stdout=log,
                        stderr=log,
                    )
                )
        return started

    def _log(self, process: int) -> Path:
        return self._logs / f"process{process}.txt"

    def _note_resumption(self, outcomes: list[Outcome]) -> None:
        """Reads from the newest start where it took up what the fault before left."""
        found = re.search(r"continuing from step (\d+)", self._log(0).read_text())
        if outcomes and found:
            outcomes[-1].after = int(found[1])

    def kill(self, processes: list[subprocess.Popen], *, every: bool) -> None:
        """kill -9."""
        for process in processes if every else [self.draws.choice(processes)]:
            process.kill()


def _kill_all_and_damage(damage: Callable[[Path], None]):
    def strike(soak: Soak, processes: list[subprocess.Popen]) -> None:
        soak.kill(processes, every=True)
        for process in processes:
            process.wait()
        steps = [int(p.name) for p in _checkpoints(soak.broken)]
        if steps:
            damage(soak.broken / "checkpoints" / str(max(steps)))

    return strike


def _truncate(checkpoint: Path) -> None:
    files = [path for path in checkpoint.rglob("*") if path.is_file()]
    largest = max(files, key=lambda path: path.stat().st_size)
    with largest.open("r+b") as file:
        file.truncate(largest.stat().st_size // 2)


def _stop_one(soak: Soak, processes: list[subprocess.Popen]) -> None:
    """A process that is there and does nothing; the other must not wait forever."""
    silent, other = soak.draws.sample(processes, 2)
    silent.send_signal(signal.SIGSTOP)
    other.wait(timeout=_PATIENCE)
    silent.kill()


FAULTS: dict[str, Callable[[Soak, list[subprocess.Popen]], None]] = {
    "kill -9 of one": lambda soak, processes: soak.kill(processes, every=False),
    "kill -9 of both": lambda soak, processes: soak.kill(processes, every=True),
    "SIGTERM to one": lambda soak, processes: soak.draws.choice(processes).terminate(),
    "one hangs": _stop_one,
    "checkpoint cut off": _kill_all_and_damage(_truncate),
    "checkpoint deleted": _kill_all_and_damage(shutil.rmtree),
    "full disk": lambda soak, processes: None,
}
_SAID = re.compile(r"saved at step|failed:|error:|Terminating|continues")


def _checkpoints(workdir: Path) -> list[Path]:
    found = (workdir / "checkpoints").glob("*")
    return [path for path in found if path.name.isdigit()]


def _steps(workdir: Path) -> int:
    """Steps of the last whole line of the metrics."""
    try:
        lines = (workdir / "metrics.jsonl").read_text().split("\n")[:-1]
    except FileNotFoundError:
        return 0
    return json.loads(lines[-1])["step"] if lines else 0


def _hash(workdir: Path) -> str:
    return json.loads((workdir / "result.json").read_text())["params_sha256"]


def table(outcomes: Sequence[Outcome]) -> str:
    """Returns what became of every kind of fault."""
    rows = []
    for fault in FAULTS:
        of_it = [outcome for outcome in outcomes if outcome.fault == fault]
        if of_it:
            known = [each for each in of_it if each.after is not None]
            lost = [max(0, each.before - (each.after or 0)) for each in known]
            exits = sorted({tuple(sorted(each.exits)) for each in of_it})
            said = next((each.said for each in of_it if each.said), "")
            times = [fault, str(len(of_it)), " or ".join(map(str, exits))]
            rows.append([*times, f"{max(lost, default='?')}", said])
    head = ["fault", "times", "exit codes", "most steps done again", "what it said"]
    note = (
        f"{len(outcomes)} faults; steps are counted from the last line of the metrics, "
        f"of {_STEPS} in an epoch. A kill in the middle of an epoch loses that epoch."
    )
    return f"{markdown.table(head, rows)}\n\n{note}"


if __name__ == "__main__":
    common.main(main)
