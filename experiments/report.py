r"""One page of all tables and figures: the paper's numbers beside ours, and a verdict.

  python -m experiments.report --runs=runs/all

Reads the directories that the experiments have left (records.csv and pictures), and
where there is none the results that are kept in experiments/results. Writes
report.html, which needs no other file, and report.md.

--keep=NAME,NAME copies the numbers of the tables and the pictures of these experiments
into experiments/results, for others to see.
"""

import collections
import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from experiments import catalogue, common, markdown, page, run_flags, tables
from experiments.page import Block, Section
from experiments.tables import Cell, Description
from mixup_jax.errors import UsageError, unknown
from mixup_jax.runs.records import Record, read_records, write_records

RESULTS = Path(__file__).with_name("results")


def main(argv: Sequence[str]) -> None:
    values = flags.FlagValues()
    here = {"flag_values": values}
    flags.DEFINE_string(
        "runs", "runs/all", "directory that holds the experiments'", **here
    )
    flags.DEFINE_string("out", None, "directory for the page [that of --runs]", **here)
    text = "copy the results of these experiments into experiments/results"
    flags.DEFINE_list("keep", [], text, **here)
    text = "print the headlines of what is kept, and stop"
    flags.DEFINE_bool("summary", False, text, **here)
    if common.parse(values, __doc__ or "", argv):
        return
    if values.summary:
        print(summary(kept_sections()))
        return
    runs = Path(values.runs)
    if not runs.is_dir():
        raise UsageError(f"there is no directory {runs}: run experiments.all first")
    for name in values.keep:
        keep(name, measured(name, runs).parent, RESULTS)
    write(runs, Path(values.out or runs))


def keep(name: str, workdir: Path, results: Path) -> None:
    """Copies what the table of an experiment shows, with environment and pictures."""
    if name not in catalogue.MODULES:
        raise unknown("experiment", name, catalogue.MODULES)
    if not (workdir / "records.csv").exists():
        raise UsageError(
            f"{workdir} holds no records.csv; run experiments.{name} first"
        )
    shown = catalogue.description(name).measures
    records = read_records(workdir / "records.csv")
    if not records:
        raise UsageError(f"{workdir / 'records.csv'} is empty; run experiments.{name}")
    results.mkdir(exist_ok=True)
    stem = f"{name}_{records[0].scale}"
    write_records(results / f"{stem}.csv", [r for r in records if r.measure in shown])
    shutil.copyfile(workdir / "environment.json", results / f"{stem}.json")
    for old in results.glob(f"{stem}.*.png"):
        old.unlink()
    for picture in workdir.glob("*.png"):
        shutil.copyfile(picture, results / f"{stem}.{picture.name}")


def write(runs: Path, out: Path) -> None:
    """Writes report.html and report.md, and says where they are."""
    sections = [section(name, runs) for name in catalogue.MODULES]
    out.mkdir(parents=True, exist_ok=True)
    (out / "report.html").write_text(page.html(sections))
    (out / "report.md").write_text(as_markdown(sections, out))
    counts = collections.Counter(
        cell.verdict or "no comparison"
        for found in sections
        for block in found.blocks
        for cell in block.cells
    )
    print(", ".join(f"{count} {verdict}" for verdict, count in sorted(counts.items())))
    here = [found.description.name for found in sections if found.blocks[0].here]
    print(
        f"Measured in {runs}: {', '.join(here) or 'nothing'}; the rest is what "
        "experiments/results keeps."
    )
    print(f"{(out / 'report.html').resolve()}\n{(out / 'report.md').resolve()}")
    print("Next: open the first in a browser")


def kept_sections() -> list[Section]:
    """Returns what is kept of every table and figure, whatever has been run here."""
    return [section(name, None) for name in catalogue.MODULES]


