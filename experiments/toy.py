r"""Decision surface on two rings, ERM against mixup (paper, figure 1b).

  python -m experiments.toy --scale=paper --workdir=runs/toy
  python -m experiments.toy --run=toy_mixup --seed=0 --workdir=runs/toy_mixup

Paper: a picture only. ERM draws a sharp disc around the inner ring; with mixup the
probability falls about linearly from the inner ring to the outer. The paper states
alpha alone; the network and its training are ours, and the same at both scales.
"""

import dataclasses
import functools
from pathlib import Path

from experiments import common, reproduction
from experiments.reproduction import Reproduction, run_of
from experiments.workspace import Workspace
from mixup_jax.data import toy as toy_data
from mixup_jax.runs import RunConfig, load_predictor

_ERM = RunConfig(
    dataset="two_rings",
    model="mlp",
    crop_pad=0,
    flip=False,
    batch_size=64,
    epochs=40,
    lr_drops=(),
    optimizer="adam",
    learning_rate=0.003,
    weight_decay=0.0,
)
RUNS = {"toy_erm": _ERM, "toy_mixup": dataclasses.replace(_ERM, alpha=1.0)}


def draw(erm: Path, mixup: Path, path: Path) -> None:
    """Draws the decision surfaces of two runs."""
    from experiments import figures  # matplotlib, which training does without

    figures.decision_surfaces(
        {"ERM": load_predictor(erm), "mixup, alpha = 1": load_predictor(mixup)},
        toy_data.load().train,
        path,
        title="Two rings: p(class 1 | x)",
    )


def _draw(space: Workspace) -> None:
    erm, mixup = (run_of(space, name, 0) for name in RUNS)
    draw(erm, mixup, space.path / "figure1b.png")


REPRODUCTION = Reproduction(
    name="toy",
    title="Figure 1b: decision surfaces on two rings",
    runs=RUNS,
    measures={"test_error_last": "test error"},
    paper={},
    small=lambda row, config: config,
    small_is="nothing: both scales are one",
    small_seeds=5,
    paper_seeds=5,
    baseline=lambda row: "toy_erm" if row == "toy_mixup" else None,
    apart=True,  # the picture needs their networks
    draw=_draw,
    note="The paper has a picture alone; the errors beside it are ours.",
)

if __name__ == "__main__":
    common.main(functools.partial(reproduction.main, REPRODUCTION, __doc__))
