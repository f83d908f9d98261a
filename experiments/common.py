"""What every program shares: its command line is read, it starts, its exit code.

What the exit codes mean is in `help_page.EXIT_CODES`.
"""

import importlib
import re
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from absl import flags

from experiments import help_page, streams
from mixup_jax import hosts, runtime
from mixup_jax.errors import RunError, UsageError, did_you_mean
from mixup_jax.runs.interrupt import Interrupted


def start(values: flags.FlagValues, *, alone: bool = False) -> None:
    """Chooses JAX's settings, joins the other processes, and says so.

    Args:
      values: Of the command line.
      alone: Whether this program is one process and refuses to be several.
    """
    if values.cpu_devices < 0:
        raise UsageError(f"cpu_devices must be at least 0, got {values.cpu_devices}")
    if alone and values.distributed != "off":
        raise UsageError("this program is one process: leave out --distributed")
    lines = [runtime.start(cpu_devices=values.cpu_devices)]
    lines.append(
        hosts.join(
            values.distributed,
            coordinator=values.coordinator,
            processes=values.processes,
            process=values.process,
            timeout=values.host_timeout,
        )
    )
    print("; ".join(filter(None, lines)), file=sys.stderr)


def workdir_of(values: flags.FlagValues) -> str:
    """Returns the directory to write to; raises UsageError if none was named."""
    if not values.workdir:
        raise UsageError("--workdir=DIR is missing: where should the files go?")
    return values.workdir


def check_file(name: str, path: str | None) -> None:
    """Raises UsageError where a file could not be written: now, not after the work."""
    if path and not Path(path).resolve().parent.is_dir():
        raise UsageError(f"--{name}={path}: there is no such folder")


def need_pictures() -> None:
    """Raises UsageError where matplotlib is missing: now, not after hours of work."""
    importlib.import_module("experiments.figures")


def next_report(path: Path) -> None:
    """Names the files of a table, and the command that sets it beside the paper's."""
    print(f"\nFiles: {path} (records.csv has every number)")
    print(f"Next: .venv/bin/python -m experiments.report --runs={path.parent}")


def parse(values: flags.FlagValues, description: str, argv: Sequence[str]) -> bool:
    """Reads argv into `values`; returns whether help was asked for, and prints it."""
    flags.DEFINE_bool("help", False, "show this", flag_values=values)
    try:
        rest = values(list(argv))
    except flags.UnrecognizedFlagError as error:
        near = did_you_mean(error.flagname, list(values), mark="--")
        raise UsageError(
            f"there is no flag --{error.flagname}.{near} --help shows all"
        ) from error
    except flags.Error as error:
        raise UsageError(f"{_readable(str(error))} (see --help)") from error
    if len(rest) > 1:
        raise UsageError(
            f"do not know what to do with {rest[1]!r}: flags are written --name=value "
            "(see --help)"
        )
    if values.help:
        print(f"{description.strip()}\n\n{help_page.of(values)}")
    return values.help


def _readable(error: str) -> str:
    """Replaces what Python says of a text that is no number."""
    of_python = r"invalid literal for int\(\).*|could not convert string to float.*"
    match = re.search(of_python, error)
    if match is None:
        return error
    kind = "a whole number" if match[0].startswith("invalid") else "a number"
    return f"{error[: match.start()]}must be {kind}"


def main(body: Callable[[Sequence[str]], None]) -> None:
    """Runs a program's body and ends the process with the right exit code."""
    try:
        with streams.lasting():
            _run(body)
    except BrokenPipeError:  # such as `... | head -1`
        streams.to_nowhere(sys.stdout)
        sys.exit(128 + signal.SIGPIPE)


def _run(body: Callable[[Sequence[str]], None]) -> None:
    try:
        body(sys.argv)
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except RunError as error:
        print(f"failed: {error}", file=sys.stderr)
        sys.exit(1)
    except Interrupted as stop:
        print(f"{stop}. The same command continues from there.", file=sys.stderr)
        sys.exit(128 + stop.signum)
    except OSError as error:
        if error.filename is None:  # a broken pipe, or a defect
            raise
        print(f"failed: {error.filename}: {error.strerror}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:  # before or after the training itself
        print("\nstopped", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)
