"""Flags that choose a run or a table and how it is carried out, and what they say."""

import dataclasses
import sys
from collections.abc import Callable, Mapping
from typing import Any, get_origin

from absl import flags

from experiments import help_page
from mixup_jax.errors import UsageError, unknown
from mixup_jax.runs import RunConfig, Session

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
