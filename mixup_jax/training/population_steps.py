"""What a population compiles: its start, and an epoch with the evaluation after it.

Seeds are the outer axis, the members of a seed the inner one. All members are at the
same step, so that what depends on seed and step alone is drawn once for a seed.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from jaxtyping import Array, Float, Int, Shaped

from mixup_jax.evaluation.classification import Sums
from mixup_jax.randomness import Purpose, purpose_key
from mixup_jax.training.placement import AXIS
from mixup_jax.training.recipe import EvalRecipe, TrainRecipe
from mixup_jax.training.starts import initial_variables
from mixup_jax.training.state import TrainState, initial_state
from mixup_jax.training.step import eval_step, train_step
from mixup_jax.training.step_data import EvalData, Share, TrainData
from mixup_jax.types import PyTree
from mixup_jax.vicinity.neighbours import Neighbours

_STATE: Any = TrainState(
    step=None, params=0, batch_stats=0, opt_state=0, loss_sum=0, seen=None, bad_step=0
)


class SeedData(NamedTuple):
    """What each seed is trained on; its own, though the number of examples is one.

    `root` are the runs' keys, `jax.random.key(seed)`; for the rest see `TrainData`.
    Inputs that seeds standardise differently come standardised.
    """

    inputs: Shaped[Array | np.ndarray, "seeds N ..."]
    labels: Int[Array | np.ndarray, "seeds N"]
    root: Shaped[Array, " seeds *key"]
    neighbours: Neighbours | None = None


class SeedSet(NamedTuple):
    """A set that each seed is evaluated on; see `EvalData`."""

    inputs: Shaped[Array | np.ndarray, "seeds N ..."]
    labels: Int[Array | np.ndarray, "seeds N"]
    group: Int[Array | np.ndarray, "seeds N"]


def decayed(optimizer: optax.GradientTransformation) -> optax.GradientTransformation:
    """Puts in front a weight decay that is part of the state, so that members differ.

    L2, added to the gradient, as in `make_optimizer`. The state is (decay, the rest).
    """

    def init(params):
        return jnp.zeros(()), optimizer.init(params)

    def update(updates, state, params=None):
        decay, rest = state
        updates = jax.tree.map(lambda grad, w: grad + decay * w, updates, params)
        updates, rest = optimizer.update(updates, rest, params)
        return updates, (decay, rest)

    return optax.GradientTransformation(init, update)


@dataclasses.dataclass(frozen=True)
class PopulationSteps:
    """The steps of all members.

    Attributes:
      recipe: Of all members; with weight decays of their own, its optimizer is
        `decayed`.
      evaluation: Likewise.
      eval_batch_size: Examples of a set that are evaluated at once.
      inputs: Shape of one example.
    """

    recipe: TrainRecipe
    evaluation: EvalRecipe
    eval_batch_size: int
    inputs: tuple[int, ...]

    def start(
        self,
        root: Shaped[Array, " seeds *key"],
        alpha: Float[Array, " members"],
        weight_decay: Float[Array, " members"] | None,
    ) -> TrainState:
        """Returns the state before the first step."""

        def member(variables: PyTree, decay: Array | None) -> TrainState:
            opt_state: Any = self.recipe.optimizer.init(variables["params"])
            if decay is not None:
                opt_state = (decay, *opt_state[1:])
            return initial_state(variables, opt_state)

        keys = jax.vmap(lambda root: purpose_key(root, Purpose.INIT))(root)
        variables = initial_variables(self.recipe.network, keys, self.inputs)
        of_seed = jax.vmap(member, (None, 0), _STATE, axis_size=len(alpha))
        return jax.vmap(of_seed, (0, None), _STATE)(variables, weight_decay)

    def epoch(
        self,
        state: TrainState,
        data: SeedData,
        alpha: Float[Array, " members"],
        sets: Mapping[str, SeedSet],
    ) -> tuple[TrainState, Float[Array, "seeds members"], dict[str, Sums]]:
        """Trains for an epoch; returns the mean training loss and sums of each set."""
        steps, size = self.recipe.steps_per_epoch, self.recipe.batch_size
        examples = data.labels.shape[1]
        order = _orders(data.root, state.step // steps, examples)
        whole = min(steps, examples // size)

        def step(state: TrainState, size: int) -> TrainState:
            share = Share(jnp.arange(size, dtype=jnp.int32))
            of_seed = jax.vmap(self._train, (_STATE, None, None, 0, None), _STATE)
            of_all = jax.vmap(of_seed, (_STATE, 0, 0, None, None), _STATE)
            return of_all(state, data, order, alpha, share)

        state, _ = lax.scan(
            lambda state, _: (step(state, size), None), state, length=whole
        )
        if steps > whole:
            state = step(state, examples - whole * size)
        sums = {name: self._evaluate(state, chosen) for name, chosen in sets.items()}
        return state, state.loss_sum / state.seen, sums

    def _train(
        self,
        state: TrainState,
        data: SeedData,
        order: Array,
        alpha: Array,
        share: Share,
    ) -> TrainState:
        inputs, labels, root, neighbours = data
        step = _on_one_device(functools.partial(train_step, self.recipe))
        return step(
            state, TrainData(inputs, labels, order, root, alpha, neighbours), share
        )

    def _evaluate(self, state: TrainState, chosen: SeedSet) -> Sums:
        examples = chosen.labels.shape[1]
        size = min(self.eval_batch_size, examples)
        share = Share(jnp.arange(size, dtype=jnp.int32))
        step = _on_one_device(functools.partial(eval_step, self.evaluation))

        def count(variables: PyTree, chosen: SeedSet, start: Array) -> Sums:
            return step(variables, EvalData(*chosen, start), share)

        of_seed = jax.vmap(count, (0, None, None))
        of_all = jax.vmap(of_seed, (0, 0, None))
        starts = jnp.arange(0, examples, size, dtype=jnp.int32)
        sums = lax.map(lambda start: of_all(state.variables, chosen, start), starts)
        # Counts are exact in float32 up to 2**24.
        return jax.tree.map(lambda batches: batches.sum(axis=0), sums)


def _on_one_device(step: Callable) -> Callable:
    """A device's step where there is one device: no array has an axis for it."""
    return jax.vmap(
        step, in_axes=(None, None, None), out_axes=None, axis_name=AXIS, axis_size=1
    )


def _orders(
    root: Shaped[Array, " seeds *key"], epoch: Int[Array, ""], examples: int
) -> Int[Array, "seeds N"]:
    # As `Order.epoch`, which returns to the host and so cannot be traced.
    def order(root: Array) -> Array:
        key = purpose_key(root, Purpose.ORDER, epoch)
        return jax.random.permutation(key, examples).astype(jnp.int32)

    return jax.vmap(order)(root)
