r"""Breaks a run on purpose, again and again, and checks that nothing is lost.

  python -m experiments.soak --workdir=runs/soak --faults=20
  python -m experiments.soak --workdir=runs/soak --only='full disk,kill -9 of one'

A run of two processes on this machine is started, broken at a random moment and started
again, as often as asked; then it is left to finish. It must end in bitwise the
parameters of a run that nobody touched, and after every fault it must go on from the
newest checkpoint that is whole. Prints a table: faults, what became of them, steps that
had to be done again, bytes of checkpoints that could not be used.
"""

import dataclasses
import json
import random
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from experiments import common, markdown
from experiments.soak_faults import FAULTS
from experiments.soak_run import STEPS_PER_EPOCH, Run, newest
from mixup_jax.errors import RunError, UsageError, unknown
from mixup_jax.runs.environment import environment


@dataclasses.dataclass
class Outcome:
    """One fault.

    Attributes:
      fault: Its name.
      exits: Of the processes, negative for signals.
      reached: Last step that was taken before all ended; None if none was counted.
      written: Bytes of every checkpoint on the disk by then, before it was damaged.
      good: Step of the newest one that the fault left whole; 0 without any.
      after: Step that the next start continued from; None if it could not.
      said: Last line that tells how it ended.
    """

    fault: str
    exits: list[int]
    reached: int | None
    written: dict[str, int]
    good: int
    after: int | None = None
    said: str = ""

    @property
    def survived(self) -> bool:
        """Whether it went on from the newest whole checkpoint."""
        return self.after is not None and self.after >= self.good

    @property
    def half_written(self) -> bool:
        """Whether it struck while a checkpoint was being written."""
        return not all(map(str.isdigit, self.written))

    @property
    def steps_lost(self) -> int:
        """Steps that had to be done again."""
        return (self.reached or 0) - (self.after or 0)

    @property
    def bytes_lost(self) -> int:
        """Of checkpoints that the next start could not use."""
        after = self.after or 0
        lost = (n for n in self.written if not n.isdigit() or int(n) > after)
        return sum(self.written[name] for name in lost)


def main(argv: Sequence[str]) -> None:
    values = flags.FlagValues()
    here = {"flag_values": values}
    flags.DEFINE_string("workdir", None, "directory of its files, a new one", **here)
    flags.DEFINE_integer("faults", 20, "how many", lower_bound=1, **here)
    flags.DEFINE_list("only", None, "these kinds of fault; all", **here)
    flags.DEFINE_integer("epochs", 400, "of the run", lower_bound=2, **here)
    flags.DEFINE_integer("seed", 0, "of moments and victims", **here)
    if common.parse(values, __doc__ or "", argv):
        return
    for name in values.only or []:
        if name not in FAULTS:
            raise unknown("fault", name, FAULTS)
    workdir = Path(common.workdir_of(values)).resolve()
    if workdir.exists() and any(workdir.iterdir()):
        raise UsageError(f"{workdir} is not empty; name a new directory")
    begin = time.monotonic()
    soak = Soak(workdir, values.epochs, random.Random(values.seed))
    soak.run(values.faults, values.only or list(FAULTS))
    minutes = (time.monotonic() - begin) / 60
    _keep(workdir, soak.outcomes, argv[1:], minutes)
    soak.check()
    print(f"\nBitwise the parameters of an untouched run. Files: {workdir}")


def _keep(
    workdir: Path, outcomes: list[Outcome], arguments: Sequence[str], minutes: float
) -> None:
    """Writes what became of the faults, for people and for programs; prints it."""
    made = environment()
    command = shlex.join(["python", "-m", "experiments.soak", *arguments])
    versions = ", ".join(f"{name} {v}" for name, v in made["versions"].items())
    text = f"{table(outcomes)}\n\n`{command}`, {minutes:.1f} minutes, {made['machine']}"
    print(text)
    (workdir / "soak.md").write_text(f"{text}; {versions}\n")
    rows = [dataclasses.asdict(outcome) for outcome in outcomes]
    (workdir / "soak.json").write_text(json.dumps(rows, indent=2) + "\n")


