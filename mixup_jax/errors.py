"""The two kinds of error that a person at the command line can meet.

Every other exception is a defect of the program and keeps its traceback.
"""

import difflib
import math
from collections.abc import Iterable, Mapping
from typing import Any


class UsageError(ValueError):
    """What was asked for cannot be done as asked; exit code 2."""


class RunError(RuntimeError):
    """A run started and could not go on; exit code 1."""


def unknown(kind: str, name: str, known: Iterable[str]) -> UsageError:
    """Returns the error for a name outside a registry, with the nearest known one."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return UsageError(f"unknown {kind} {name!r}.{hint} Known: {', '.join(names)}")


def out_of_range(fields: Any, ranges: Mapping[str, tuple[Any, Any]]) -> list[str]:
    """Returns a sentence for each field whose number is not finite and in its range.

    Args:
      fields: Has the numbers as attributes.
      ranges: Least and greatest value by name; the greatest may be infinite.
    """
    wrong = []
    for name, (low, high) in ranges.items():
        value = getattr(fields, name)
        if not (math.isfinite(value) and low <= value <= high):
            upper = "" if math.isinf(high) else f" and at most {high}"
            wrong.append(
                f"{name} must be a finite number of at least {low}{upper}, got {value}"
            )
    return wrong
