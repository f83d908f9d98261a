"""PyTorch state dicts to our variables and back.

Kernels turn from OIHW to HWIO and back; everything else keeps its shape. Dense layers
after a flattening need no reordering, since the networks flatten as PyTorch does.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from flax import traverse_util

from mixup_jax.errors import UsageError, unknown
from mixup_jax.models.torch_names import Style, styles
from mixup_jax.types import PyTree

_LEAVES = {
    "kernel": "weight",
    "scale": "weight",
    "bias": "bias",
    "mean": "running_mean",
    "var": "running_var",
}
# A counter that PyTorch needs only for momentum=None.
_IGNORED = "num_batches_tracked"


class _Slot(NamedTuple):
    path: tuple[str, ...]  # among our variables
    shape: tuple[int, ...]  # of the PyTorch tensor


def to_torch(
    network: nn.Module, variables: PyTree, *, style: str | None = None
) -> dict[str, np.ndarray]:
    """Returns a network's variables as a PyTorch state dict of numpy arrays.

    Args:
      network: From `models.create`.
      variables: Its variables: "params" and, if it has any, "batch_stats".
      style: A key of `torch_names.styles(network)`; None for the first.

    Raises:
      UsageError: If the style is not known.
    """
    known = styles(network)
    if style is not None and style not in known:
        raise unknown("style of names", style, known)
    chosen = known[style or next(iter(known))]
    leaves = traverse_util.flatten_dict(variables)
    return {
        name: np.ascontiguousarray(_outwards(np.asarray(leaves[slot.path])))
        for name, slot in _slots(variables, chosen).items()
    }


def from_torch(
    network: nn.Module, tensors: Mapping[str, np.ndarray], like: PyTree
) -> PyTree:
    """Returns a PyTorch state dict as float32 variables of a network.

    Args:
      network: From `models.create`.
      tensors: By name; a prefix "module." (of DataParallel) is taken off. The style
        of the names is found out.
      like: Variables of the same shapes; those of `models.shapes` do.

    Raises:
      UsageError: Naming every tensor that is missing, unknown or of a wrong shape.
    """
    tensors = {
        name.removeprefix("module."): tensor
        for name, tensor in tensors.items()
        if not name.endswith(_IGNORED)
    }
    choices = [_slots(like, style) for style in styles(network).values()]
    slots = max(choices, key=lambda slots: len(slots.keys() & tensors.keys()))
    problems = _problems(slots, tensors)
    if problems:
        raise UsageError(
            f"these weights do not fit {type(network).__name__}:\n"
            + "\n".join(problems)
        )
    leaves = {
        # A copy: jnp.asarray may share memory with a network still in training.
        slot.path: jnp.array(_inwards(np.asarray(tensors[name])), jnp.float32)
        for name, slot in slots.items()
    }
    return traverse_util.unflatten_dict(leaves)


def _slots(variables: PyTree, style: Style) -> dict[str, _Slot]:
    slots = {}
    leaves: dict[tuple[str, ...], Any] = traverse_util.flatten_dict(variables)
    for path, leaf in leaves.items():
        name = f"{style.module('/'.join(path[1:-1]))}.{_LEAVES[path[-1]]}"
        if style.bare and path[-1] == "kernel" and leaf.ndim == 4:
            name = name.removesuffix(".weight")
        slots[name] = _Slot(path, tuple(leaf.shape[i] for i in _order(leaf.ndim)))
    return slots


def _problems(
    slots: Mapping[str, _Slot], tensors: Mapping[str, np.ndarray]
) -> list[str]:
    missing = [f"missing: {name}" for name in slots if name not in tensors]
    surplus = [f"unknown: {name}" for name in tensors if name not in slots]
    misshapen = [
        f"wrong shape: {name} is {tuple(tensors[name].shape)}, should be {slot.shape}"
        for name, slot in slots.items()
        if name in tensors and tuple(tensors[name].shape) != slot.shape
    ]
    return missing + surplus + misshapen


def _order(ndim: int) -> tuple[int, ...]:
    """Axes of our kernels (H W I O, or I O) in PyTorch's order."""
    return (3, 2, 0, 1) if ndim == 4 else tuple(reversed(range(ndim)))


def _outwards(leaf: np.ndarray) -> np.ndarray:
    return leaf.transpose(_order(leaf.ndim))


def _inwards(tensor: np.ndarray) -> np.ndarray:
    return tensor.transpose(np.argsort(_order(tensor.ndim)))
