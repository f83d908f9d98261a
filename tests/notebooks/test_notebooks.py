"""Every notebook runs from its first cell to its last, and shows what it kept."""

import copy
import json
from itertools import groupby
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat", reason="needs the extra `notebooks`")
nbclient = pytest.importorskip("nbclient", reason="needs the extra `notebooks`")

FOLDER = Path(__file__).parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


def shown_by(cell):
    """What a cell printed, and its pictures; how text came in pieces is chance."""
    parts = [
        (out.output_type, out["text"] if "text" in out else out["data"])
        for out in cell.outputs
    ]
    return [
        (kind, "".join(text for _, text in group) if kind == "stream" else [*group])
        for kind, group in groupby(parts, key=lambda part: part[0])
    ]


def lines_and_pictures(shown):
    """Numbers may differ with the machine; how much is printed and drawn not."""
    return [
        (kind, what.count("\n") if kind == "stream" else len(what))
        for kind, what in shown
    ]


def test_there_are_notebooks():
    assert len(NOTEBOOKS) == 4


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_shows_as_much_as_it_kept_and_the_same_if_a_cell_is_run_twice(path):
    book = nbformat.read(path, as_version=4)
    cells = [cell for cell in book.cells if cell.cell_type == "code"]
    kept = [lines_and_pictures(shown_by(cell)) for cell in cells]
    book.cells = [copy.deepcopy(cell) for cell in cells for _ in range(2)]
    for number, cell in enumerate(book.cells):
        cell.id = f"run{number}"
    where = {"metadata": {"path": str(FOLDER)}}
    nbclient.NotebookClient(book, timeout=300, resources=where).execute()
    first, second = ([*map(shown_by, book.cells[i::2])] for i in (0, 1))
    assert list(map(lines_and_pictures, first)) == kept
    assert second == first


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_what_is_kept_says_nothing_of_the_machine(path):
    text = path.read_text()
    assert "/tmp/" not in text and "/home/" not in text and "/root/" not in text
    book = json.loads(text)
    streams = [
        out
        for cell in book["cells"]
        for out in cell.get("outputs", [])
        if out["output_type"] in ("stream", "error")
    ]
    assert all(out.get("name") == "stdout" for out in streams)
