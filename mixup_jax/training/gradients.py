"""Gradients of a part of a batch, with little memory where asked for; averages."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Shaped

from mixup_jax.losses import soft_cross_entropy
from mixup_jax.models.layers import KEPT
from mixup_jax.training.recipe import TrainRecipe
from mixup_jax.training.state import TrainState
from mixup_jax.training.vicinal import BeforeStage
from mixup_jax.types import Batch, PyTree


def gradients(
    recipe: TrainRecipe,
    state: TrainState,
    before_stage: BeforeStage | None,
    batch: Batch,
    keys: Shaped[Array, " b *key"],
) -> tuple[Array, PyTree, PyTree]:
    """Returns loss, batch statistics and gradients of a part of the batch."""

    apply = forward(recipe, state, before_stage, keys)

    def loss_of(params: PyTree) -> tuple[Array, PyTree]:
        logits, updates = apply(params, batch.inputs)
        loss = soft_cross_entropy(logits, batch.targets).mean()
        return loss, updates.get("batch_stats", {})

    (loss, stats), grads = jax.value_and_grad(loss_of, has_aux=True)(state.params)
    return loss, stats, grads


def forward(
    recipe: TrainRecipe,
    state: TrainState,
    before_stage: BeforeStage | None,
    keys: Shaped[Array, " b *key"] | None,
) -> Callable[[PyTree, Array], Any]:
    """Returns the network in training: parameters, inputs to logits, statistics."""

    def apply(params: PyTree, inputs: Array) -> Any:
        return recipe.network.apply(
            {"params": params, "batch_stats": state.batch_stats},
            inputs,
            train=True,
            dropout_keys=keys,
            before_stage=before_stage,
            mutable=["batch_stats"],
        )

    if not recipe.remat:
        return apply
    policy = jax.checkpoint_policies.save_only_these_names(KEPT)
    return jax.checkpoint(apply, policy=policy)


def averaged(recipe: TrainRecipe, state: TrainState, params: PyTree) -> PyTree:
    """The moving average after a step; that of a young one forgets faster.

    As in timm and tensorflow: min(decay, (1 + t) / (10 + t)) at step t.
    """
    if not recipe.ema:
        return None
    step = state.step.astype(jnp.float32)
    decay = jnp.minimum(recipe.ema, (1 + step) / (10 + step))
    return jax.tree.map(
        lambda old, new: old + (1 - decay) * (new - old), state.ema, params
    )
