r"""Decision surface on two rings, ERM against mixup (paper, figure 1b).

  python -m experiments.toy --run=toy_mixup --seed=0 --workdir=runs/toy_mixup

Paper: a picture only. ERM draws a sharp disc around the inner ring; with mixup the
probability falls about linearly from the inner ring to the outer.
"""

import dataclasses
import functools

from experiments import common
from mixup_jax.runs import RunConfig

# The paper states alpha alone; the network and its training are ours.
_ERM = RunConfig(
    dataset="two_rings",
    model="mlp",
    crop_pad=0,
    flip=False,
    epochs=40,
    batch_size=100,
    optimizer="adam",
    learning_rate=1e-2,
    lr_drops=(30,),  # epochs; divides the rate by 10
    weight_decay=0.0,
)
RUNS = {"toy_erm": _ERM, "toy_mixup": dataclasses.replace(_ERM, alpha=1.0)}

if __name__ == "__main__":
    common.main(functools.partial(common.run_experiment, RUNS, __doc__))
