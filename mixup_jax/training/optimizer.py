"""The paper's optimizers, as PyTorch defines them, built from optax."""

from collections.abc import Sequence

import optax

from mixup_jax.errors import UsageError, unknown

NAMES = ("sgd", "adam")


def step_schedule(
    learning_rate: float,
    drops: Sequence[int],
    *,
    steps_per_epoch: int,
    factor: float = 0.1,
    delay: int = 0,
) -> optax.Schedule:
    """Returns a learning rate that is multiplied by `factor` at each drop.

    Args:
      learning_rate: Before the first drop.
      drops: Epochs, counted from 0, whose first step already uses the lower rate:
        (100, 150) of 200 gives 100, 50 and 50 epochs, as the paper states.
      steps_per_epoch: Steps in an epoch, the short last one included.
      factor: Of each drop.
      delay: Epochs by which every drop is late. 1 reproduces the official script,
        which adjusts the rate after the epoch: 101, 50 and 49 epochs.
    """
    if list(drops) != sorted(set(drops)) or any(epoch < 1 for epoch in drops):
        raise UsageError(f"lr_drops must be increasing epochs from 1, got {drops}")
    boundaries = {(epoch + delay) * steps_per_epoch: factor for epoch in drops}
    return optax.piecewise_constant_schedule(learning_rate, boundaries)


def make_optimizer(
    name: str,
    learning_rate: optax.ScalarOrSchedule,
    *,
    momentum: float = 0.9,
    nesterov: bool = False,
    weight_decay: float = 0.0,
) -> optax.GradientTransformation:
    """Returns SGD with momentum, or Adam, with coupled weight decay.

    The decay is added to the gradient of every parameter, batch norm and biases
    included, before momentum or Adam's moments: PyTorch's `weight_decay`, which the
    official script uses, and not the decoupled one of AdamW.

    Args:
      name: "sgd" or "adam" (betas 0.9 and 0.999, epsilon 1e-8).
      learning_rate: A number or a schedule over steps.
      momentum: Of SGD.
      nesterov: Of SGD.
      weight_decay: Factor of the parameters in the gradient.
    """
    if name not in NAMES:
        raise unknown("optimizer", name, NAMES)
    decay = (
        optax.add_decayed_weights(weight_decay) if weight_decay else optax.identity()
    )
    if name == "adam":
        return optax.chain(decay, optax.adam(learning_rate))
    return optax.chain(decay, optax.sgd(learning_rate, momentum, nesterov=nesterov))
