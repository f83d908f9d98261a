"""A run's directory: what it leaves that a person can open.

config.json     the config, and the versions and device it ran with
metrics.jsonl   one line per epoch
events.*        the same for TensorBoard
checkpoints/    best and last (see `checkpoint`)
corruption.npz  where training labels were replaced: which, by what, and the true ones
result.json     once finished: final metrics and the parameters' hash
"""

import dataclasses
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mixup_jax.data import array_cache
from mixup_jax.data.corruption import Corruption
from mixup_jax.errors import RunError, UsageError
from mixup_jax.runs.config import RunConfig

Row = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class RunDirectory:
    """Reads and writes the files of one run; use `open_directory` to get one."""

    path: Path

    @property
    def checkpoints(self) -> Path:
        """Where `checkpoint.CheckpointStore` keeps its files."""
        return self.path / "checkpoints"

    def config(self) -> Row:
        """The config that the run was started with, as JSON gives it.

        Raises:
          UsageError: If its file is damaged.
        """
        path = self.path / "config.json"
        try:
            return dict(json.loads(path.read_text())["config"])
        except (ValueError, KeyError, TypeError) as error:
            raise UsageError(
                f"{path} is damaged or not ours ({error}); name another directory"
            ) from error

    def rows(self) -> list[Row]:
        """All complete lines of metrics.jsonl; one cut off by a kill is left out."""
        try:
            lines = (self.path / "metrics.jsonl").read_text().split("\n")
        except FileNotFoundError:
            return []
        # What follows the last newline was not written to its end.
        return [self._row(number, line) for number, line in enumerate(lines[:-1], 1)]

    def _row(self, number: int, line: str) -> Row:
        try:
            return json.loads(line)
        except ValueError as error:
            raise RunError(
                f"{self.path / 'metrics.jsonl'}, line {number} is damaged ({error}); "
                "remove the line, or name another directory"
            ) from error

    def append(self, row: Row) -> None:
        """Adds a line to metrics.jsonl and sees it onto the disk."""
        with (self.path / "metrics.jsonl").open("a") as file:
            file.write(json.dumps(row) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def rewind(self, step: int) -> None:
        """Drops the lines of later steps, which a resumed run will write again."""
        kept = [row for row in self.rows() if row["step"] <= step]
        text = "".join(json.dumps(row) + "\n" for row in kept)
        _write_atomically(self.path / "metrics.jsonl", text)

    @contextmanager
    def tensorboard(self, step: int) -> Iterator[Any]:
        """A TensorBoard writer that hides what was written after `step` before."""
        # Late, because it imports PyTorch where that is installed.
        from tensorboardX import SummaryWriter

        writer = SummaryWriter(str(self.path), purge_step=step + 1 if step else None)
        try:
            yield writer
        finally:
            writer.close()

    def write_corruption(self, corruption: Corruption) -> None:
        """Keeps which training labels were replaced; the same on every start."""
        path = self.path / "corruption.npz"
        if not path.exists():
            array_cache.write(path, "corrupted labels", corruption._asdict())

    def result(self) -> Row | None:
        """The result, or None while the run is unfinished."""
        path = self.path / "result.json"
        try:
            return json.loads(path.read_text())
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise RunError(
                f"{path} is damaged ({error}); remove it, and the same command makes "
                "it again from the last checkpoint"
            ) from error

    def write_result(self, result: Row) -> None:
        """Marks the run as finished."""
        _write_json(self.path / "result.json", result)


def open_directory(
    path: str | os.PathLike, config: RunConfig, environment: Mapping[str, Any]
) -> RunDirectory:
    """Returns a new run's directory, or that of the same run begun before.

    Raises:
      UsageError: If the path is empty or no directory, holds something else, or a
        run with another config.
      RunError: If it cannot be written.
    """
    if not str(path):
        raise UsageError("workdir is empty; name a directory for the run's files")
    directory = RunDirectory(Path(path).resolve())
    try:
        directory.path.mkdir(parents=True, exist_ok=True)
        known = (directory.path / "config.json").exists()
        if not known:
            _claim(directory, config, environment)
    except (FileExistsError, NotADirectoryError) as error:
        raise UsageError(f"workdir {path} is a file; name a directory") from error
    except OSError as error:
        raise RunError(f"cannot write the workdir {path}: {error.strerror}") from error
    if known:
        _refuse_changes(directory, config)
    return directory


def _claim(directory: RunDirectory, config: RunConfig, environment: Mapping) -> None:
    # A kill while config.json was being written leaves its temporary file behind.
    ours = {"config.json.tmp"}
    if any(entry.name not in ours for entry in directory.path.iterdir()):
        raise UsageError(
            f"workdir {directory.path} holds files but no config.json, so it is not a "
            "run of ours; name a new or an empty directory"
        )
    content = {"config": dataclasses.asdict(config), "environment": dict(environment)}
    _write_json(directory.path / "config.json", content)


def completed(kept: Mapping[str, Any], asked: Mapping[str, Any]) -> Row:
    """Returns the fields of a run that an earlier version kept, with those added since.

    A field that did not exist yet had what is its default now.
    """
    defaults = json.loads(json.dumps(dataclasses.asdict(RunConfig())))
    missing = asked.keys() - kept.keys()
    return {**kept, **{name: defaults[name] for name in missing & defaults.keys()}}


def _refuse_changes(directory: RunDirectory, config: RunConfig) -> None:
    # Through JSON, so that tuples compare as the lists they are kept as.
    asked = json.loads(json.dumps(dataclasses.asdict(config)))
    kept = completed(directory.config(), asked)
    changes = [
        f"{name}: {kept.get(name)!r} there, {asked.get(name)!r} asked for"
        for name in sorted(kept.keys() | asked.keys())
        if kept.get(name) != asked.get(name)
    ]
    if changes:
        raise UsageError(
            f"workdir {directory.path} holds a run with another config; name another "
            "directory, or ask for the same:\n  " + "\n  ".join(changes)
        )


def _write_json(path: Path, content: Any) -> None:
    _write_atomically(path, json.dumps(content, indent=2) + "\n")


def _write_atomically(path: Path, text: str) -> None:
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
