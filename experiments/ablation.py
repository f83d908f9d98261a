r"""Which part of mixup helps: 22 vicinities on CIFAR-10 (paper, table 5).

  python -m experiments.ablation --run=mixup_ac_rp_wd1e4 --seed=0 --workdir=runs/ac_rp

One run for each of the paper's 22 rows and 2 weight decays (`_wd1e4`, `_wd5e4`): the
median test error of the last 10 epochs. AC: all classes, SC: same class; RP: random
pairs, KNN: one of the 200 nearest neighbours. Paper: 5.53 (ERM) and 4.24 (mixup) per
cent at weight decay 1e-4. Add --smoke to try a run out in seconds on stand-in data.

The paper leaves open, and this module decides: neighbours by Euclidean distance of
stored pixels, itself excluded, augmented on its own; the target of "inputs and label
smoothing" is the smoothed label of the closer example; noise on normalised inputs. The
network is the variant whose authors' page repeats the first two rows of the table; the
other one is --model=preact_resnet18_official.
"""

import dataclasses
import functools

from experiments import cifar, common, paper, reproduction
from experiments.reproduction import Reproduction
from mixup_jax.runs import RunConfig

_ERM = cifar.RUNS["c10_preact18_erm"]
_MIXUP = {"alpha": 1.0}
_INPUTS = {**_MIXUP, "target": "closer"}

# In the order of the table.
VICINITIES: dict[str, dict] = {
    "erm": {},
    "mixup_ac_rp": _MIXUP,
    "mixup_ac_knn": {**_MIXUP, "pairing": "neighbours"},
    **{f"layer{k}_ac_rp": {**_MIXUP, "mix_at": f"stage{k}"} for k in range(1, 6)},
    # Both examples have the label, mixed or not.
    "inputs_sc_knn": {**_INPUTS, "pairing": "same_class_neighbours"},
    "inputs_ac_knn": {**_INPUTS, "pairing": "neighbours"},
    "inputs_sc_rp": {**_INPUTS, "pairing": "same_class"},
    "inputs_ac_rp": _INPUTS,
    "smoothing_005": {"label_smoothing": 0.05},
    "smoothing_01": {"label_smoothing": 0.1},
    "smoothing_02": {"label_smoothing": 0.2},
    "inputs_smoothing_005": {**_INPUTS, "label_smoothing": 0.05},
    "inputs_smoothing_01": {**_INPUTS, "label_smoothing": 0.1},
    "inputs_smoothing_02": {**_INPUTS, "label_smoothing": 0.2},
    "inputs_smoothing_04": {**_INPUTS, "label_smoothing": 0.4},
    "noise_005": {"noise": 0.05},
    "noise_01": {"noise": 0.1},
    "noise_02": {"noise": 0.2},
}


def _run(vicinity: dict, weight_decay: float) -> RunConfig:
    return dataclasses.replace(_ERM, weight_decay=weight_decay, **vicinity)


RUNS = {
    f"{name}_{decay}": _run(vicinity, weight_decay)
    for name, vicinity in VICINITIES.items()
    for decay, weight_decay in (("wd1e4", 1e-4), ("wd5e4", 5e-4))
}


def _paper() -> dict[str, dict[str, float]]:
    keys = {"wd1e4": "test_error_wd_1e-4", "wd5e4": "test_error_wd_5e-4"}
    return {
        f"{name}_{decay}": {"test_error_median_of_last_10": paper.table5(name)[key]}
        for name in VICINITIES
        for decay, key in keys.items()
    }


def _small(name: str, config: RunConfig) -> RunConfig:
    return dataclasses.replace(
        config,
        dataset="mnist5k",
        crop_pad=0,
        flip=False,
        model="mlp",
        depth=4,
        width=128,
        epochs=30,
        batch_size=100,
        lr_drops=(20,),
        neighbours=50,
    )


REPRODUCTION = Reproduction(
    name="ablation",
    title="Table 5: which part of mixup helps",
    runs=RUNS,
    measures={"test_error_median_of_last_10": "test error, median of last 10 epochs"},
    paper=_paper(),
    small=_small,
    small_is=(
        "5,000 MNIST digits, an MLP of 4 x 128 units, whose first layer reads the "
        "inputs; 30 epochs, 50 neighbours"
    ),
    small_seeds=5,
    baseline=lambda row: None if row.startswith("erm_") else f"erm_{row[-5:]}",
    headline=(("mixup_ac_rp_wd1e4", "test_error_median_of_last_10"),),
)

if __name__ == "__main__":
    common.main(functools.partial(reproduction.main, REPRODUCTION, __doc__))
