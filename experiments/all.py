r"""Every table and figure of the paper, one after another, and the report.

  python -m experiments.all --scale=small

At the scale "small" this takes under an hour on two cores. What is finished is not done
again: stop it whenever you like, and start the same command to go on. A table whose
data is not there is left out, and the report says why.
"""

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from experiments import catalogue, common, report, run_flags
from mixup_jax.errors import RunError, UsageError, unknown
from mixup_jax.runs.progress import duration

_MISSING = 2  # exit code of wrong usage, which a missing data set is too


def main(argv: Sequence[str]) -> None:
    values = flags.FlagValues()
    here = {"flag_values": values}
    text = "directory that gets one for each table and figure; go on there"
    flags.DEFINE_string("workdir", "runs/all", text, **here)
    text = f"these tables and figures: {', '.join(catalogue.MODULES)} [all]"
    flags.DEFINE_list("only", list(catalogue.MODULES), text, **here)
    text = "folder of prepared data sets [tensorflow-datasets' own]"
    flags.DEFINE_string("data_dir", None, text, **here)
    text = "folder of archives that you downloaded yourself"
    flags.DEFINE_string("manual_dir", None, text, **here)
    run_flags.define_scale(values, "small")
    if common.parse(values, __doc__ or "", argv):
        return
    for name in values.only:
        if name not in catalogue.MODULES:
            raise unknown("table or figure", name, catalogue.MODULES)
    shared = [f"--scale={values.scale}"]
    for flag in ("seeds", "data_dir", "manual_dir"):
        if values[flag].value:
            shared.append(f"--{flag}={values[flag].value}")
    workdir = Path(values.workdir).resolve()
    failed = run_all(values.only, workdir, shared)
    report.write(workdir, workdir)
    if failed:
        raise RunError(f"{', '.join(failed)} failed; what they said stands above")


def run_all(names: Sequence[str], workdir: Path, options: Sequence[str]) -> list[str]:
    """Runs each in a process of its own; returns those that failed."""
    if workdir.exists() and not workdir.is_dir():
        raise UsageError(f"workdir {workdir} is a file; name a directory")
    workdir.mkdir(parents=True, exist_ok=True)
    begin, failed = time.monotonic(), []
    for place, name in enumerate(names, 1):
        took = duration(time.monotonic() - begin)
        print(
            f"[{place}/{len(names)}, {took}] {catalogue.MODULES[name]}", file=sys.stderr
        )
        folder = workdir / name
        arguments = [f"--workdir={folder}", *options]
        done = subprocess.run([*command(name), *arguments], stdout=subprocess.DEVNULL)
        if done.returncode < 0 or done.returncode > 128:
            raise KeyboardInterrupt  # stopped by a person: so are we
        if done.returncode == _MISSING:
            print(f"  {name} is left out", file=sys.stderr)
        elif done.returncode:
            failed.append(name)
    return failed


def command(name: str) -> list[str]:
    """Returns how a table or figure is started."""
    return [sys.executable, "-m", f"experiments.{name}"]


if __name__ == "__main__":
    common.main(main)
