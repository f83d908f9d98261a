"""The paper's optimizers, as PyTorch defines them, built from optax."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import optax

from mixup_jax.errors import UsageError, unknown
from mixup_jax.types import PyTree

NAMES = ("sgd", "adam")


def step_schedule(
    learning_rate: float,
    drops: Sequence[int],
    *,
    steps_per_epoch: int,
    factor: float = 0.1,
    delay: int = 0,
    warmup: int = 0,
    warmup_from: float = 0.0,
) -> optax.Schedule:
    """Returns a learning rate that is multiplied by `factor` at each drop.

    Args:
      learning_rate: After the warm-up and before the first drop.
      drops: Epochs, counted from 0, whose first step already uses the lower rate:
        (100, 150) of 200 gives 100, 50 and 50 epochs, as the paper states.
      steps_per_epoch: Steps in an epoch, the short last one included.
      factor: Of each drop.
      delay: Epochs by which every drop is late. 1 reproduces the official script,
        which adjusts the rate after the epoch: 101, 50 and 49 epochs.
      warmup: Epochs over which the rate rises, by as much at each step.
      warmup_from: The rate of the first step, where there is a warm-up.

    Raises:
      UsageError: If drops are not increasing, or begin within the warm-up.

    Source: warm-up of Goyal et al. (2017), section 2.2, arXiv:1706.02677.
    """
    if list(drops) != sorted(set(drops)) or any(epoch < 1 for epoch in drops):
        raise UsageError(f"lr_drops must be increasing epochs from 1, got {drops}")
    if any(epoch + delay < warmup for epoch in drops):
        raise UsageError(
            f"lr_drops {drops} begin within the warm-up of {warmup} epochs"
        )
    boundaries = {(epoch + delay) * steps_per_epoch: factor for epoch in drops}
    constant = optax.piecewise_constant_schedule(learning_rate, boundaries)
    if not warmup:
        return constant
    steps = warmup * steps_per_epoch
    rise = optax.linear_schedule(warmup_from, learning_rate, steps)
    return lambda step: jnp.where(jnp.asarray(step) < steps, rise(step), constant(step))


def make_optimizer(
    name: str,
    learning_rate: optax.ScalarOrSchedule,
    *,
    momentum: float = 0.9,
    nesterov: bool = False,
    weight_decay: float = 0.0,
    decay_norm: bool = True,
) -> optax.GradientTransformation:
    """Returns SGD with momentum, or Adam, with coupled weight decay.

    The decay is added to the gradient of every parameter before momentum or Adam's
    moments: PyTorch's `weight_decay`, which the official script uses, and not the
    decoupled one of AdamW.

    Args:
      name: "sgd" or "adam" (betas 0.9 and 0.999, epsilon 1e-8).
      learning_rate: A number or a schedule over steps.
      momentum: Of SGD.
      nesterov: Of SGD.
      weight_decay: Factor of the parameters in the gradient.
      decay_norm: Whether batch norm's parameters decay too, as in the official script;
        Goyal et al. (2017), section 3, leave them out. Biases of other layers decay.
    """
    if name not in NAMES:
        raise unknown("optimizer", name, NAMES)
    decay = optax.identity()
    if weight_decay:
        mask = None if decay_norm else _outside_of_norms
        decay = optax.add_decayed_weights(weight_decay, mask)
    if name == "adam":
        return optax.chain(decay, optax.adam(learning_rate))
    return optax.chain(decay, optax.sgd(learning_rate, momentum, nesterov=nesterov))


def _outside_of_norms(params: PyTree) -> PyTree:
    """Whether each leaf is of a layer other than a normalisation, by its name."""
    return jax.tree_util.tree_map_with_path(
        lambda path, _: "norm" not in jax.tree_util.keystr(path), params
    )
