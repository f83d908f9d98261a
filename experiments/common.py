"""What every experiment's command line shares: flags, run, exit code.

What the exit codes mean is in `help_page.EXIT_CODES`.
"""

import dataclasses
import importlib
import json
import re
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, get_origin

from absl import flags

from experiments import help_page, streams
from mixup_jax import hosts, runtime
from mixup_jax.errors import RunError, UsageError, did_you_mean, unknown
from mixup_jax.runs import RunConfig, Session, run
from mixup_jax.runs.interrupt import Interrupted

SCALES = ("paper", "small")

_DEFINE: dict[Any, Callable] = {
    bool: flags.DEFINE_bool,
    float: flags.DEFINE_float,
    int: flags.DEFINE_integer,
    str: flags.DEFINE_string,
    tuple: flags.DEFINE_list,
}

# Minutes become seconds, and no data set is needed but the embedded one.
_SMOKE: dict[str, Any] = {
    "dataset": "mnist5k",
    "train_examples": 64,
    "test_examples": 40,
    "width": 4,
    "batch_size": 24,
    "eval_batch_size": 32,
    "epochs": 2,
    "lr_drops": (1,),
    "neighbours": 8,
}

# Of --help: a flag's section.
_WHAT = "What to run"
_HOW = "How and where; none of it changes a result"
_HOSTS = "Several hosts as one run"
_FIELDS = "A run's own settings"


def define_run_flags(runs: Mapping[str, RunConfig]) -> flags.FlagValues:
    """Returns flags for choosing a run, overriding its fields and carrying it out.

    They live in their own FlagValues: two experiments in one process, or a notebook
    cell run twice, do not collide. Without runs, all but those for choosing.
    """
    values = flags.FlagValues()
    here: dict[str, Any] = {"flag_values": values, "module_name": _WHAT}
    if runs:
        text = f"one run: {', '.join(runs)} (--list shows what they are)"
        flags.DEFINE_string("run", None, text, **here)
        text = "directory for the files; go on there"
        flags.DEFINE_string("workdir", None, text, **here)
        text = "print the runs and how they differ, stop"
        flags.DEFINE_bool("list", False, text, **here)
        text = "try a run out in seconds, small and on stand-in data"
        flags.DEFINE_bool("smoke", False, text, **here)
    define_session_flags(values)
    here["module_name"] = _FIELDS
    for field in dataclasses.fields(RunConfig):
        kind = get_origin(field.type) or field.type
        _DEFINE[kind](
            field.name, None, help_page.field_help(field, runs.values()), **here
        )
    return values


def define_session_flags(values: flags.FlagValues) -> None:
    """Adds flags for how and where runs are carried out; see `session_of`."""
    here: dict[str, Any] = {"flag_values": values, "module_name": _HOW}
    text = "how devices share a batch: pmap or shard_map"
    flags.DEFINE_string("parallel", "pmap", text, **here)
    text = "devices to simulate on a CPU; 0: use what there is"
    flags.DEFINE_integer("cpu_devices", 0, text, **here)
    text = "epochs between checkpoints; the best and the last are kept anyway"
    flags.DEFINE_integer("checkpoint_every", 1, text, **here)
    text = "threads of the host that decode images; 0: one per core"
    flags.DEFINE_integer("workers", 0, text, **here)
    text = "steps to trace into the run's directory, for TensorBoard; 0: none"
    flags.DEFINE_integer("profile", 0, text, **here)
    text = "project of Weights & Biases that gets the curves too; empty: none"
    flags.DEFINE_string("wandb", "", text, **here)
    text = "folder of prepared data sets [tensorflow-datasets' own]"
    flags.DEFINE_string("data_dir", None, text, **here)
    text = "folder of archives that you downloaded yourself"
    flags.DEFINE_string("manual_dir", None, text, **here)
    here["module_name"] = _HOSTS
    text = "off, auto (the cluster tells) or manual (the next three flags)"
    flags.DEFINE_string("distributed", "off", text, **here)
    text = "manual: address of process 0, HOST:PORT"
    flags.DEFINE_string("coordinator", "", text, **here)
    text = "manual: how many there are [as many as the cluster says]"
    flags.DEFINE_integer("processes", 0, text, **here)
    text = "manual: which one this is, from 0 [as the cluster says]"
    flags.DEFINE_integer("process", -1, text, **here)
    text = "seconds to wait for a silent process before all give up"
    flags.DEFINE_integer("host_timeout", 300, text, **here)


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


