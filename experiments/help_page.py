"""What --help and --list print: flags in sections, with units and defaults."""

import dataclasses
import shutil
import textwrap
from collections.abc import Iterable, Mapping
from typing import Any

from absl import flags

from mixup_jax.runs import RunConfig

EXIT_CODES = """\
Exit codes: 0 done (or already done), 1 it started and failed, 2 wrong usage (nothing
was written), 128 + n stopped by signal n with everything saved: 130 by Ctrl-C, 143 by
SIGTERM, 129 by a closed terminal (SIGHUP; with nohup it goes on instead), 141 if nobody
reads the output any more."""

_KINDS = {
    "int": "=N",
    "float": "=X",
    "comma separated list of strings": "=A,B",
    "string": "=TEXT",
    "multi string": "=TEXT",
}
_INDENT = 28
_SHOWN = 3  # values that a field has in the runs


def of(values: flags.FlagValues) -> str:
    """Returns all flags by section, as they were defined, and the exit codes.

    A section is the `module_name` that a flag was defined with. Square brackets hold
    defaults.
    """
    width = max(60, min(shutil.get_terminal_size((88, 24)).columns, 100))
    parts = []
    for section, defined in values.flags_by_module_dict().items():
        title = section if " " in section else "Flags"
        lines = [_flag(flag, width) for flag in defined if flag.name != "help"]
        if lines:
            parts.append("\n".join([f"{title} [default]:", *lines]))
    return "\n\n".join([*parts, EXIT_CODES])


def _flag(flag: flags.Flag, width: int) -> str:
    kind, text = flag.flag_type(), flag.help
    shown = _KINDS.get(kind, "")
    if isinstance(flag, flags.EnumFlag):
        choice = "|".join(flag.parser.enum_values)
        shown, text = f"={choice}", text.removeprefix(f"<{choice}>: ")
    name = f"--[no]{flag.name}" if kind == "bool" else f"--{flag.name}{shown}"
    if flag.default not in (None, "", []) and "[" not in text:
        text += f" [{_value(flag.default)}]"
    head = f"  {name}".ljust(_INDENT - 1) + " "
    lines = textwrap.wrap(
        text,
        width,
        initial_indent=head if len(head) == _INDENT else " " * _INDENT,
        subsequent_indent=" " * _INDENT,
        break_on_hyphens=False,
    )
    return "\n".join(lines if len(head) == _INDENT else [head.rstrip(), *lines])


def field_help(field: dataclasses.Field, runs: Iterable[RunConfig]) -> str:
    """Returns what a field means, and in brackets its values in the runs."""
    values = list(dict.fromkeys(_value(getattr(run, field.name)) for run in runs))
    text = field.metadata["help"]
    if not any(values):
        return text
    shown = " or ".join(values) if len(values) <= _SHOWN else "differs by run"
    return f"{text} [{shown}]"


def listing(runs: Mapping[str, RunConfig]) -> str:
    """Returns a line for each run with what sets it apart, then what all share."""
    contents = {name: dataclasses.asdict(run) for name, run in runs.items()}
    usual = dataclasses.asdict(RunConfig())
    first = next(iter(contents.values()))
    apart = [
        field
        for field in usual
        if any(c[field] != first[field] for c in contents.values())
    ]
    width = max(map(len, contents))
    lines = [
        f"{name.ljust(width)}  {_settings(content, apart)}"
        for name, content in contents.items()
    ]
    shared = [f for f in usual if f not in apart and first[f] != usual[f]]
    if shared:
        lines.append(f"\nAll: {_settings(first, shared)}")
    return "\n".join(lines)


def _settings(content: Mapping[str, Any], names: Iterable[str]) -> str:
    return " ".join(f"--{name}={_value(content[name])}" for name in names)


def _value(value: Any) -> str:
    if isinstance(value, (tuple, list)):
        return ",".join(map(str, value))
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)
