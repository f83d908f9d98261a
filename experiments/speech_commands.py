r"""Error on Google's speech commands, ERM against mixup (paper, figure 4).

  python -m experiments.speech_commands --run=vgg11_mixup_01 --seed=0 --workdir=runs/vgg

Paper, per cent, validation and test: LeNet 9.8 and 10.3 (ERM), 10.1 and 10.8 (alpha
0.1), 10.2 and 11.3 (0.2); VGG-11 5.0 and 4.6 (ERM), 4.0 and 3.8 (0.1), 3.9 and 3.4
(0.2). Without the archive, --dataset=speech_synthetic runs on words of espeak-ng.

The paper leaves open, and this module decides: the five epochs of ERM before mixup are
the first of the thirty; one lambda per batch; the spectrograms have 161 bins, as in the
code that the paper used, where its text says 160; the networks keep their dropout.
"""

import dataclasses
import functools
from typing import Any

from experiments import common, paper, reproduction
from experiments.reproduction import Reproduction
from mixup_jax.runs import RunConfig

_ERM = RunConfig(
    dataset="speech_commands",
    crop_pad=0,
    flip=False,
    model="speech_lenet",
    epochs=30,
    batch_size=100,
    optimizer="adam",
    learning_rate=3e-3,
    lr_drops=(10, 20),  # epochs; each divides the rate by 10
    weight_decay=0.0,
    eval_batch_size=100,
    train_error_every=-1,
)
_METHODS: dict[str, dict[str, Any]] = {
    "erm": {},
    "mixup_01": {"alpha": 0.1, "mix_from_epoch": 5},
    "mixup_02": {"alpha": 0.2, "mix_from_epoch": 5},
}
RUNS = {
    f"{name}_{method}": dataclasses.replace(_ERM, model=model, **fields)
    for name, model in (("lenet", "speech_lenet"), ("vgg11", "speech_vgg11"))
    for method, fields in _METHODS.items()
}


def _small(name: str, config: RunConfig) -> RunConfig | None:
    if config.model != "speech_lenet":
        return None
    return dataclasses.replace(
        config,
        dataset="speech_synthetic",
        model="mlp",
        width=64,
        learning_rate=1e-3,
        epochs=20,
        lr_drops=(10,),
    )


REPRODUCTION = Reproduction(
    name="speech_commands",
    title="Figure 4: error on Google's speech commands",
    runs=RUNS,
    measures={
        "validation_error_last": "validation error",
        "test_error_last": "test error",
    },
    paper=paper.rows("figure4"),
    small=_small,
    small_is="30 words synthesised by espeak-ng; an MLP of 2 x 64 units for LeNet",
    small_seeds=3,
    baseline=lambda row: None if row.endswith("erm") else f"{row.split('_')[0]}_erm",
    headline=(("lenet_mixup_02", "test_error_last"),),
)

if __name__ == "__main__":
    common.main(functools.partial(reproduction.main, REPRODUCTION, __doc__))
