"""A whole table of the paper: every row, several seeds, its numbers beside ours.

At the scale "paper" the settings are the paper's own. At the scale "small" a table
takes minutes on two cores: other data where the real is absent, smaller networks, fewer
epochs. What that is stands in every row; such numbers are never those of the paper's
data, and only the direction of an effect is compared.
"""

import dataclasses
import fnmatch
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments import common, run_flags, single_run, tables
from experiments.workspace import Workspace
from mixup_jax import data, hosts
from mixup_jax.errors import UsageError, unknown
from mixup_jax.runs import RunConfig, Session, run
from mixup_jax.runs.directory import Row
from mixup_jax.runs.progress import EpochLine
from mixup_jax.runs.records import Record
from mixup_jax.runs.runner import load_dataset
from mixup_jax.runs.together import kind, run_together

_REFERENCE_SEED = 12345  # of the corruption, see RunConfig


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reproduction(tables.Description):
    """A table whose rows are runs, and how it is made again.

    Attributes:
      runs: Its rows at the paper's settings, by name.
      small: What a row becomes at the small scale; None leaves it out there.
      small_seeds: How many seeds there.
      paper_seeds: How many at the paper's scale.
      apart: Whether each run has a directory of its own even where several could be
        trained in one program.
      draw: Called with the directory once all is measured; makes its pictures.
    """

    runs: Mapping[str, RunConfig]
    small: Callable[[str, RunConfig], RunConfig | None]
    small_seeds: int
    paper_seeds: int = 1
    apart: bool = False
    draw: Callable[[Workspace], None] | None = None

    def rows(self, scale: str) -> dict[str, RunConfig]:
        """Returns the rows of a scale."""
        if scale == "paper":
            return dict(self.runs)
        small = {name: self.small(name, config) for name, config in self.runs.items()}
        return {name: config for name, config in small.items() if config is not None}

    def seeds(self, scale: str) -> int:
        """Returns how many seeds a scale has where nobody says."""
        return self.paper_seeds if scale == "paper" else self.small_seeds


def main(reproduction: Reproduction, description: str, argv: Sequence[str]) -> None:
    """Parses the command line; makes one run, or the whole table."""
    values = run_flags.define_run_flags(reproduction.runs)
    run_flags.define_scale(values)
    run_flags.define_rows(values)
    if common.parse(values, description, argv):
        return
    if values.run and values.scale:
        raise UsageError(
            f"--run={values.run} is one run and --scale={values.scale} the whole "
            "table: choose one; --rows=NAME is a row of the table"
        )
    if values.run or values.list:
        single_run.carry_out(values, reproduction.runs)
        return
    if values.scale is None:
        raise UsageError(
            "name one run with --run=NAME (--list names them), or ask for the whole "
            f"table with --scale: {' or '.join(run_flags.SCALES)}"
        )
    workdir = common.workdir_of(values)
    rows = {
        name: run_flags.overridden(values, config)
        for name, config in _chosen(reproduction.rows(values.scale), values.rows)
    }
    for config in rows.values():
        config.validate()
    common.start(values)
    session = run_flags.session_of(values)
    seeds = values.seeds or reproduction.seeds(values.scale)
    space = reproduce(reproduction, rows, seeds, values.scale, workdir, session)
    if not hosts.is_main():
        return
    print(tables.of_records(reproduction, space.records))
    common.next_report(space.path)


def _chosen(
    rows: Mapping[str, RunConfig], patterns: Sequence[str]
) -> list[tuple[str, RunConfig]]:
    if not patterns:
        raise UsageError("--rows names no row; leave it out to have all")
    for pattern in patterns:
        if not fnmatch.filter(rows, pattern):
            raise unknown("row", pattern, rows)
    return [
        (name, config)
        for name, config in rows.items()
        if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
    ]


