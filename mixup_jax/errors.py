"""The two kinds of error that a person at the command line can meet.

Every other exception is a defect of the program and keeps its traceback.
"""

import difflib
from collections.abc import Iterable


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
