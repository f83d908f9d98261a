"""All programs of `experiments`: lists them, and starts the one that is named.

python -m experiments                 lists them
python -m experiments cifar --list    is python -m experiments.cifar --list
"""

import runpy
import sys
from collections.abc import Sequence

from experiments import catalogue, common
from mixup_jax.errors import unknown

_HELP = ("help", "--help", "-h")


def main(argv: Sequence[str]) -> None:
    if len(argv) < 2 or argv[1] in _HELP:
        print(listing())
        return
    name = argv[1].removeprefix("experiments.")
    programs = catalogue.programs()
    if name not in programs:
        raise unknown("program", name, programs)
    sys.argv = [name, *argv[2:]]
    runpy.run_module(f"experiments.{name}", run_name="__main__", alter_sys=True)


def listing() -> str:
    """Returns every program with what it does, and what to do next."""
    programs = catalogue.programs()
    width = max(map(len, programs))
    lines = [f"  {name.ljust(width)}  {text}" for name, text in programs.items()]
    paper = len(catalogue.MODULES)
    return "\n".join(
        [
            "The paper's figures and tables, in its order:",
            *lines[:paper],
            "",
            "The other programs:",
            *lines[paper:],
            "",
            "Next: .venv/bin/python -m experiments demo (minutes), or",
            "      .venv/bin/python -m experiments NAME --help",
        ]
    )


if __name__ == "__main__":
    common.main(main)
