"""A directory of measured numbers that fills up, and can be left and taken up again.

records.csv       one number a line (`mixup_jax.runs.records`)
config.json       what was asked for; the same must be asked for again
environment.json  versions and device that the numbers were made with
"""

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mixup_jax import hosts
from mixup_jax.errors import RunError, UsageError
from mixup_jax.runs.directory import completed
from mixup_jax.runs.environment import environment
from mixup_jax.runs.records import Record, read_records, write_records

_SHOWN = 8  # changes in a message


class Workspace:
    """The directory and the records in it; of several processes the main one writes.

    Args:
      path: Made if it does not exist.
      config: Every choice that can change a number, as JSON can hold it.

    Raises:
      UsageError: If the path is a file, holds something else, or was begun with another
        config; it names the fields.
      RunError: If it cannot be written.
    """

    def __init__(self, path: str | os.PathLike, config: Mapping[str, Any]):
        self.path = Path(path).resolve()
        asked = json.loads(json.dumps(dict(config)))
        found = hosts.on_main(lambda: self._open(asked))
        self.records = [Record(*row) for row in found]

    def _open(self, asked: dict[str, Any]) -> list[Record]:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            file = self.path / "config.json"
            if file.exists():
                _refuse_changes(self.path, _content(file), asked)
            else:
                _refuse_others(self.path)
                self.write_json("config.json", asked)
                self.write_json("environment.json", environment())
        except (FileExistsError, NotADirectoryError) as error:
            text = f"workdir {self.path} is a file; name a directory"
            raise UsageError(text) from error
        except OSError as error:
            raise RunError(f"cannot write the workdir {self.path}: {error}") from error
        records = self.path / "records.csv"
        return read_records(records) if records.exists() else []

    def has(self, row: str, seeds: Iterable[int]) -> bool:
        """Whether a row is measured for all seeds."""
        return set(seeds) <= {r.seed for r in self.records if r.row == row}

    def add(self, records: Sequence[Record]) -> None:
        """Adds records and sees them onto the disk; older ones of a row and seed go."""
        new = {(record.row, record.seed) for record in records}
        kept = [r for r in self.records if (r.row, r.seed) not in new]
        self.records = [*kept, *records]
        try:
            hosts.on_main(
                lambda: write_records(self.path / "records.csv", self.records)
            )
        except OSError as error:
            raise RunError(f"cannot write {self.path}: {error}") from error

    def write_json(self, name: str, content: Any) -> None:
        """Writes a file of the directory, whole or not at all."""
        temporary = self.path / f"{name}.tmp"
        temporary.write_text(json.dumps(content, indent=2) + "\n")
        os.replace(temporary, self.path / name)


def _content(file: Path) -> Any:
    try:
        return json.loads(file.read_text())
    except ValueError as error:
        raise UsageError(
            f"{file} is damaged or not ours ({error}); name a new directory"
        ) from error


def _refuse_changes(path: Path, kept: Any, asked: dict[str, Any]) -> None:
    if not isinstance(kept, dict):
        raise UsageError(f"{path / 'config.json'} is not ours; name a new directory")
    if {"config", "environment"} <= kept.keys():
        raise UsageError(
            f"workdir {path} holds a single run, and no table; name another directory"
        )
    changes = list(_changes(kept, asked))
    if changes:
        shown = changes[:_SHOWN]
        if len(changes) > _SHOWN:
            shown.append(f"and {len(changes) - _SHOWN} more")
        raise UsageError(
            f"workdir {path} was begun with other settings; name another directory, or "
            "ask for the same:\n  " + "\n  ".join(shown)
        )


def _changes(kept: dict, asked: dict, within: str = "") -> Iterator[str]:
    for name in sorted(kept.keys() | asked.keys()):
        there, now = kept.get(name), asked.get(name)
        if isinstance(there, dict) and isinstance(now, dict):
            if "dataset" in there:  # a run's config
                there = completed(there, now)
            yield from _changes(there, now, f"{within}{name}, ")
        elif there != now:
            yield f"{within}{name}: {_short(there)} there, {_short(now)} asked for"


def _short(value: Any) -> str:
    """A value as text; of a whole row, that it is there."""
    if value is None:
        return "nothing"
    return "a row" if isinstance(value, dict) else repr(value)


def _refuse_others(path: Path) -> None:
    ours = {"config.json.tmp", "environment.json.tmp"}
    if any(entry.name not in ours for entry in path.iterdir()):
        raise UsageError(
            f"workdir {path} holds files but no config.json, so it is not ours; name a "
            "new or an empty directory"
        )
