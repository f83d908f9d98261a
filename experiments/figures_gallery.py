"""The pictures of the documentation: small files, legible on a phone."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.figure
import numpy as np
import PIL.Image

from experiments import figures
from experiments.contact_sheet import label_of
from mixup_jax.types import Batch

_DPI = 110
_SHOWN = 4
_COLOURS = 128  # of a file
_NAMES = {"erm": "ERM", "mixup": "mixup, alpha 1"}


def vicinity(points: Sequence[Batch], digits: Any, path: Path) -> None:
    """Draws virtual points beside digits, those before above those after.

    Args:
      points: Batches of points and targets of two classes, or of one; may be empty.
      digits: Batches `before` and `after` of images from 0 to 1, or None.
      path: Of the PNG.
    """
    widths = [1] * bool(points) + [2] * (digits is not None)
    figure = matplotlib.figure.Figure(
        figsize=(2.3 * sum(widths), 3.0), dpi=_DPI, layout="constrained"
    )
    parts: Any = figure.subfigures(1, len(widths), width_ratios=widths, squeeze=False)
    if points:
        _points(parts[0, 0], points)
    if digits is not None:
        _digits(parts[0, -1], digits)
    _save(figure, path)


def _points(part: Any, batches: Sequence[Batch]) -> None:
    axis = part.subplots()
    x = np.concatenate([batch.inputs for batch in batches])
    shade = np.concatenate([np.asarray(batch.targets)[:, -1] for batch in batches])
    axis.scatter(*x.T, c=shade, cmap="cividis", vmin=0, vmax=1, s=5)
    axis.set(
        xlim=(-1.45, 1.45), ylim=(-1.45, 1.45), aspect="equal", xticks=[], yticks=[]
    )


def _digits(part: Any, sides: Any) -> None:
    axes = part.subplots(2, _SHOWN)
    for line, batch in zip(axes, sides, strict=True):
        for axis, image, target in zip(line, batch.inputs, batch.targets, strict=False):
            _image(axis, image, _label(target))


def _label(target: Any) -> str:
    return label_of(np.asarray(target), most=3, least=0.015).replace(" + ", "\n")


def _image(axis: Any, image: np.ndarray, title: str) -> None:
    axis.imshow(np.asarray(image)[..., 0], cmap="gray_r", vmin=0, vmax=1)
    axis.set_title(title, fontsize=10)
    axis.axis("off")


def rows_of_images(
    rows: Sequence[tuple[np.ndarray, Sequence[str]]], path: Path
) -> None:
    """Draws rows of images, [N, H, W, 1] from 0 to 1, with their titles."""
    figure = matplotlib.figure.Figure(
        figsize=(8, 1.7 * len(rows)), dpi=_DPI, layout="constrained"
    )
    axes = figure.subplots(len(rows), len(rows[0][1]), squeeze=False)
    for line, (images, titles) in zip(axes, rows, strict=True):
        for axis, image, title in zip(line, images, titles, strict=True):
            _image(axis, image, title)
    _save(figure, path)


def histograms(draws: Mapping[float, np.ndarray], path: Path) -> None:
    """Draws how often each lambda is drawn, by alpha."""
    figure = matplotlib.figure.Figure(figsize=(8, 2.4), dpi=_DPI, layout="constrained")
    axes = figure.subplots(1, len(draws), sharey=True)
    for axis, (alpha, lam) in zip(axes, draws.items(), strict=True):
        axis.hist(lam, bins=20, range=(0, 1), color=figures.BLUE, density=True)
        axis.set(
            title=f"alpha = {alpha:g}", xlabel="lambda", yticks=[], xticks=[0, 0.5, 1]
        )
    _save(figure, path)


def between(grid: np.ndarray, shares: Mapping[str, np.ndarray], path: Path) -> None:
    """Draws beliefs in one class and the other, and misses, [3, lambdas]."""
    figure = matplotlib.figure.Figure(figsize=(8, 3.2), dpi=_DPI, layout="constrained")
    axes = figure.subplots(1, len(shares), sharey=True)
    names = ("belief in the first", "belief in the other", "misses")
    colours = (figures.BLUE, figures.ORANGE, "0.35")
    for axis, (method, lines) in zip(axes, shares.items(), strict=True):
        for line, name, colour in zip(lines, names, colours, strict=True):
            axis.plot(grid, line, color=colour, label=name)
        axis.set(title=_NAMES[method], xlabel="lambda, share of the first", ylim=(0, 1))
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("mean probability; share")
    axes[0].legend(frameon=False, fontsize=8)
    _save(figure, path)


def _save(figure: matplotlib.figure.Figure, path: Path) -> None:
    """Saves with few colours: half of the bytes, and nothing that an eye misses."""
    content = io.BytesIO()
    figure.savefig(content)
    with PIL.Image.open(content) as image:
        image.convert("RGB").quantize(_COLOURS).save(path, optimize=True)
