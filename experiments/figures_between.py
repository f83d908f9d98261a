"""The picture of figure 2: what happens between training examples."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib.figure
import numpy as np

from experiments import figures

_NAMES = {"erm": "ERM", "mixup": "mixup"}


def figure2(
    curves: Mapping[str, Mapping[str, np.ndarray]],
    paper: Mapping[str, Mapping[str, Sequence[float]]],
    grid: Sequence[float],
    path: Path,
    data: str,
) -> None:
    """Draws misses and gradient norms between examples (figure 2).

    Args:
      curves: "miss" (shares) and "gradient" by method, [seeds, lambdas].
      paper: Curves of the paper by method: `miss` in per cent and `gradient_norm`.
      grid: Lambdas.
      path: Of the PNG.
      data: Title of our data.
    """
    figure = matplotlib.figure.Figure(figsize=(9, 4), dpi=130, layout="constrained")
    axes = figure.subplots(1, 2)
    panels = (
        ("miss", "miss", 100, "misses, %"),
        ("gradient", "gradient_norm", 1, "norm of the gradient"),
    )
    for axis, (measure, printed, factor, label) in zip(axes, panels, strict=True):
        for method, rows in curves[measure].items():
            name = _NAMES[method]
            colour = figures.COLOURS[name]
            rows = factor * rows
            figures.curve(axis, grid, rows, colour=colour, label=name)
            axis.plot(
                grid,
                paper[method][printed],
                "--",
                color=colour,
                lw=1,
                label=f"{name}, paper",
            )
        axis.set(xlabel="lambda", ylabel=label, ylim=(0, None))
        axis.grid(alpha=0.3)
    axes[0].legend(frameon=False, fontsize="small")
    seeds = len(next(iter(curves["miss"].values())))
    note = f"{data}; mean of {seeds} seeds and its 95 % interval; paper: CIFAR-10"
    figures.save(figure, path, "Between training examples", note)
