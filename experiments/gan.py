r"""Toy GANs, ERM against mixup (paper, section 3.7 and figure 5).

  python -m experiments.gan --workdir=runs/gan                 minutes on 2 cores
  python -m experiments.gan --scale=paper --workdir=runs/gan_paper

Learns 25 Gaussians on a grid and 8 on a ring, and draws 1,000 points of each generator
at five iterations, as a picture and as a film (.gif). Paper: a picture only. In it
mixup covers all Gaussians, and ERM's points have left the picture by iteration 1,000.
The measures are ours: Gaussians covered, the share of points within 3 std of one, the
share outside of the picture.

Scale "paper" has the paper's 3 x 512 units and 20,000 iterations, scale "small" 3 x 128
units and 5,000; nothing else differs. The paper's formula and the script of its first
author, which made the picture, mix differently: --form. The same command continues what
was stopped, and draws anew what is finished.
"""

import dataclasses
import os
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from absl import flags

from experiments import common, gan_panels, markdown, run_flags, tables
from experiments.gan_config import DATA, GanConfig, Member, method
from experiments.gan_panels import POINTS, Panels
from experiments.workspace import Workspace
from mixup_jax.data import toy
from mixup_jax.errors import UsageError
from mixup_jax.evaluation.generation import mode_coverage
from mixup_jax.runs.records import Record


class Size(NamedTuple):
    """What the scales differ in; the fields are those of `GanConfig`."""

    width: int
    iterations: int


SEEDS = 3
_ERM = re.compile(r"mixup_a[^_]*(_formula)?")  # in the name of a row
SCALES = {"paper": Size(512, 20_000), "small": Size(128, 5_000)}
# Measure of a record, without its iteration, to column of the table.
MEASURES = {
    "modes": "Gaussians covered",
    "high_quality": "within 3 std of one, %",
    "outside": "outside of the picture, %",
}
DESCRIPTION = tables.Description(
    name="gan",
    title="Figure 5: toy generative adversarial networks",
    measures={
        f"{measure}_{when}": f"{title}, {said}"
        for when, said in (("at_1000", "iteration 1,000"), ("last", "at the end"))
        for measure, title in MEASURES.items()
    },
    paper={},
    baseline=lambda row: _ERM.sub("erm", row) if "mixup" in row else None,
    small_is="128 units and 5,000 iterations, not 512 and 20,000",
    factors={"modes_at_1000": 1, "modes_last": 1},
    note="The paper has a picture alone; the measures are ours.",
    headline=(("grid_mixup_a0.2", "modes_last"), ("ring_mixup_a0.2", "modes_last")),
)


def main(argv: Sequence[str]) -> None:
    values = _flags()
    if common.parse(values, __doc__ or "", argv):
        return
    config = chosen_config(values)
    workdir = common.workdir_of(values)
    common.need_pictures()
    common.start(values, alone=True)
    print(config.differs, file=sys.stderr)
    on_cpu = jax.default_backend() == "cpu"
    together = not on_cpu if values.together is None else values.together
    config = dataclasses.replace(config, together=together)
    workspace = Workspace(workdir, dataclasses.asdict(config))
    # On a CPU a scan keeps to one core.
    workers = values.workers or ((os.cpu_count() or 1) if on_cpu else 1)
    panels = gan_panels.run(config, workspace.path / "panels", workers=workers)
    for file in write(config, panels, workspace):
        print(f"  {file}")
    common.next_report(workspace.path)


def _flags() -> flags.FlagValues:
    values = flags.FlagValues()
    here = {"flag_values": values}
    run_flags.define_table_flags(values)
    flags.DEFINE_list("alphas", ["0", "0.2"], "one GAN for each; 0 is ERM", **here)
    text = "of mixup: script (as the paper's author) or formula (as the paper)"
    flags.DEFINE_string("form", "script", text, **here)
    text = "dimension of the generator's noise; the script has 2, 5 and 10"
    flags.DEFINE_integer("z", 2, text, **here)
    sizes = [SCALES[scale] for scale in run_flags.SCALES]
    text = f"units of a layer [{sizes[0].width} or {sizes[1].width}, by scale]"
    flags.DEFINE_integer("width", None, text, **here)
    text = f"of each GAN [{sizes[0].iterations} or {sizes[1].iterations}, by scale]"
    flags.DEFINE_integer("iterations", None, text, **here)
    text = "train the GANs of a data set in one program [not on a CPU]"
    flags.DEFINE_bool("together", None, text, **here)
    return values


