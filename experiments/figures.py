"""Pictures of results, for files; colours are told apart by colour-blind eyes too."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from mixup_jax.data import Split
from mixup_jax.errors import UsageError, install
from mixup_jax.runs.statistics import mean_interval
from mixup_jax.runs.trained import Predict

try:
    import matplotlib.figure
except ImportError as error:
    raise UsageError(
        f"pictures need matplotlib: {install('demo')} ({error})"
    ) from error

# Okabe and Ito's palette.
BLUE, ORANGE, GREEN = "#0072B2", "#E69F00", "#009E73"
COLOURS = {"ERM": ORANGE, "mixup": BLUE}

Curves = Mapping[str, np.ndarray]


def error_curves(
    panels: Mapping[str, Curves],
    path: Path,
    *,
    title: str,
    note: str,
    top: float = 100,
) -> None:
    """Draws error against epochs: the mean over seeds with its interval, see `curve`.

    Args:
      panels: Panel title to method to errors in per cent, [seeds, epochs].
      path: Of the PNG.
      title: Of the whole picture; names the data.
      note: One line below.
      top: Greatest error that is shown.
    """
    figure = matplotlib.figure.Figure(
        figsize=(4.2 * len(panels), 3.9), dpi=130, layout="constrained"
    )
    axes = np.atleast_1d(figure.subplots(1, len(panels), sharey=True))
    for axis, (name, curves) in zip(axes, panels.items(), strict=True):
        for method, errors in curves.items():
            epochs = np.arange(1, errors.shape[1] + 1)
            colour = COLOURS[method]
            curve(axis, epochs, errors, colour=colour, label=method)
        axis.set(title=name, xlabel="epoch", ylim=(0, top))
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("error, %")
    axes[0].legend(frameon=False)
    save(figure, path, title, note)


def curve(axis: Any, places: Any, rows: np.ndarray, *, colour: str, label: str) -> None:
    """Draws the mean over seeds, and shaded its 95 % interval (Student's t).

    Args:
      axis: Of matplotlib.
      places: Along the axis, [N].
      rows: One for each seed, [seeds, N]; one seed alone has no interval.
      colour: Of line and shade.
      label: For the legend.
    """
    axis.plot(places, rows.mean(axis=0), color=colour, label=label)
    if len(rows) < 2:
        return
    found = [mean_interval(column.tolist()) for column in rows.T]
    low, high = ([m + sign * half for m, half in found] for sign in (-1, 1))
    axis.fill_between(places, low, high, color=colour, alpha=0.2, lw=0)


def decision_surfaces(
    predictors: Mapping[str, Predict], split: Split, path: Path, *, title: str
) -> None:
    """Draws p(class 1 | x) in blue over the plane, with the training points.

    Args:
      predictors: Method to predictor of two classes from points in the plane.
      split: Points and labels to draw.
      path: Of the PNG.
      title: Of the whole picture.
    """
    figure = matplotlib.figure.Figure(
        figsize=(4.4 * len(predictors), 4.4), dpi=130, layout="constrained"
    )
    axes = np.atleast_1d(figure.subplots(1, len(predictors), sharey=True))
    side = np.linspace(-1.4, 1.4, 141, dtype=np.float32)
    grid = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
    for axis, (method, predict) in zip(axes, predictors.items(), strict=True):
        chance = np.asarray(jax.nn.softmax(predict(grid))[:, 1])
        axis.imshow(
            chance.reshape(len(side), -1),
            extent=(-1.4, 1.4, -1.4, 1.4),
            origin="lower",
            cmap="Blues",
            vmin=0,
            vmax=1,
        )
        _scatter(axis, split)
        axis.set(title=method, xticks=[], yticks=[])
    figure.colorbar(
        axes[0].images[0], ax=list(axes), shrink=0.8, label="p(class 1 | x)"
    )
    note = "green: class 0, orange: class 1; as the paper's figure 1b"
    save(figure, path, title, note)


def _scatter(axis, split: Split) -> None:
    for label, colour in enumerate((GREEN, ORANGE)):
        points = split.inputs[split.labels == label]
        axis.scatter(*points.T, s=3, color=colour)


def save(figure: matplotlib.figure.Figure, path: Path, title: str, note: str) -> None:
    figure.suptitle(title)
    figure.supxlabel(note, fontsize="small", color="0.3")
    figure.savefig(path)
