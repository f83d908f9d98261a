"""What every experiment's command line shares: flags, run, exit code.

Exit codes: 0 done (or already done), 1 the run failed, 2 wrong usage, 128 + n stopped
by signal n with everything saved.
"""

import dataclasses
import json
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, get_origin

from absl import flags

from mixup_jax import hosts, runtime
from mixup_jax.errors import RunError, UsageError, unknown
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


def define_run_flags(runs: Mapping[str, RunConfig]) -> flags.FlagValues:
    """Returns flags for choosing a run, overriding its fields and carrying it out.

    They live in their own FlagValues: two experiments in one process, or a notebook
    cell run twice, do not collide.
    """
    values = flags.FlagValues()
    here = {"flag_values": values}
    flags.DEFINE_string("run", None, f"one of: {', '.join(runs)}", **here)
    flags.DEFINE_string("workdir", None, "directory of the run's files", **here)
    flags.DEFINE_bool("list", False, "print the runs with their configs, stop", **here)
    flags.DEFINE_bool("smoke", False, "try everything out in seconds", **here)
    define_session_flags(values)
    for field in dataclasses.fields(RunConfig):
        kind = get_origin(field.type) or field.type
        help_text = f"{field.metadata['help']} (overrides the run's)"
        _DEFINE[kind](field.name, None, help_text, **here)
    return values


def define_session_flags(values: flags.FlagValues) -> None:
    """Adds flags for how and where runs are carried out; see `session_of`."""
    here = {"flag_values": values}
    flags.DEFINE_string("parallel", "pmap", "pmap or shard_map", **here)
    flags.DEFINE_integer("cpu_devices", 0, "devices to simulate on a CPU", **here)
    flags.DEFINE_integer("checkpoint_every", 1, "epochs between checkpoints", **here)
    flags.DEFINE_integer("workers", 0, "threads of the host; 0: all cores", **here)
    flags.DEFINE_integer("profile", 0, "steps to trace, for TensorBoard", **here)
    flags.DEFINE_string("data_dir", None, "of prepared tensorflow-datasets", **here)
    flags.DEFINE_string("manual_dir", None, "of archives you downloaded", **here)
    text = "run on several hosts: off, auto (the cluster tells) or manual"
    flags.DEFINE_string("distributed", "off", text, **here)
    text = "manual: address of process 0, HOST:PORT"
    flags.DEFINE_string("coordinator", "", text, **here)
    flags.DEFINE_integer("processes", 0, "manual: how many there are", **here)
    flags.DEFINE_integer("process", -1, "manual: which one this is, from 0", **here)
    text = "seconds to wait for a silent process before all give up"
    flags.DEFINE_integer("host_timeout", 300, text, **here)


def start(values: flags.FlagValues, *, alone: bool = False) -> None:
    """Chooses JAX's settings, joins the other processes, and says so.

    Args:
      values: Of the command line.
      alone: Whether this program is one process and refuses to be several.
    """
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
    here = {"flag_values": values}
    text = "paper (its exact settings) or small (minutes on two cores)"
    flags.DEFINE_enum("scale", default, SCALES, text, **here)
    text = "seeds of each row; 0: as many as the scale has"
    flags.DEFINE_integer("seeds", 0, text, lower_bound=0, **here)


def define_table_flags(values: flags.FlagValues) -> None:
    """Adds the flags of a table whose rows are not runs."""
    flags.DEFINE_string("workdir", None, "directory of its files", flag_values=values)
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
        for name, config in runs.items():
            print(name, json.dumps(dataclasses.asdict(config)))
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


def session_of(values: flags.FlagValues) -> Session:
    """Returns how and where runs are carried out, as the flags say."""
    return Session(
        parallel=values.parallel,
        data_dir=values.data_dir,
        manual_dir=values.manual_dir,
        checkpoint_every=values.checkpoint_every,
        workers=values.workers,
        profile=values.profile,
        report=lambda line: print(line, file=sys.stderr),
    )


def parse(values: flags.FlagValues, description: str, argv: Sequence[str]) -> bool:
    """Reads argv into `values`; returns whether help was asked for, and prints it."""
    flags.DEFINE_bool("help", False, "show this help", flag_values=values)
    try:
        rest = values(list(argv))
    except flags.Error as error:
        raise UsageError(f"{error} (see --help)") from error
    if len(rest) > 1:
        raise UsageError(f"do not know what to do with {rest[1]!r} (see --help)")
    if values.help:
        print(description)
        print(values.get_help())
    return values.help


def main(body: Callable[[Sequence[str]], None]) -> None:
    """Runs a program's body and ends the process with the right exit code."""
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
    except KeyboardInterrupt:  # before or after the training itself
        sys.exit(128 + signal.SIGINT)
