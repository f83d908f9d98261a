"""Rows of a UCI set out of the bytes of its files, checked cell by cell."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float32, Float64, Int32

from mixup_jax.data.builders.tables import Table
from mixup_jax.data.dataset import Split
from mixup_jax.errors import UsageError

_LARGEST = float(np.finfo(np.float32).max)


def lines_of(content: bytes) -> list[str]:
    """Returns the lines that are not empty, without blanks around them.

    Any line ends will do: the repository's own HTRU_2.csv has those of old Macs.
    """
    text = content.decode("utf-8", errors="replace")
    # Not str.splitlines, which breaks lines at more than their ends.
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return [line for raw in text.split("\n") if (line := raw.strip())]


def read_part(table: Table, part: str, contents: Mapping[str, bytes]) -> Split:
    """Reads one part of a set.

    Args:
      table: The set.
      part: A key of `table.parts`.
      contents: Bytes by file name.

    Returns:
      float32 features [N, C] in the order of the file, missing cells NaN, and labels
      by the order of `table.classes`.

    Raises:
      UsageError: If a row has another number of columns, a cell is not a finite number
        or a known word, or a label is unknown; it names file, row and column.
    """
    names = table.parts[part]
    labelled = len(names) == 1
    rows = _rows(table, names[0], contents[names[0]], labelled=labelled)
    if labelled:
        labels = [row.pop() for row in rows]
    else:
        labels = lines_of(contents[names[1]])
        if len(labels) != len(rows):
            raise UsageError(
                f"{names[0]} has {len(rows):,} rows, but {names[1]} has "
                f"{len(labels):,} labels"
            )
    return Split(_features(table, names[0], rows), _labels(table, names[-1], labels))


def _rows(
    table: Table, name: str, content: bytes, *, labelled: bool
) -> list[list[str]]:
    lines = lines_of(content)
    if table.header:
        starts = [i for i, line in enumerate(lines) if line.lower() == table.header]
        if not starts:
            raise UsageError(f"{name} has no line {table.header!r}")
        lines = lines[starts[0] + 1 :]
    width = table.columns + labelled
    rows = []
    for number, line in enumerate(lines, 1):
        line = table.errata.get(number, line)
        row = [cell.strip() for cell in line.split(table.separator)]
        if len(row) != width:
            raise UsageError(
                f"{name}, row {number:,}: {len(row):,} columns instead of {width:,}"
            )
        rows.append(row)
    return rows


def _features(
    table: Table, name: str, rows: list[list[str]]
) -> Float32[np.ndarray, "N C"]:
    features = np.empty((len(rows), table.columns), np.float32)
    for number, row in enumerate(rows):
        try:
            features[number] = _numbers(table, row)
        except ValueError as error:
            raise UsageError(f"{name}, row {number + 1:,}, {error}") from error
    return features


def _numbers(table: Table, row: list[str]) -> Float64[np.ndarray, " C"]:
    cells: list[str | float] = list(row)
    for column, codes in table.codes.items():
        if row[column] not in codes:
            raise ValueError(
                f"column {column + 1:,}: {row[column]!r} is none of {', '.join(codes)}"
            )
        cells[column] = codes[row[column]]
    gaps = [i for i, cell in enumerate(row) if table.missing and cell == table.missing]
    for column in gaps:
        cells[column] = 0.0
    column = 0
    numbers = np.empty(len(cells))
    try:
        for column, cell in enumerate(cells):
            numbers[column] = float(cell)
    except ValueError:
        raise ValueError(
            f"column {column + 1:,}: {row[column]!r} is not a number"
        ) from None
    bad = np.flatnonzero(~(np.abs(numbers) <= _LARGEST))  # NaN included
    if bad.size:
        raise ValueError(
            f"column {bad[0] + 1:,}: {row[bad[0]]!r} is not a finite number of float32"
        )
    numbers[gaps] = np.nan
    return numbers


def _labels(table: Table, name: str, labels: list[str]) -> Int32[np.ndarray, " N"]:
    order = {label: i for i, label in enumerate(table.classes)}
    for number, label in enumerate(labels, 1):
        if label not in order:
            raise UsageError(
                f"{name}, row {number:,}: label {label!r} is none of "
                f"{', '.join(table.classes)}"
            )
    return np.array([order[label] for label in labels], np.int32)