def section(name: str, runs: Path | None) -> Section:
    """Gathers what is known of one table or figure.

    What has been measured here comes first; then what is kept, where nothing has been
    measured here or the other scale was.
    """
    description = catalogue.description(name)
    blocks = []
    stems = [f"{name}_{scale}" for scale in run_flags.SCALES]
    places = [(RESULTS / f"{s}.csv", f"{s}.json", f"{s}.*.png") for s in stems]
    if runs is not None:
        places.insert(0, (measured(name, runs), "environment.json", "*.png"))
    for file, environment, pictures in places:
        records = read_records(file) if file.exists() else []
        scale = records[0].scale if records else ""
        if not records or any(block.scale == scale for block in blocks):
            continue
        beside = file.with_name(environment)
        blocks.append(
            Block(
                scale,
                tables.cells(description, _rows(description, records), records),
                sorted(file.parent.glob(pictures)),
                json.loads(beside.read_text()) if beside.exists() else {},
                _command(name, scale),
                here=file.parent != RESULTS,
            )
        )
    return Section(description, blocks or [_nothing(name, description)])


def measured(name: str, runs: Path) -> Path:
    """Returns the records of a table, wherever below `runs` it was made.

    In the directory of its own name, else in the first whose records are of it.
    """
    usual = runs / name / "records.csv"
    others = [] if usual.exists() else sorted(runs.glob("*/records.csv"))
    found = (path for path in others if _experiment(path) == name)
    return next(found, usual)


def _experiment(path: Path) -> str:
    with path.open() as file:
        file.readline()  # the head
        return file.readline().split(",")[0]


def _rows(description: Description, records: Sequence[Record]) -> list[str]:
    """The paper's rows and ours, in the paper's order."""
    return list(dict.fromkeys([*description.paper, *(r.row for r in records)]))


def _nothing(name: str, description: Description) -> Block:
    cells = tables.cells(description, list(description.paper), [])
    return Block("", cells, [], {}, _command(name, "small"))


def _command(name: str, scale: str) -> str:
    program = f".venv/bin/python -m experiments.{name}"
    return f"{program} --scale={scale} --workdir=runs/all/{name}"


def summary(sections: Sequence[Section]) -> str:
    """Returns the headlines of what has been run as a table."""
    head = ["", "measure", "paper: ERM, mixup", "ours: ERM, mixup", "verdict", "scale"]
    lines = [
        [
            found.description.title.split(":")[0],
            *_headline(found.description, block, row, measure),
            block.scale,
        ]
        for found in sections
        for row, measure in found.description.headline
        for block in found.blocks
        if any(
            (c.row, c.measure, bool(c.seeds)) == (row, measure, True)
            for c in block.cells
        )
    ]
    return markdown.table(head, lines)


def _headline(
    description: Description, block: Block, row: str, measure: str
) -> list[str]:
    cells = {(cell.row, cell.measure): cell for cell in block.cells}
    base = description.baseline(row)
    pair = [cells[name, measure] for name in (base, row) if name is not None]
    texts = [tables.as_text(description, cell) for cell in pair]
    return [
        f"{row}, {description.measures[measure]}",
        ", ".join(filter(None, (text[2] for text in texts))),
        ", ".join(text[3] for text in texts),
        pair[-1].verdict,
    ]


def _table(description: Description, cells: Sequence[Cell]) -> str:
    lines = [tables.as_text(description, cell) for cell in cells]
    return markdown.table(tables.HEAD, lines)


def as_markdown(sections: Sequence[Section], out: Path) -> str:
    """Returns the page as Markdown for a file in `out`; pictures are linked."""
    parts = [f"# {page.TITLE}", page.INTRODUCTION]
    for found in sections:
        parts.append(f"## {found.description.title}")
        for block in found.blocks:
            parts.append(page.about(found.description, block))
            parts.append(f"    {block.command}")
            known, others = page.split(found.description, block.cells)
            if known:
                parts.append(_table(found.description, known))
            if others:
                parts.append(f"<details><summary>{page.more(others)}</summary>")
                parts.append(f"{_table(found.description, others)}\n\n</details>")
            parts.append(tables.in_all(block.cells))
            parts += [
                f"![{path.stem}]({os.path.relpath(path, out)})"
                for path in block.pictures
            ]
    return "\n\n".join(filter(None, parts)) + "\n"


if __name__ == "__main__":
    common.main(main)
