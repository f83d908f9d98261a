"""A picture of examples as a network reads them, mixed and not."""

from pathlib import Path
from typing import Any

import matplotlib.figure
import numpy as np

from experiments import figures
from mixup_jax.runs.inspection import virtual_batch
from mixup_jax.runs.parts import Parts
from mixup_jax.types import Batch

_COLUMNS = 8
_SHOWN = 16
_BEFORE = "before they are mixed"


def draw(parts: Parts, path: Path) -> None:
    """Draws the first examples of a run's first batch: before mixing, and mixed.

    Args:
      parts: Of the run.
      path: Of the PNG.
    """
    sides = {
        _BEFORE: virtual_batch(parts, mixed=False),
        "as the network reads them": virtual_batch(parts),
    }
    shape = parts.inputs.shape
    if len(shape) == 3:
        figure = _pictures(parts, sides)
    elif shape == (2,):
        figure = _points(sides)
    else:
        figure = _rows(sides)
    note = (
        f"alpha {parts.config.alpha:g}, batch of {parts.config.batch_size}, first step"
    )
    if parts.config.alpha and parts.config.lam_per == "batch":
        # A small alpha often draws one that is almost 0 or 1: nothing looks mixed.
        note += "; one lambda for all of it, see others with another --seed"
    figures.save(figure, path, parts.dataset.title, note)


def _pictures(parts: Parts, sides: dict[str, Batch]) -> matplotlib.figure.Figure:
    count = min(_SHOWN, len(sides[_BEFORE].targets))
    rows = -(-count // _COLUMNS)
    figure = matplotlib.figure.Figure(
        figsize=(1.5 * _COLUMNS, 1.8 * 2 * rows + 0.8), dpi=110, layout="constrained"
    )
    halves: Any = figure.subfigures(2, 1)
    for part, (name, batch) in zip(halves, sides.items(), strict=True):
        part.suptitle(name, fontsize="medium")
        axes = part.subplots(rows, _COLUMNS, squeeze=False).ravel()
        for axis in axes:
            axis.axis("off")
        for axis, inputs, target in zip(
            axes, batch.inputs, batch.targets, strict=False
        ):
            _show(axis, parts, inputs)
            axis.set_title(label_of(target), fontsize="small")
    return figure


def _show(axis, parts: Parts, inputs: np.ndarray) -> None:
    if inputs.shape[-1] == 1:
        spectrogram = inputs.shape[0] != inputs.shape[1]
        origin = "lower" if spectrogram else "upper"
        axis.imshow(inputs[..., 0], cmap="gray", origin=origin, aspect="auto")
        return
    mean, std = (
        np.array(numbers) for numbers in (parts.dataset.mean, parts.dataset.std)
    )
    axis.imshow(np.clip(inputs * std + mean, 0, 1))


def label_of(target: np.ndarray, *, most: int = 2, least: float = 0.005) -> str:
    """Returns the classes in a target and their shares, the largest first.

    Args:
      target: Shares of all classes, [K].
      most: How many classes are named.
      least: Share of one that is named.
    """
    order = np.argsort(-target)[:most]
    if target[order[0]] > 0.995:
        return f"class {order[0]}"
    return " + ".join(f"{target[k]:.2f} of {k}" for k in order if target[k] > least)


def _points(sides: dict[str, Batch]) -> matplotlib.figure.Figure:
    figure = matplotlib.figure.Figure(figsize=(9, 4.6), dpi=110, layout="constrained")
    axes = figure.subplots(1, 2, sharex=True, sharey=True)
    for axis, (name, batch) in zip(axes, sides.items(), strict=True):
        shade = batch.targets[:, 1]
        dots = axis.scatter(*batch.inputs.T, c=shade, cmap="cividis", vmin=0, vmax=1)
        axis.set(title=name, aspect="equal")
    figure.colorbar(dots, ax=list(axes), label="target of class 1")
    return figure


def _rows(sides: dict[str, Batch]) -> matplotlib.figure.Figure:
    figure = matplotlib.figure.Figure(figsize=(9, 6), dpi=110, layout="constrained")
    axes = figure.subplots(2, 1, sharex=True)
    for axis, (name, batch) in zip(axes, sides.items(), strict=True):
        rows = batch.inputs[:_SHOWN].reshape(len(batch.inputs[:_SHOWN]), -1)
        image = axis.imshow(
            rows,
            aspect="auto",
            cmap="cividis",
            vmin=-3,
            vmax=3,
            interpolation="nearest",
        )
        labels = [label_of(target) for target in batch.targets[:_SHOWN]]
        axis.set_yticks(range(len(labels)), labels, fontsize="x-small")
        axis.set_title(f"{name}: a row for each example", fontsize="medium")
    axes[-1].set_xlabel("feature")
    figure.colorbar(image, ax=list(axes), label="standard deviations")
    return figure
