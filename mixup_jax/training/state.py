"""Everything that a run must keep to continue: all of it is saved, nothing else is."""

from typing import Any

import jax.numpy as jnp
from flax import struct

from mixup_jax.types import PyTree

# A scalar array, or what stands in its place in a tree of shapes or shardings.
Scalar = Any


class TrainState(struct.PyTreeNode):
    """State between two steps; replicated over devices.

    Attributes:
      step: Steps taken; position in the data order and source of all random keys.
      params: The network's.
      batch_stats: Running mean and variance of batch norm.
      opt_state: The optimizer's.
      loss_sum: Sum of the training loss over the examples of the current epoch, so
        that an epoch interrupted half-way still reports the loss of the whole.
      seen: Examples in that sum.
      bad_step: First step whose loss was not finite; -1 if none was.
      ema: Moving average of the parameters, where there is to be one.
    """

    step: Scalar
    params: PyTree
    batch_stats: PyTree
    opt_state: PyTree
    loss_sum: Scalar
    seen: Scalar
    bad_step: Scalar
    ema: PyTree = None

    @property
    def variables(self) -> dict[str, PyTree]:
        """The network's variables to evaluate, as `network.apply` takes them."""
        params = self.params if self.ema is None else self.ema
        return {"params": params, "batch_stats": self.batch_stats}


def initial_state(
    variables: PyTree, opt_state: PyTree, *, ema: bool = False
) -> TrainState:
    """Returns the state before the first step; `ema` if parameters are averaged."""
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        params=variables["params"],
        batch_stats=variables.get("batch_stats", {}),
        opt_state=opt_state,
        loss_sum=jnp.zeros((), jnp.float32),
        seen=jnp.zeros((), jnp.int32),
        bad_step=-jnp.ones((), jnp.int32),
        ema=variables["params"] if ema else None,
    )
