"""The two kinds of error that a person at the command line can meet.

Every other exception is a defect of the program and keeps its traceback.
"""

import dataclasses
import difflib
import math
import numbers
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any


class UsageError(ValueError):
    """What was asked for cannot be done as asked; exit code 2."""


class RunError(RuntimeError):
    """A run started and could not go on; exit code 1."""


_LISTED = 40  # names in a message


def unknown(kind: str, name: str, known: Iterable[str]) -> UsageError:
    """Returns the error for a name outside a registry, with the nearest known one."""
    names = sorted(known)
    hint = did_you_mean(str(name), names)
    listed = ", ".join(names[:_LISTED])
    if len(names) > _LISTED:
        listed += f" and {len(names) - _LISTED} more"
    return UsageError(f"unknown {kind} {name!r}.{hint} Known: {listed}")


def did_you_mean(name: str, known: Sequence[str], *, mark: str = "") -> str:
    """Returns a question that names the nearest known name, or nothing if none is near.

    Args:
      name: As it was written.
      known: What it may have been meant for.
      mark: Written before the nearest, instead of in quotes.
    """
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    if not near:
        return ""
    return f" Did you mean {f'{mark}{near[0]}' if mark else repr(near[0])}?"


def install(extra: str) -> str:
    """Returns the command that installs an extra for the Python that is running.

    A bare `pip` is often another one's, and finds no such package.
    """
    python = Path(sys.executable)
    if python.is_relative_to(Path.cwd()):
        python = python.relative_to(Path.cwd())
    return f"{python} -m pip install 'mixup-jax[{extra}]'"


def out_of_range(fields: Any, ranges: Mapping[str, tuple[Any, Any]]) -> list[str]:
    """Returns a sentence for each field whose number is not finite and in its range.

    Args:
      fields: A dataclass; those of its fields that are whole numbers must be.
      ranges: Least and greatest value by name; the greatest may be infinite.
    """
    wrong = []
    whole = {field.name for field in dataclasses.fields(fields) if field.type is int}
    for name, (low, high) in ranges.items():
        value = getattr(fields, name)
        kind = numbers.Integral if name in whole else numbers.Real
        if not isinstance(value, kind):
            word = "whole number" if name in whole else "number"
            wrong.append(f"{name} must be a {word}, got {value!r}")
        elif not (math.isfinite(value) and low <= value <= high):
            upper = "" if math.isinf(high) else f" and at most {high}"
            wrong.append(
                f"{name} must be a finite number of at least {low}{upper}, got {value}"
            )
    return wrong
