"""The report as a page of HTML that needs no other file."""

import base64
import html as escaping
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from experiments import tables
from experiments.tables import Cell, Description

TITLE = "mixup: the paper's tables and figures, and ours"
INTRODUCTION = (
    "Errors in per cent; ours are means over seeds with their 95 % interval (Student's "
    "t). “To its baseline” is the difference to ERM with the same seeds, p that "
    "of the paired t-test. At the scale “paper” the verdict compares numbers: the "
    "paper's lies within our interval (agrees) or not (differs). At the scale "
    "“small”, on other data and with other networks, it compares the direction "
    "of the difference alone."
)
_STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8882; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto;
       padding: 0 1rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; width: 100%; }
th, td { text-align: left; padding: .25rem .6rem; border-bottom: 1px solid var(--line);
         vertical-align: top; }
th { background: var(--soft); }
td.number, th.number { text-align: right; white-space: nowrap; }
.table { overflow-x: auto; }
pre { background: var(--soft); padding: .6rem; overflow-x: auto; }
img { max-width: 100%; background: white; }
nav a { margin-right: 1rem; white-space: nowrap; }
.agrees, .same { font-weight: 600; } .differs, .opposite { font-style: italic; }
.not { opacity: .6; }
"""
_NUMBERS = {"paper", "ours", "seeds", "to its baseline", "p"}


class Block(NamedTuple):
    """What was measured at one scale.

    Attributes:
      scale: "paper" or "small"; empty where nothing was run.
      cells: Every number, those that are missing too.
      pictures: PNG files.
      environment: Versions and device.
      command: That makes it.
      here: Whether it was measured here, not kept with the project.
    """

    scale: str
    cells: list[Cell]
    pictures: list[Path]
    environment: dict[str, Any]
    command: str
    here: bool = False


class Section(NamedTuple):
    """What is known of a table or figure."""

    description: Description
    blocks: list[Block]


def html(sections: Sequence[Section]) -> str:
    """Returns the whole page."""
    links = " ".join(map(_link, sections))
    body = "\n".join(map(_section, sections))
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width">\n'
        f"<title>{_text(TITLE)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f"<h1>{_text(TITLE)}</h1>\n<p>{_text(INTRODUCTION)}</p>\n<nav>{links}</nav>\n"
        f"{body}\n</body>\n</html>\n"
    )


def _link(section: Section) -> str:
    description = section.description
    short = _text(description.title.split(":")[0])
    return f'<a href="#{description.name}">{short}</a>'


def about(description: Description, block: Block) -> str:
    """Returns what a reader must know of the numbers: data, scale, machine."""
    if not block.scale:
        return f"Not run. {description.note}".strip()
    text = "Measured here." if block.here else "Kept in experiments/results."
    text += f" Scale: {block.scale}."
    if block.scale == "small":
        text += f" Other than in the paper: {description.small_is}."
    data = sorted({cell.data for cell in block.cells if cell.data})
    text += f" Data: {'; '.join(data)}."
    if versions := block.environment.get("versions"):
        text += (
            f" Made with jax {versions['jax']} on {block.environment['device']}, "
            f"{block.environment['machine']}."
        )
    return f"{text} {description.note}".strip()


def split(
    description: Description, cells: Sequence[Cell]
) -> tuple[list[Cell], list[Cell]]:
    """Returns numbers of the paper's rows, and those of others that would hide them."""
    if not description.paper:
        return list(cells), []
    known = [cell for cell in cells if cell.row in description.paper]
    return known, [cell for cell in cells if cell.row not in description.paper]


def more(cells: Sequence[Cell]) -> str:
    """Says what is in a table that is to be opened."""
    return f"Rows that the paper does not print: {len({cell.row for cell in cells})}"


def _section(section: Section) -> str:
    description = section.description
    parts = [
        f'<section id="{description.name}">',
        f"<h2>{_text(description.title)}</h2>",
    ]
    for block in section.blocks:
        parts.append(f"<p>{_text(about(description, block))}</p>")
        parts.append(f"<pre>{_text(block.command)}</pre>")
        known, others = split(description, block.cells)
        if known:
            parts.append(_table(description, known))
        if others:
            parts.append(f"<details><summary>{_text(more(others))}</summary>")
            parts.append(f"{_table(description, others)}</details>")
        parts.append(f"<p>{_text(tables.in_all(block.cells))}</p>")
        parts += [_picture(path) for path in block.pictures]
    return "\n".join([*parts, "</section>"])


def _table(description: Description, cells: Sequence[Cell]) -> str:
    head = "".join(
        f'<th class="number">{_text(name)}</th>'
        if name in _NUMBERS
        else f"<th>{_text(name)}</th>"
        for name in tables.HEAD
    )
    rows = []
    for cell in cells:
        texts = tables.as_text(description, cell)
        kind = cell.verdict.split(" ")[0]
        rows.append(
            f'<tr class="{_text(kind)}">'
            + "".join(
                f'<td class="number">{_text(text)}</td>'
                if name in _NUMBERS
                else f"<td>{_text(text)}</td>"
                for name, text in zip(tables.HEAD, texts, strict=True)
            )
            + "</tr>"
        )
    return (
        f'<div class="table"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n'
        + "\n".join(rows)
        + "\n</tbody></table></div>"
    )


def _picture(path: Path) -> str:
    content = base64.b64encode(path.read_bytes()).decode()
    name = _text(path.stem)
    return f'<figure><img alt="{name}" src="data:image/png;base64,{content}"></figure>'


def _text(text: str) -> str:
    return escaping.escape(text)
