"""A tiny training problem that tests of this folder share."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np

from mixup_jax import models
from mixup_jax.training.loop import train_steps
from mixup_jax.training.optimizer import make_optimizer, step_schedule
from mixup_jax.training.order import Order
from mixup_jax.training.placement import AXIS, Placement
from mixup_jax.training.recipe import TrainRecipe
from mixup_jax.training.state import TrainState, initial_state
from mixup_jax.training.step import train_step
from mixup_jax.training.step_data import Share, TrainData
from mixup_jax.vicinity.neighbours import Neighbours
from mixup_jax.vicinity.vicinity import Vicinity

SIZES = {"mlp": {"width": 8}, "densenet_bc190_40": {"depth": 10, "growth": 4}}
NARROW = {"depth": 10, "width": 4}


def make_network(model, axis_name=None, ghost=0):
    sizes = SIZES.get(model, NARROW)
    options = {"axis_name": axis_name, "ghost": ghost}
    return models.create(model, Case.CLASSES, **options, **sizes)


def assert_close(first, second, **tolerance):
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, **tolerance), first, second
    )


@functools.cache
def initial_variables(model):
    return models.initialise(make_network(model), jax.random.key(1), (8, 8, 2))


@dataclasses.dataclass
class Case:
    """40 images of 8x8x2 in 3 classes; batches of 16, so the last has 8."""

    devices: int = 1
    mode: str = "pmap"
    model: str = "mlp"
    alpha: float = 1.0
    sync_batch_norm: bool = False
    epochs: int = 2
    optimizer_name: str = "sgd"
    vicinity: dict = dataclasses.field(default_factory=dict)
    neighbours: Neighbours | None = None
    streamed: bool = False
    ghost: int = 0
    parts: int = 1
    remat: bool = False
    ema: float = 0.0
    steps_per_call: int = 1

    CLASSES = 3
    BATCH = 16
    EXAMPLES = 40
    STEPS_PER_EPOCH = 3

    def __post_init__(self):
        rng = np.random.default_rng(0)
        self.inputs = rng.integers(0, 256, (self.EXAMPLES, 8, 8, 2), np.uint8)
        self.labels = rng.integers(0, self.CLASSES, self.EXAMPLES, np.int32)
        self.placement = Placement(self.mode, tuple(jax.devices()[: self.devices]))
        self.schedule = step_schedule(0.1, (1,), steps_per_epoch=self.STEPS_PER_EPOCH)
        self.optimizer = make_optimizer(
            self.optimizer_name, self.schedule, weight_decay=1e-2
        )

    def network(self, axis_name=None):
        return make_network(self.model, axis_name, self.ghost)

    def prepare(self, keys, inputs):
        # Noise of a strength that depends on the key: a stand-in for augmentation.
        noise = jax.vmap(lambda key: jax.random.normal(key, inputs.shape[1:]))(keys)
        return inputs / 255.0 - 0.5 + 0.01 * noise

    def initial(self) -> TrainState:
        variables = initial_variables(self.model)
        opt_state = self.optimizer.init(variables["params"])
        return initial_state(variables, opt_state, ema=self.ema > 0)

    def step(self):
        axis_name = AXIS if self.sync_batch_norm else None
        recipe = TrainRecipe(
            self.network(axis_name),
            self.optimizer,
            self.prepare,
            num_classes=self.CLASSES,
            batch_size=self.BATCH,
            steps_per_epoch=self.STEPS_PER_EPOCH,
            epochs=self.epochs,
            vicinity=Vicinity(alpha=self.alpha, **self.vicinity),
            parts=self.parts,
            remat=self.remat,
            ema=self.ema,
        )
        return functools.partial(train_step, recipe)

    @property
    def order(self):
        return Order(self.root, self.EXAMPLES, self.BATCH, self.STEPS_PER_EPOCH)

    def data(self):
        return TrainData(
            None if self.streamed else jnp.asarray(self.inputs),
            jnp.asarray(self.labels),
            jnp.zeros(self.EXAMPLES, jnp.int32),
            self.root,
            jnp.float32(self.alpha),
            self.neighbours,
        )

    def compiled(self):
        """The compiled step of a whole batch."""
        share = Share(self.placement.positions(self.BATCH))
        run = self.placement.parallelise(self.step())
        state, data = map(self.placement.replicate, (self.initial(), self.data()))
        return run.lower(state, data, share).compile()

    def steps(self, state: TrainState | None = None):
        return (after for _, after in self.calls(state))

    def calls(self, state: TrainState | None = None):
        state = self.placement.replicate(state or self.initial())
        return train_steps(
            self.step(),
            state,
            self.placement.replicate(self.data()),
            self.placement,
            order=self.order,
            epochs=self.epochs,
            stream=self.stream if self.streamed else None,
            steps_per_call=self.steps_per_call,
        )

    def stream(self, requests):
        return (self.inputs[request.indices] for request in requests)

    @property
    def root(self):
        return jax.random.key(7)

    def train(self, state: TrainState | None = None, steps: int = 10**6) -> TrainState:
        last = state
        for last in self.steps(state):
            if int(last.step) == steps:
                break
        assert last is not None
        return jax.tree.map(np.asarray, last)