def reproduce(
    reproduction: Reproduction,
    rows: Mapping[str, RunConfig],
    seeds: int,
    scale: str,
    workdir: str,
    session: Session,
) -> Workspace:
    """Measures every row with every seed; what is measured already is left alone."""
    if reproduction.draw is not None:
        common.need_pictures()
    # Data first: a missing file must not leave an empty directory behind.
    for config in {(c.dataset, c.data): c for c in rows.values()}.values():
        load_dataset(config, session)
    asked = {
        "experiment": reproduction.name,
        "scale": scale,
        "seeds": seeds,
        "rows": {name: dataclasses.asdict(config) for name, config in rows.items()},
    }
    groups = _groups(rows, apart=reproduction.apart)
    if session.wandb and (one := _in_one_program(groups, rows, reproduction)):
        raise UsageError(
            f"{', '.join(one)} are trained in one program, which leaves no curves: "
            "leave out --wandb, or carry out one of them with --run"
        )
    space = Workspace(workdir, asked)
    for group in groups:
        missing = [name for name in group if not space.has(name, range(seeds))]
        if not missing:
            continue
        todo = {name: rows[name] for name in missing}
        measured = (
            _one_by_one(todo, seeds, space, session)
            if not _in_one_program([missing], rows, reproduction)
            else _together(todo, seeds, space, session)
        )
        for names, results in measured:
            space.add(
                [
                    record
                    for (name, seed), result in zip(names, results, strict=True)
                    for record in _records(reproduction, name, seed, result, scale)
                ]
            )
    if reproduction.draw is not None and hosts.is_main():
        reproduction.draw(space)
    return space


def with_seed(config: RunConfig, seed: int) -> RunConfig:
    """Returns the run of a seed: start, order, wrong labels and split are all its own.

    Rows of one seed share them; seed 0 has the reference's wrong labels.
    """
    changes: dict[str, Any] = {"seed": seed}
    source = data.SOURCES.get(config.dataset)
    if source is not None and "split_seed" in source.options:
        changes["split_seed"] = seed
    if config.corruption:
        changes["corruption_seed"] = _REFERENCE_SEED + seed
    return dataclasses.replace(config, **changes)


def _groups(rows: Mapping[str, RunConfig], *, apart: bool) -> list[list[str]]:
    """Names of rows that are trained together; others are alone."""
    groups: dict[Any, list[str]] = {}
    for name, config in rows.items():
        together = None if apart else kind(config)
        groups.setdefault(together or name, []).append(name)
    return list(groups.values())


def _in_one_program(
    groups: Sequence[Sequence[str]],
    rows: Mapping[str, RunConfig],
    reproduction: Reproduction,
) -> Sequence[str]:
    """Names of the first group whose seeds are trained together, if there is one."""
    if reproduction.apart:
        return ()
    return next((group for group in groups if kind(rows[group[0]]) is not None), ())


# What was measured, as soon as it is: rows with seeds, and their results.
_Measured = Iterator[tuple[list[tuple[str, int]], list[Row]]]


def _together(
    rows: Mapping[str, RunConfig], seeds: int, space: Workspace, session: Session
) -> _Measured:
    pairs = [(name, seed) for name in rows for seed in range(seeds)]
    first, *more = rows
    title = f"{first} and {len(more)} more" if more else first
    title = f"{space.path.name}: {title}, {seeds} seeds in one program"
    configs = [with_seed(rows[name], seed) for name, seed in pairs]
    line = EpochLine(title, out=None if hosts.is_main() else io.StringIO())
    yield pairs, run_together(configs, session, report=line)


def _one_by_one(
    rows: Mapping[str, RunConfig], seeds: int, space: Workspace, session: Session
) -> _Measured:
    for name, config in rows.items():
        for seed in range(seeds):
            if not space.has(name, [seed]):
                workdir = run_of(space, name, seed)
                yield [(name, seed)], [run(with_seed(config, seed), workdir, session)]


def run_of(space: Workspace, name: str, seed: int) -> Path:
    """Returns the directory of a row's run."""
    return space.path / "runs" / f"{name}_seed{seed}"


def _records(
    reproduction: Reproduction, name: str, seed: int, result: Row, scale: str
) -> list[Record]:
    # Each seed has a split of its own, and the rows of a table one title.
    title = re.sub(r"split seed \d+", "split seed = seed", result["data"])
    return [
        Record(reproduction.name, name, measure, seed, result[measure], title, scale)
        for measure in _MEASURES
        if result.get(measure) is not None
    ]


# What is kept of a run's result.
_MEASURES = (
    "test_error_best",
    "test_error_last",
    "test_error_median_of_last_10",
    "test_error_top5_last",
    "train_error_real",
    "train_error_corrupted",
    "train_loss_last",
    "validation_error_best",
    "validation_error_last",
    "test_error_at_best_validation",
)
