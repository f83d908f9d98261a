"""Figure 5 as a picture and as a film: what the generators draw, over the data."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import jax
import matplotlib.animation
import matplotlib.figure
import numpy as np

from experiments import figures
from experiments.gan_config import DATA, GanConfig, Member, method
from experiments.gan_panels import POINTS, Panels
from mixup_jax.randomness import Purpose, purpose_key

# Half the side of a panel; the Gaussians' centres reach to 1.
VIEW = 1.6


def figure5(config: GanConfig, panels: Panels, path: Path, *, seed: int) -> None:
    """Draws data in blue and what was generated in orange, one seed.

    A row for each data set; for each method a column for each snapshot. The share of
    points that lie outside of a panel is written in it.

    Args:
      config: Of the panels.
      panels: Of all members.
      path: Of the PNG.
      seed: Whose GANs are drawn.
    """
    columns = len(config.stops)
    figure = matplotlib.figure.Figure(
        figsize=(1.75 * columns * len(config.alphas), 1.9 * len(DATA) + 0.9),
        dpi=110,
        layout="constrained",
    )
    blocks = figure.subfigures(1, len(config.alphas), squeeze=False, wspace=0.02)[0]
    for block, alpha in zip(blocks, config.alphas, strict=True):
        block.suptitle(method(alpha))
        axes = block.subplots(len(DATA), columns, squeeze=False)
        for row, data in zip(axes, DATA, strict=True):
            real = _real(data, seed)
            _row(row, real, panels[Member(data, alpha, seed)])
        for axis, stop in zip(axes[0], config.stops, strict=True):
            axis.set_title(f"iteration {stop:,}", fontsize="small")
    note = f"blue: data, orange: generated, {POINTS:,} points each. {config.differs}"
    figures.save(figure, path, f"Figure 5 of the paper, seed {seed}", note)


def animation(config: GanConfig, panels: Panels, path: Path, *, seed: int) -> None:
    """Films what `figure5` draws: a frame a second for each snapshot, over and over.

    A row for each data set, a column for each method.

    Args:
      config: Of the panels.
      panels: Of all members.
      path: Of the GIF.
      seed: Whose GANs are drawn.
    """
    figure = matplotlib.figure.Figure(
        figsize=(2.2 * len(config.alphas), 2.2 * len(DATA) + 0.6),
        dpi=100,
        layout="constrained",
    )
    writer = matplotlib.animation.PillowWriter(fps=1)
    with writer.saving(figure, path, dpi=100):
        for frame, stop in enumerate(config.stops):
            figure.clear()
            axes = figure.subplots(len(DATA), len(config.alphas), squeeze=False)
            for row, data in zip(axes, DATA, strict=True):
                drawn = [panels[Member(data, a, seed)][frame] for a in config.alphas]
                _row(row, _real(data, seed), drawn)
            for axis, alpha in zip(axes[0], config.alphas, strict=True):
                axis.set_title(method(alpha), fontsize="small")
            figure.suptitle(f"iteration {stop:,}, seed {seed}")
            figure.supxlabel("blue: data, orange: generated", fontsize="small")
            writer.grab_frame()


def outside(points: np.ndarray) -> np.ndarray:
    """Returns which points a panel does not show, what is no number included."""
    return np.asarray(~(np.abs(points) <= VIEW).all(axis=-1))


def _real(data: str, seed: int) -> np.ndarray:
    # Step 0 of this purpose are the generators' fixed noises.
    key = purpose_key(jax.random.key(seed), Purpose.SNAPSHOT, 1)
    return np.asarray(DATA[data].sample(key, POINTS)[0])


def _row(axes: Sequence, real: np.ndarray, snapshots: Iterable[np.ndarray]) -> None:
    for axis, fake in zip(axes, snapshots, strict=True):
        axis.scatter(*real.T, s=2, color=figures.BLUE, linewidths=0)
        axis.scatter(*fake.T, s=2, color=figures.ORANGE, alpha=0.6, linewidths=0)
        axis.set(xlim=(-VIEW, VIEW), ylim=(-VIEW, VIEW), xticks=[], yticks=[])
        axis.set_aspect("equal")
        share = outside(fake).mean()
        if share >= 0.005:
            axis.text(
                *(0.5, 0.02),
                f"{100 * share:.0f} % outside",
                fontsize=6,
                ha="center",
                transform=axis.transAxes,
            )
