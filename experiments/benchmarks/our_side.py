"""Our training step on random data on the device, as a function to be timed."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from mixup_jax import models
from mixup_jax.training.calls import several
from mixup_jax.training.optimizer import make_optimizer
from mixup_jax.training.placement import Placement
from mixup_jax.training.recipe import TrainRecipe
from mixup_jax.training.state import initial_state
from mixup_jax.training.step import train_step
from mixup_jax.training.step_data import Share, TrainData
from mixup_jax.vicinity.vicinity import Vicinity


def step(
    model: str,
    inputs: tuple[int, ...],
    classes: int,
    *,
    batch_size: int,
    overrides: Mapping[str, Any],
    alpha: float = 1.0,
    adam: bool = False,
    examples: int | None = None,
    steps_per_call: int = 1,
    calls: int = 0,
) -> Callable[[], Any]:
    """Returns a whole training step: draw, mix, forward, backward, update.

    Args:
      model: Name of a network.
      inputs: Shape of one example.
      classes: K.
      batch_size: Examples.
      overrides: Of the network's fields.
      alpha: 0 for ERM.
      adam: Adam at 1e-3 rather than SGD with momentum and weight decay.
      examples: Of the data set; None for eight batches.
      steps_per_call: That a call of the compiled program takes.
      calls: Of it, each from where the one before ended and none waited for, as in
        training; 0 for one from the first state, whatever came before.
    """
    recipe = _recipe(
        models.create(model, classes, **overrides), classes, batch_size, alpha, adam
    )
    placement = Placement("shard_map")
    variables = models.initialise(recipe.network, jax.random.key(0), inputs)
    one = functools.partial(train_step, recipe)
    program = several(one, steps_per_call, variables["params"])
    run = placement.parallelise(program, donate_state=calls > 0)
    opt_state = recipe.optimizer.init(variables["params"])
    state = placement.replicate(initial_state(variables, opt_state))
    data = placement.replicate(
        _data(inputs, classes, examples or 8 * batch_size, alpha)
    )
    share = Share(placement.positions(batch_size))

    def in_a_row() -> Any:
        nonlocal state
        for _ in range(calls):
            state = run(state, data, share)
        return state

    return in_a_row if calls else lambda: run(state, data, share)


def _recipe(
    network: nn.Module, classes: int, batch_size: int, alpha: float, adam: bool
) -> TrainRecipe:
    optimizer = (
        make_optimizer("adam", 1e-3)
        if adam
        else make_optimizer("sgd", 0.1, weight_decay=1e-4)
    )
    return TrainRecipe(
        network,
        optimizer,
        lambda keys, x: x.astype(jnp.float32) / 128 - 1,
        num_classes=classes,
        batch_size=batch_size,
        steps_per_epoch=8,
        epochs=100,
        vicinity=Vicinity(alpha=alpha),
    )


def _data(inputs: tuple[int, ...], classes: int, count: int, alpha: float) -> TrainData:
    rng = np.random.default_rng(0)
    return TrainData(
        rng.integers(0, 256, (count, *inputs), np.uint8),
        rng.integers(0, classes, count, np.int32),
        np.arange(count, dtype=np.int32),
        jax.random.key(0),
        np.array(alpha, np.float32),
    )