def chosen_config(values: flags.FlagValues) -> GanConfig:
    """Returns the config that the flags ask for; raises UsageError if it is none."""
    if values.wandb:
        raise UsageError("GANs leave no curves: leave out --wandb")
    if values.workers < 0:
        raise UsageError(f"workers must be at least 0, got {values.workers}")
    given = {name: values[name].value for name in Size._fields}
    size = SCALES[values.scale]._replace(
        **{name: value for name, value in given.items() if value is not None}
    )
    try:
        alphas = tuple(float(entry) for entry in values.alphas)
    except ValueError as error:
        raise UsageError(
            f"alphas takes numbers separated by commas, got {values.alphas}"
        ) from error
    config = GanConfig(
        seeds=values.seeds or SEEDS,
        alphas=alphas,
        form=values.form,
        z=values.z,
        width=size.width,
        iterations=size.iterations,
    )
    config.validate()
    return config


def write(config: GanConfig, panels: Panels, workspace: Workspace) -> list[Path]:
    """Writes records, table, a picture and a film for each seed; returns the paths."""
    from experiments import figures_gan  # matplotlib

    found = list(records(config, panels))
    workspace.add(found)
    table = coverage_table(config, found)
    files = [workspace.path / name for name in ("records.csv", "table.md")]
    files[1].write_text(f"{table}\n")
    print(f"\n{table}\n")
    for seed in range(config.seeds):
        picture, film = (
            workspace.path / f"figure5_seed{seed}{suffix}"
            for suffix in (".png", ".gif")
        )
        figures_gan.figure5(config, panels, picture, seed=seed)
        figures_gan.animation(config, panels, film, seed=seed)
        files += [picture, film]
    return files


def records(config: GanConfig, panels: Panels) -> Iterator[Record]:
    """Measures every snapshot: `modes_at_1000` at iteration 1,000, `modes_last`."""
    for member, snapshots in panels.items():
        for stop, points in zip(config.stops, snapshots, strict=True):
            for measure, value in _measures(member, points).items():
                yield Record(
                    experiment="gan",
                    row=config.row(member.data, member.alpha),
                    measure=f"{measure}_{_when(config, stop)}",
                    seed=member.seed,
                    value=value,
                    data=DATA[member.data].title,
                    scale=config.scale,
                )


def _when(config: GanConfig, stop: int) -> str:
    return "last" if stop == config.iterations else f"at_{stop}"


def _measures(member: Member, points: np.ndarray) -> dict[str, float]:
    from experiments.figures_gan import outside  # matplotlib

    coverage = mode_coverage(points, DATA[member.data].centres, std=toy.SPREAD)
    return {
        "modes": float(coverage.modes),
        "high_quality": float(coverage.high_quality),
        "outside": float(outside(points).mean()),
    }


def coverage_table(config: GanConfig, found: Sequence[Record]) -> str:
    """Returns the measures in Markdown: mean over seeds, from least to greatest."""
    values: dict[tuple[str, str], list[float]] = {}
    for record in found:
        values.setdefault((record.row, record.measure), []).append(record.value)
    rows = []
    for data, kind in DATA.items():
        for alpha in config.alphas:
            row = config.row(data, alpha)
            for measure, title in MEASURES.items():
                cells = [
                    _cell(values[row, f"{measure}_{_when(config, stop)}"], measure)
                    for stop in config.stops
                ]
                rows.append([kind.title, method(alpha), title, *cells])
    header = ["data", "method", "", *(f"{stop:,}" for stop in config.stops)]
    note = (
        f"{POINTS:,} points at each iteration; mean of {config.seeds} seeds (least to "
        f"greatest). Form of mixup: {config.form}; noise in {config.z} dimensions. "
        f"{config.differs}"
    )
    return f"{markdown.table(header, rows)}\n\n{note}"


def _cell(values: Sequence[float], measure: str) -> str:
    scaled = np.array(values) if measure == "modes" else 100 * np.array(values)
    low, high = scaled.min(), scaled.max()
    return f"{scaled.mean():.1f} ({low:.0f} to {high:.0f})"


if __name__ == "__main__":
    common.main(main)
