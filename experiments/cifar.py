r"""Test error on CIFAR-10 and CIFAR-100, ERM against mixup (paper, figure 3a).

  python -m experiments.cifar --run=c10_preact18_mixup --seed=0 --workdir=runs/c10

Paper, PreAct ResNet-18: 5.6 (ERM) and 4.2 (mixup) per cent on CIFAR-10, 25.6 and 21.1
on CIFAR-100. Any field of a run can be set by a flag of its name: --dataset, --width,
--epochs, ... Add --smoke to try everything out in seconds on stand-in data.
"""

import dataclasses
import functools

from experiments import common
from mixup_jax.runs import RunConfig

# Momentum, augmentation and normalisation are not in the paper; they are the official
# script's, which has no Nesterov and decays all parameters.
_C10_PREACT18 = RunConfig(
    dataset="cifar10",
    model="preact_resnet18",
    epochs=200,
    batch_size=128,
    learning_rate=0.1,
    lr_drops=(100, 150),  # epochs; each divides the rate by 10
    weight_decay=1e-4,  # batch norm's parameters included
    alpha=0.0,  # ERM
)
_C100_PREACT18 = dataclasses.replace(_C10_PREACT18, dataset="cifar100")


def _with_mixup(config: RunConfig) -> RunConfig:
    return dataclasses.replace(config, alpha=1.0)


RUNS = {
    "c10_preact18_erm": _C10_PREACT18,
    "c10_preact18_mixup": _with_mixup(_C10_PREACT18),
    "c100_preact18_erm": _C100_PREACT18,
    "c100_preact18_mixup": _with_mixup(_C100_PREACT18),
}

if __name__ == "__main__":
    common.main(functools.partial(common.run_experiment, RUNS, __doc__))
