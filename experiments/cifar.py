r"""Test error on CIFAR-10 and CIFAR-100, ERM against mixup (paper, figure 3a and 3b).

  python -m experiments.cifar --run=c10_preact18_mixup --seed=0 --workdir=runs/c10

Paper, per cent, ERM and mixup: on CIFAR-10 5.6 and 4.2 (PreAct ResNet-18), 3.8 and 2.7
(WideResNet-28-10), 3.7 and 2.7 (DenseNet-BC-190); on CIFAR-100 25.6 and 21.1, 19.4 and
17.5, 19.0 and 16.8. Figure 3b is the test error of each epoch of the DenseNets. Any
field of a run can be set by a flag of its name: --dataset, --width, --epochs, ... Add
--smoke to try everything out in seconds on stand-in data.
"""

import dataclasses
import functools
from typing import Any

import numpy as np

from experiments import common, paper, reproduction
from experiments.reproduction import Reproduction, run_of
from experiments.workspace import Workspace
from mixup_jax.runs import RunConfig
from mixup_jax.runs.directory import RunDirectory

# Momentum, augmentation and normalisation are not in the paper; they are the official
# script's, which has no Nesterov and decays all parameters.
_ERM = RunConfig(
    dataset="cifar10",
    model="preact_resnet18",
    epochs=200,
    batch_size=128,
    learning_rate=0.1,
    lr_drops=(100, 150),  # epochs; each divides the rate by 10
    weight_decay=1e-4,  # batch norm's parameters included
    alpha=0.0,  # ERM
)
NETWORKS: dict[str, dict[str, Any]] = {
    "preact18": {"model": "preact_resnet18"},
    # The paper says that these drops follow the network's authors; they do not.
    "wrn28_10": {"model": "wide_resnet28_10", "lr_drops": (60, 120, 180)},
    "densenet190": {"model": "densenet_bc190_40"},
}
RUNS = {
    f"{data}_{network}_{method}": dataclasses.replace(
        _ERM, dataset=dataset, alpha=alpha, **fields
    )
    for data, dataset in (("c10", "cifar10"), ("c100", "cifar100"))
    for network, fields in NETWORKS.items()
    for method, alpha in (("erm", 0.0), ("mixup", 1.0))
}

# Networks of the same kinds, trained in seconds.
_SMALL: dict[str, dict[str, Any]] = {
    "preact_resnet18": {"depth": 10, "width": 8, "train_examples": 768},
    "wide_resnet28_10": {"depth": 10, "width": 1, "train_examples": 768},
    "densenet_bc190_40": {"depth": 10, "train_examples": 384},
}


def _small(name: str, config: RunConfig) -> RunConfig | None:
    if config.dataset == "cifar100":
        return None  # nothing with as many classes comes in a package
    return dataclasses.replace(
        config,
        dataset="mnist5k",
        flip=False,
        epochs=14,
        batch_size=64,
        lr_drops=(5, 10),
        train_error_every=-1,
        **_SMALL[config.model],
    )


def draw(space: Workspace) -> None:
    """Draws figure 3b: test errors on CIFAR-10 over the epochs, of every network."""
    from experiments import figures  # matplotlib, which training does without

    seeds: dict[str, set[int]] = {}
    for record in space.records:
        seeds.setdefault(record.row, set()).add(record.seed)
    panels: dict[str, dict[str, np.ndarray]] = {}
    for row in (row for row in seeds if row.startswith("c10_")):
        runs = [RunDirectory(run_of(space, row, seed)).rows() for seed in seeds[row]]
        curves = panels.setdefault(RUNS[row].model, {})
        method = "mixup" if RUNS[row].alpha else "ERM"
        curves[method] = 100 * np.array(
            [[e["test_error"] for e in run] for run in runs]
        )
    if panels:
        figures.error_curves(
            panels,
            space.path / "figure3b.png",
            title="Figure 3b: test error over the epochs",
            note=f"{space.records[0].data}; mean of seeds and its 95 % interval",
            # Four times the last error shows how it got there.
            top=min(
                100,
                4 * max(c[:, -1].max() for p in panels.values() for c in p.values()),
            ),
        )


REPRODUCTION = Reproduction(
    name="cifar",
    title="Figures 3a and 3b: test error on CIFAR-10 and CIFAR-100",
    runs=RUNS,
    measures={"test_error_median_of_last_10": "test error, median of last 10 epochs"},
    paper=paper.rows("figure3a"),
    small=_small,
    small_is="MNIST digits in place of CIFAR-10; networks of 10 layers, 14 epochs",
    small_seeds=3,
    baseline=lambda row: row.replace("mixup", "erm") if "mixup" in row else None,
    draw=draw,
    headline=(("c10_preact18_mixup", "test_error_median_of_last_10"),),
)

if __name__ == "__main__":
    common.main(functools.partial(reproduction.main, REPRODUCTION, __doc__))
