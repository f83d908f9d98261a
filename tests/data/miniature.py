"""UCI sets in small: files of the same format, and the rows they hold."""

import hashlib
import re
import zipfile

import numpy as np
import pytest

from mixup_jax.data.builders.tables import TABLES, Lines
from mixup_jax.data.dataset import Split

NAMES = sorted(TABLES)
_ROWS = 44
_ARFF = """@relation Phishing

@attribute SFH {1,-1,0}
@attribute Result {0,1,-1}

@data
"""


def known(content):
    """Returns how a file is known, worked out apart from the library."""
    lines = [line.strip() for line in re.split(b"\r\n|\r|\n", content)]
    lines = [line for line in lines if line]
    return Lines(len(lines), (hashlib.sha256(b"\n".join(lines)).hexdigest(),))


def make(name):
    """Returns a small table, its files' contents, and all rows as they should load."""
    table = TABLES[name]
    if name == "arcene":
        table = table._replace(columns=12)
    rng = np.random.RandomState(3)
    labels = rng.permutation(np.arange(_ROWS) % len(table.classes)).astype(np.int32)
    cells, features = _CELLS[name](rng, table.columns)
    classes = [table.classes[label] for label in labels]
    for row, text in table.errata.items():
        *numbers, classes[row - 1] = text.split(",")
        features[row - 1] = [float(number) for number in numbers]
        labels[row - 1] = table.classes.index(classes[row - 1])
    contents = {
        file: text.encode() for file, text in _FILES[name](cells, classes).items()
    }
    table = table._replace(files={file: known(c) for file, c in contents.items()})
    return table, contents, Split(features.astype(np.float32), labels)


def put(folder, contents):
    """Writes files into a folder."""
    for name, content in contents.items():
        (folder / name).write_bytes(content)


def pack(path, contents, inside=""):
    """Writes files into an archive, as the repository packs them."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("Index", "other files are of no account")
        for name, content in contents.items():
            archive.writestr(inside + name, content)


def fishers_iris():
    """Returns the lines of iris.data, errata worked in, out of scikit-learn."""
    datasets = pytest.importorskip("sklearn.datasets")
    iris = datasets.load_iris()
    names = ("Iris-setosa", "Iris-versicolor", "Iris-virginica")
    return [
        ",".join([*(f"{value:.1f}" for value in row), names[label]])
        for row, label in zip(iris.data, iris.target, strict=True)
    ]


def _decimals(rng, columns):
    values = rng.randint(1, 10_000, (_ROWS, columns)) / 1000
    return [[f"{value:.3f}" for value in row] for row in values], values


def _integers(rng, columns):
    values = rng.randint(0, 1000, (_ROWS, columns))
    return [[str(value) for value in row] for row in values], values.astype(float)


def _signs(rng, columns):
    values = rng.randint(-1, 2, (_ROWS, columns))
    return [[str(value) for value in row] for row in values], values.astype(float)


def _with_sex(rng, columns):
    cells, values = _decimals(rng, columns)
    for row, text in enumerate(cells):
        values[row, 0] = row % 3
        text[0] = "MFI"[row % 3]
    return cells, values


def _with_gaps(rng, columns):
    cells, values = _integers(rng, columns)
    for row, text in enumerate(cells):
        text[20], values[row, 20] = "0", 0  # one of the 17 constant columns
        if row % 8:
            text[13], values[row, 13] = "?", np.nan
    return cells, values


def _table(cells, classes, file, end="\n", head="", tail="\n"):
    rows = [",".join([*row, label]) for row, label in zip(cells, classes, strict=True)]
    return {file: head + end.join(rows) + tail}


def _arcene(cells, classes):
    files, half = {}, _ROWS // 2
    for part, rows in (("train", slice(half)), ("valid", slice(half, None))):
        lines = [" ".join(row) + " \n" for row in cells[rows]]
        files[f"arcene_{part}.data"] = "".join(lines)
        files[f"arcene_{part}.labels"] = "\n".join(classes[rows]) + "\n"
    return files


_CELLS = {
    "abalone": _with_sex,
    "arcene": _integers,
    "arrhythmia": _with_gaps,
    "htru2": _decimals,
    "iris": _decimals,
    "phishing": _signs,
}
_FILES = {
    "abalone": lambda *rows: _table(*rows, "abalone.data"),
    "arcene": _arcene,
    "arrhythmia": lambda *rows: _table(*rows, "arrhythmia.data"),
    # Line ends as published.
    "htru2": lambda *rows: _table(*rows, "HTRU_2.csv", end="\r", tail=""),
    "iris": lambda *rows: _table(*rows, "iris.data", tail="\n\n"),
    "phishing": lambda *rows: _table(
        *rows,
        "PhishingData.arff",
        end="\r\n",
        head=_ARFF.replace("\n", "\r\n"),
        tail="",
    ),
}
