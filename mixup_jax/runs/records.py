"""Measured numbers in a file that a person, a table and a plot can read."""

import csv
import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from mixup_jax.errors import UsageError


class Record(NamedTuple):
    """One measured number.

    Attributes:
      experiment: Module of `experiments` that measured it.
      row: Of its table, such as "mixup_ac_rp_wd1e4".
      measure: What was measured, such as "test_error_last"; shares are from 0 to 1.
      seed: Of the run; runs of one seed share start, order and wrong labels.
      value: As measured.
      data: Title of the data set, which names a stand-in as what it is.
      scale: "paper" for the paper's exact settings, else "small".
    """

    experiment: str
    row: str
    measure: str
    seed: int
    value: float
    data: str
    scale: str


def write_records(path: Path, records: Iterable[Record]) -> None:
    """Writes a CSV file with a head, whole or not at all."""
    temporary = path.with_name(f"{path.name}.tmp")
    with temporary.open("w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(Record._fields)
        # repr of a float is the shortest text that reads back as the same number.
        table.writerows(
            [repr(x) if isinstance(x, float) else x for x in record]
            for record in records
        )
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def read_records(path: Path) -> list[Record]:
    """Reads what `write_records` wrote.

    Raises:
      UsageError: If the file has other columns, or a cell is not a number that should
        be one; it names the line.
    """
    with path.open(newline="") as file:
        rows = list(csv.reader(file))
    if not rows or tuple(rows[0]) != Record._fields:
        raise UsageError(
            f"{path} is no table of records: its first line should be "
            f"{','.join(Record._fields)}"
        )
    return [_record(path, line, row) for line, row in enumerate(rows[1:], 2)]


def _record(path: Path, line: int, row: list[str]) -> Record:
    try:
        experiment, name, measure, seed, value, data, scale = row
        return Record(experiment, name, measure, int(seed), float(value), data, scale)
    except ValueError as error:
        raise UsageError(f"{path}, line {line}: {error}") from error
