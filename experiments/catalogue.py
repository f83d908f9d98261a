"""All tables and figures of the paper, in its order."""

import importlib
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