def define_scale(values: flags.FlagValues, default: str | None = None) -> None:
    """Adds the flags of a whole table: --scale and --seeds."""
    here: dict[str, Any] = {"flag_values": values, "module_name": _WHAT}
    text = "the whole table: the paper's exact settings, or minutes on two cores"
    flags.DEFINE_enum("scale", default, SCALES, text, **here)
    text = "how many seeds each row has, from 0; 0: as many as the scale has"
    flags.DEFINE_integer("seeds", 0, text, lower_bound=0, **here)


def define_rows(values: flags.FlagValues) -> None:
    """Adds the flag that chooses rows of a table."""
    text = "names of the table's rows, also with *, such as 'c20_*,c50_*'; *: all"
    flags.DEFINE_list("rows", ["*"], text, flag_values=values, module_name=_WHAT)


def define_table_flags(values: flags.FlagValues) -> None:
    """Adds the flags of a table whose rows are not runs."""
    here: dict[str, Any] = {"flag_values": values, "module_name": _WHAT}
    flags.DEFINE_string("workdir", None, "directory for the files; go on there", **here)
    define_scale(values, "small")
    define_session_flags(values)


def workdir_of(values: flags.FlagValues) -> str:
    """Returns the directory to write to; raises UsageError if none was named."""
    if not values.workdir:
        raise UsageError("--workdir=DIR is missing: where should the files go?")
    return values.workdir


def chosen_config(values: flags.FlagValues, runs: Mapping[str, RunConfig]) -> RunConfig:
    """Returns the run's config with --smoke and the overriding flags applied."""
    if values.run not in runs:
        raise unknown("run", values.run, runs)
    config = runs[values.run]
    if values.smoke:
        config = dataclasses.replace(config, **_SMOKE)
    return overridden(values, config)


def overridden(values: flags.FlagValues, config: RunConfig) -> RunConfig:
    """Returns the config with the fields that have been given as flags."""
    given: dict[str, Any] = {
        field.name: _typed(field, value)
        for field in dataclasses.fields(RunConfig)
        if (value := values[field.name].value) is not None
    }
    return dataclasses.replace(config, **given)


def _typed(field: dataclasses.Field, value):
    if get_origin(field.type) is not tuple:
        return value
    try:
        return tuple(int(entry) for entry in value if entry.strip())
    except ValueError as error:
        raise UsageError(
            f"{field.name} takes whole numbers separated by commas, got {value}"
        ) from error


def carry_out(values: flags.FlagValues, runs: Mapping[str, RunConfig]) -> None:
    """Carries out the run that the flags name, or lists all."""
    if values.list:
        print(help_page.listing(runs))
        program = f"python -m experiments.{Path(sys.argv[0]).stem}"
        print(f"\nNext: {program} --run=NAME --workdir=runs/NAME")
        return
    config = chosen_config(values, runs)
    workdir = workdir_of(values)
    config.validate()
    start(values)
    result = run(config, workdir, session_of(values))
    if not hosts.is_main():
        return
    measures = {
        name: result[name]
        for name in ("data", "test_error_best", "test_error_last", "params_sha256")
    }
    print(json.dumps(measures, indent=2))
    print(f"Files: {Path(workdir).resolve()} (result.json holds all measures)")
    print(f'Next: predict = mixup_jax.runs.load_predictor("{workdir}") in Python')


def session_of(values: flags.FlagValues) -> Session:
    """Returns how and where runs are carried out, as the flags say."""
    return Session(
        parallel=values.parallel,
        data_dir=values.data_dir,
        manual_dir=values.manual_dir,
        checkpoint_every=values.checkpoint_every,
        workers=values.workers,
        profile=values.profile,
        wandb=values.wandb,
        report=lambda line: print(line, file=sys.stderr),
    )


def need_pictures() -> None:
    """Raises UsageError where matplotlib is missing: now, not after hours of work."""
    importlib.import_module("experiments.figures")


def next_report(path: Path) -> None:
    """Names the files of a table, and the command that sets it beside the paper's."""
    print(f"\nFiles: {path} (records.csv has every number)")
    print(f"Next: python -m experiments.report --runs={path.parent}")


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