class Soak:
    """The run that is broken, and an untouched one beside it."""

    def __init__(self, workdir: Path, epochs: int, draws: random.Random):
        logs = workdir / "logs"
        logs.mkdir(parents=True)
        self.draws = draws
        self.broken = Run(workdir / "broken", logs, epochs, draws)
        self.whole = Run(workdir / "whole", logs, epochs, draws)
        self.outcomes: list[Outcome] = []

    def run(self, faults: int, names: Sequence[str]) -> None:
        """Injects faults of the named kinds in turn, shuffled; lets the run finish."""
        names, turn = self._possible(names), []
        result = self.broken.workdir / "result.json"
        while len(self.outcomes) < faults and not result.exists():
            turn = turn or self.draws.sample(names, len(names))
            self.strike(turn.pop())
            done = f"[{len(self.outcomes)}/{faults}] {self.outcomes[-1].fault}"
            print(done, file=sys.stderr)
        for run, processes in ((self.broken, 2), (self.whole, 1)):
            run.start(processes)
            if any(codes := run.wait()):
                raise RunError(f"the last start ended with {codes}; see {run.logs}")
            if run is self.broken:
                self.note_resumption()

    def _possible(self, names: Sequence[str]) -> list[str]:
        possible = []
        for name in names:
            try:
                FAULTS[name].prefix(self.broken)
                possible.append(name)
            except UsageError as error:
                print(f"left out, {name}: {error}", file=sys.stderr)
        if not possible:
            raise UsageError("none of these faults can be injected on this machine")
        return possible

    def strike(self, name: str) -> None:
        """Starts the run, breaks it, and keeps what became of it."""
        fault, run = FAULTS[name], self.broken
        had = run.measured()
        run.start(2, fault.prefix(run))
        run.wait_for_more(had)
        self.note_resumption()
        if not fault.at_once:
            time.sleep(self.draws.uniform(0, 2))
        fault.strike(run)
        exits, written = run.wait(), run.checkpoints()
        broken = fault.damage(run)
        whole = {each: size for each, size in written.items() if each not in broken}
        good = int(newest(whole) or 0)
        outcome = Outcome(name, exits, run.reached(), written, good)
        outcome.said = run.said()[:100]
        self.outcomes.append(outcome)

    def note_resumption(self) -> None:
        """Reads from the newest start where it took up what the fault before left."""
        if self.outcomes:
            self.outcomes[-1].after = self.broken.taken_up()

    def check(self) -> None:
        """Raises RunError if anything was lost."""
        for outcome in self.outcomes:
            if not outcome.survived:
                raise RunError(f"a checkpoint that was whole was not used: {outcome}")
        if self.broken.params_sha256() != self.whole.params_sha256():
            raise RunError("the run did not end in the untouched one's parameters")


def table(outcomes: Sequence[Outcome]) -> str:
    """Returns what became of every kind of fault, and of all."""
    rows = []
    for fault in FAULTS:
        if of_it := [outcome for outcome in outcomes if outcome.fault == fault]:
            exits = sorted({tuple(sorted(each.exits)) for each in of_it})
            said = next((each.said for each in of_it if each.said), "")
            rows.append([fault, *_counts(of_it), " or ".join(map(str, exits)), said])
    rows.append(["all", *_counts(outcomes), "", ""])
    head = ["fault", "injected", "survived", "steps lost, each", "bytes lost, each"]
    head += ["exit codes", "what was said"]
    saving = [each for each in outcomes if "save" in each.fault]
    hit = sum(each.half_written for each in saving)
    note = (
        "Steps lost were taken and had to be taken again, of "
        f"{STEPS_PER_EPOCH} between two checkpoints; bytes lost are of checkpoints "
        f"that could not be used. {hit} of {len(saving)} kills during a save left a "
        "checkpoint half written."
    )
    return f"{markdown.table(head, rows)}\n\n{note}"


def _counts(outcomes: Sequence[Outcome]) -> list[str]:
    steps = [each.steps_lost for each in outcomes]
    lost = [each.bytes_lost for each in outcomes]
    several = len({each.fault for each in outcomes}) > 1
    join = (lambda values: f"{sum(values):,} in all") if several else _listed
    survived = sum(each.survived for each in outcomes)
    return [str(len(outcomes)), str(survived), join(steps), join(lost)]


def _listed(values: Sequence[int]) -> str:
    return ", ".join(f"{value}" for value in values)


if __name__ == "__main__":
    common.main(main)
