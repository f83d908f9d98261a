"""The code of Markdown pages, and running it."""

import re
from pathlib import Path

import jax

ROOT = Path(__file__).parents[1]


def sections_of(page):
    """The text under each heading of the second level."""
    parts = (ROOT / page).read_text().split("\n## ")[1:]
    return dict(part.split("\n", 1) for part in parts)


def blocks_of(text):
    """The Python blocks of a page, or of a part of it, in order."""
    return re.findall(r"```python\n(.*?)```", text, re.DOTALL)


def run(*blocks, names):
    """Executes blocks in one namespace, with JAX's own defaults, as a reader would."""
    with jax.numpy_rank_promotion("allow"):
        for block in blocks:
            exec(compile(block, "page", "exec"), names)
    return names
