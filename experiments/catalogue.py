"""All tables and figures of the paper, in its order, and the other programs."""

import ast
import importlib
from pathlib import Path
from types import ModuleType

from experiments.tables import Description

# Module of `experiments`: what it makes.
MODULES = {
    "toy": "figure 1b, decision surfaces on two rings",
    "in_between": "figure 2, misses and gradients between training examples",
    "imagenet": "table 1, ImageNet-2012",
    "cifar": "figures 3a and 3b, CIFAR-10 and CIFAR-100",
    "speech_commands": "figure 4, Google's speech commands",
    "corrupted_labels": "table 2, wrong training labels",
    "adversarial": "table 3, adversarial examples",
    "tabular_uci": "table 4, six UCI sets",
    "gan": "figure 5, generative adversarial networks",
    "ablation": "table 5, which part of mixup helps",
}


def module(name: str) -> ModuleType:
    """Returns the module of a table or figure."""
    return importlib.import_module(f"experiments.{name}")


def description(name: str) -> Description:
    """Returns what is compared in a table or figure."""
    found = module(name)
    return getattr(found, "REPRODUCTION", None) or found.DESCRIPTION


def programs() -> dict[str, str]:
    """Returns every program with the first line of its text, the paper's first."""
    others = [
        path.stem
        for path in sorted(Path(__file__).parent.glob("[!_]*.py"))
        if path.stem not in MODULES and "\nif __name__ ==" in path.read_text()
    ]
    return {name: _first_line(name) for name in [*MODULES, *others]}


def _first_line(name: str) -> str:
    text = Path(__file__).with_name(f"{name}.py").read_text()
    return (ast.get_docstring(ast.parse(text)) or "").split("\n")[0]
