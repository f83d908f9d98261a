"""What data must be like to be learned from; each check names what is wrong.

`where` is the data set and its split, as an error calls them.
"""

import numpy as np

from mixup_jax.errors import UsageError


def check_arrays(where: str, inputs: np.ndarray, labels: np.ndarray) -> None:
    """Raises UsageError unless inputs and labels are of a known kind and length."""
    if not (isinstance(inputs, np.ndarray) and isinstance(labels, np.ndarray)):
        kinds = f"{type(inputs).__name__} and {type(labels).__name__}"
        raise UsageError(
            f"{where}: inputs and labels must be NumPy arrays, got {kinds}"
        )
    if inputs.ndim < 2 or labels.ndim != 1:
        raise UsageError(
            f"{where}: inputs must be [N, ..., C] and labels [N], got shapes "
            f"{inputs.shape} and {labels.shape}"
        )
    if len(inputs) != len(labels):
        raise UsageError(f"{where}: {len(inputs)} inputs but {len(labels)} labels")
    if len(labels) == 0:
        raise UsageError(f"{where}: no examples")
    known = (np.uint8, np.int16, np.float32)
    if inputs.dtype not in known or labels.dtype != np.int32:
        raise UsageError(
            f"{where}: inputs must be uint8 (images), int16 (sounds) or float32 "
            f"(features) and labels int32, got {inputs.dtype} and {labels.dtype}; "
            "convert them, such as by inputs.astype(numpy.float32)"
        )
    _check_shape(where, inputs)


def _check_shape(where: str, inputs: np.ndarray) -> None:
    """Refuses shapes that would be taken for what they are not."""
    shape = inputs.shape
    if 0 in shape:
        raise UsageError(f"{where}: examples hold nothing, inputs have shape {shape}")
    if inputs.dtype == np.uint8 and inputs.ndim == 3:
        raise UsageError(
            f"{where}: images need an axis of channels, grey ones [N, H, W, 1], got "
            f"shape {shape}; add it by inputs[..., None]"
        )
    # More than four channels have their uses, but not beside an axis of one or three.
    if inputs.ndim == 4 and shape[1] in (1, 3) and shape[-1] > 4:
        raise UsageError(
            f"{where}: images must be [N, H, W, C], and shape {shape} looks like "
            "channels in the first place; move them by numpy.moveaxis(inputs, 1, -1)"
        )
    if inputs.dtype == np.int16 and (inputs.ndim != 3 or shape[-1] != 1):
        raise UsageError(
            f"{where}: inputs of int16 are sounds, [N, T, 1], got shape {shape}; "
            "convert features by inputs.astype(numpy.float32)"
        )


def check_classes(title: str, num_classes: int) -> None:
    """Raises UsageError unless there is something to tell apart."""
    if num_classes < 2:
        raise UsageError(f"{title}: num_classes must be at least 2, got {num_classes}")


def check_alike(title: str, train: np.ndarray, split: str, inputs: np.ndarray) -> None:
    """Raises UsageError unless a split has examples like those of training."""
    if inputs.shape[1:] != train.shape[1:]:
        raise UsageError(
            f"{title}: training examples have shape {train.shape[1:]}, {split} ones "
            f"{inputs.shape[1:]}"
        )
    if inputs.dtype != train.dtype:
        raise UsageError(
            f"{title}: training examples are {train.dtype}, {split} ones {inputs.dtype}"
        )


def check_labels(where: str, labels: np.ndarray, num_classes: int) -> None:
    """Raises UsageError unless all labels are from 0 to K - 1."""
    outside = np.flatnonzero((labels < 0) | (labels >= num_classes))
    if outside.size:
        raise UsageError(
            f"{where}: label {labels[outside[0]]} at index {outside[0]} is outside "
            f"0 to {num_classes - 1}"
        )


def check_finite(where: str, inputs: np.ndarray) -> None:
    """Raises UsageError if a feature is NaN or infinite."""
    if inputs.dtype != np.float32:
        return
    bad = np.flatnonzero(~np.isfinite(inputs).reshape(len(inputs), -1).all(axis=1))
    if bad.size:
        raise UsageError(
            f"{where}: the input at index {bad[0]} holds NaN or infinity "
            f"({bad.size:,} such inputs); leave them out or fill them in first"
        )


def check_statistics(
    name: str, channels: int, mean: tuple[float, ...], std: tuple[float, ...]
) -> None:
    """Raises UsageError unless mean and std are of each channel and can be used."""
    if len(mean) != channels or len(std) != channels:
        raise UsageError(
            f"{name}: {channels} channels need as many numbers in mean and std, got "
            f"{len(mean)} and {len(std)}"
        )
    if not np.isfinite(mean).all() or not all(0 < value < np.inf for value in std):
        raise UsageError(
            f"{name}: mean must be finite and std above 0, got {mean} and {std}"
        )
