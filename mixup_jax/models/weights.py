"""Files of weights: those of PyTorch are read, our own written and read back.

No format that can run code is used: PyTorch's are opened with `weights_only=True`.
"""

import importlib
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import traverse_util

from mixup_jax.errors import UsageError, unknown
from mixup_jax.types import PyTree

# What training scripts put a state dict under, beside epochs and optimiser states.
_WRAPPERS = ("state_dict", "net", "model", "params")
_TORCH_SUFFIXES = (".pth", ".pt", ".bin", ".tar", ".pt7", ".t7")
_OWN_SUFFIXES = (".npz", ".safetensors")


def read_torch(path: str | Path) -> dict[str, np.ndarray]:
    """Returns the tensors of a PyTorch state dict in a file.

    Args:
      path: A file of PyTorch (.pth, .pt, .bin, .tar, .pt7, .t7) or .safetensors.

    Raises:
      UsageError: If the file is missing, of another kind, or more than tensors.
    """
    path = _existing(path)
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    if path.suffix not in _TORCH_SUFFIXES:
        raise unknown(
            "kind of weights", path.suffix, (*_TORCH_SUFFIXES, ".safetensors")
        )
    torch = _optional("torch")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # pickle, zip and torch each raise their own
        raise UsageError(
            f"{path} holds more than tensors, or is damaged; save the network's "
            f"state_dict() alone. PyTorch says: {_reason(error)}"
        ) from error
    return {
        name: tensor.detach().to(torch.float32).numpy()
        for name, tensor in _unwrap(content, path).items()
        if isinstance(tensor, torch.Tensor)
    }


def save_torch(path: str | Path, tensors: Mapping[str, np.ndarray]) -> None:
    """Writes a PyTorch state dict as .pth, .pt or .safetensors.

    Raises:
      UsageError: If the file's ending is another, or a package is missing.
    """
    path = Path(path)
    if path.suffix == ".safetensors":
        _optional("safetensors.numpy").save_file(dict(tensors), path)
    elif path.suffix in (".pth", ".pt"):
        torch = _optional("torch")
        state = {name: torch.tensor(tensor) for name, tensor in tensors.items()}
        torch.save(state, path)
    else:
        raise unknown("kind of weights", path.suffix, (".pth", ".pt", ".safetensors"))


def save(path: str | Path, variables: PyTree) -> None:
    """Writes variables as .npz or .safetensors, by names such as params/stem/kernel."""
    path = Path(path)
    leaves: dict[str, Any] = {
        name: np.asarray(leaf)
        for name, leaf in traverse_util.flatten_dict(variables, sep="/").items()
    }
    if path.suffix == ".npz":
        np.savez(path, **leaves)
    elif path.suffix == ".safetensors":
        _optional("safetensors.numpy").save_file(leaves, path)
    else:
        raise unknown("kind of weights", path.suffix, _OWN_SUFFIXES)


def load(path: str | Path, like: PyTree) -> PyTree:
    """Returns the variables that `save` wrote.

    Args:
      path: A file ending in .npz or .safetensors.
      like: Variables of the same shapes; those of `models.shapes` do.

    Raises:
      UsageError: If the file is missing, damaged, or of another network; every tensor
        that is missing, unknown or of a wrong shape is named.
    """
    path = _existing(path)
    if path.suffix not in _OWN_SUFFIXES:
        raise unknown("kind of weights", path.suffix, _OWN_SUFFIXES)
    read = _read_npz if path.suffix == ".npz" else _read_safetensors
    found = read(path)
    wanted: dict[str, Any] = traverse_util.flatten_dict(like, sep="/")
    problems = [f"missing: {name}" for name in wanted if name not in found]
    problems += [f"unknown: {name}" for name in found if name not in wanted]
    problems += [
        f"wrong shape: {name} is {found[name].shape}, should be {tuple(leaf.shape)}"
        for name, leaf in wanted.items()
        if name in found and found[name].shape != tuple(leaf.shape)
    ]
    if problems:
        raise UsageError(f"{path} does not fit the network:\n" + "\n".join(problems))
    leaves = {
        name: jnp.asarray(found[name], leaf.dtype) for name, leaf in wanted.items()
    }
    return traverse_util.unflatten_dict(leaves, sep="/")


def _existing(path: str | Path) -> Path:
    path = Path(path)
    if not path.is_file():
        raise UsageError(f"there is no file {path}")
    return path


def _reason(error: Exception) -> str:
    # Around its reason PyTorch tells how to run what is in the file.
    reason = str(error).rpartition("WeightsUnpickler error: ")[2].strip()
    return reason.partition(". Please ")[0].partition("\n")[0]


def _unwrap(content: Any, path: Path) -> Mapping[str, Any]:
    for wrapper in _WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            # wide-residual-networks of 2017 keeps the batch statistics apart.
            stats = content.get("stats") if wrapper == "params" else None
            return {**content[wrapper], **(stats if isinstance(stats, Mapping) else {})}
    if not isinstance(content, Mapping):
        raise UsageError(f"{path} holds a {type(content).__name__}, not a state dict")
    return content


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise UsageError(f"{path} is not a readable .npz: {error}") from error


def _read_safetensors(path: Path) -> dict[str, np.ndarray]:
    safetensors = _optional("safetensors")
    try:
        return _optional("safetensors.numpy").load_file(path)
    except (safetensors.SafetensorError, TypeError, KeyError) as error:
        raise UsageError(f"{path} is not a readable .safetensors: {error}") from error


def _optional(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise UsageError(f"this needs {package}: pip install {package}") from error
