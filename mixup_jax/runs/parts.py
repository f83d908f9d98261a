"""The parts of a run, built from its config: data, network, step, evaluators."""

import functools
from collections.abc import Iterator

import jax
import numpy as np
import optax

from mixup_jax import models
from mixup_jax.data.augment import augment, normalise
from mixup_jax.data.corruption import corrupt_labels
from mixup_jax.data.dataset import Dataset
from mixup_jax.data.neighbour_cache import cached_neighbours
from mixup_jax.errors import UsageError
from mixup_jax.randomness import Purpose, purpose_key
from mixup_jax.runs.config import RunConfig
from mixup_jax.training.loop import Evaluator, train_steps
from mixup_jax.training.optimizer import make_optimizer
from mixup_jax.training.order import Order
from mixup_jax.training.placement import AXIS, Placement
from mixup_jax.training.state import TrainState, initial_state
from mixup_jax.training.step import EvalRecipe, TrainRecipe, eval_step, train_step
from mixup_jax.training.step_data import EvalData, TrainData
from mixup_jax.vicinity.neighbours import Neighbours


def check_batches(config: RunConfig, placement: Placement, examples: int) -> None:
    """Raises UsageError unless every batch divides over devices and ghost groups."""
    placement.check_divisible(config.batch_size, "batch_size")
    if config.drop_last and 0 < examples < config.batch_size:
        raise UsageError(
            f"drop_last leaves nothing: {examples} training examples are fewer than "
            f"batch_size {config.batch_size}"
        )
    rest = examples % config.batch_size
    if rest and not config.drop_last:
        try:
            placement.check_divisible(rest, "the last batch of an epoch")
        except UsageError as error:
            raise UsageError(f"{error}, or set drop_last") from error
    for size in (config.batch_size, 0 if config.drop_last else rest):
        share = size // len(placement.devices)
        if config.ghost_batch_norm and share % config.ghost_batch_norm:
            raise UsageError(
                f"ghost_batch_norm {config.ghost_batch_norm} does not divide the "
                f"{share} examples of a device (of a batch of {size}); change one of "
                "them, or set drop_last if it is the last batch"
            )


def check_vicinity(config: RunConfig, dataset: Dataset) -> None:
    """Raises UsageError unless the data can be mixed as the config says."""
    if dataset.train.inputs.dtype == np.int16:
        raise UsageError(
            f"{dataset.name} holds sounds, which whole runs do not take yet; in a loop "
            "of your own, mixup_jax.data.speech.spectrograms makes them a network's"
        )
    examples, shape = len(dataset.train.labels), dataset.train.inputs.shape[1:]
    if config.needs_neighbours and config.neighbours >= examples:
        raise UsageError(
            f"neighbours must be fewer than the {examples} training examples, got "
            f"{config.neighbours}"
        )
    if config.cutmix_probability and len(shape) != 3:
        raise UsageError(
            f"CutMix needs images [height, width, channels], and an example of "
            f"{dataset.name} has shape {shape}; set cutmix_probability to 0"
        )


class Parts:
    """What a run trains and evaluates with; the sets lie on the devices.

    Attributes:
      config: Valid for the data set, see `check_batches`.
      dataset: On the host.
      placement: Devices.
      steps_per_epoch: The short last one included, unless it is dropped.
      schedule: Learning rate as a function of the step.
    """

    def __init__(
        self,
        config: RunConfig,
        dataset: Dataset,
        placement: Placement,
        *,
        data_dir: str | None = None,
    ):
        self.config, self.dataset, self.placement = config, dataset, placement
        train = dataset.train
        self.steps_per_epoch = config.steps_per_epoch(len(train.labels))
        self.schedule = config.schedule(self.steps_per_epoch)
        self._root = jax.random.key(config.seed)
        self._order = Order(
            self._root, len(train.labels), config.batch_size, self.steps_per_epoch
        )
        self._corruption = corrupt_labels(
            train.labels,
            config.corruption,
            dataset.num_classes,
            seed=config.corruption_seed,
        )
        self._inputs = placement.replicate(train.inputs)
        self._labels = placement.replicate(self._corruption.labels)
        self._neighbours = self._find_neighbours(data_dir)

    def _find_neighbours(self, data_dir: str | None) -> Neighbours | None:
        config = self.config
        if not config.needs_neighbours:
            return None
        same_class = config.pairing.startswith("same_class")
        return cached_neighbours(
            self.dataset,
            config.neighbours,
            labels=self._corruption.labels if same_class else None,
            data_dir=data_dir,
        )

    def initial_state(self) -> TrainState:
        """Returns the state before the first step, on one device."""
        key = purpose_key(self._root, Purpose.INIT)
        network = self.config.network(self.dataset.num_classes)
        example = self.dataset.train.inputs.shape[1:]
        variables = models.initialise(network, key, example)
        return initial_state(variables, self._optimizer().init(variables["params"]))

    def _optimizer(self) -> optax.GradientTransformation:
        config = self.config
        return make_optimizer(
            config.optimizer,
            self.schedule,
            momentum=config.momentum,
            nesterov=config.nesterov,
            weight_decay=config.weight_decay,
        )

    def steps(self, state: TrainState) -> Iterator[TrainState]:
        """Trains from `state` to the end; see `train_steps` on donation."""
        config = self.config
        recipe = TrainRecipe(
            config.network(self.dataset.num_classes, AXIS),
            self._optimizer(),
            self._prepare,
            num_classes=self.dataset.num_classes,
            batch_size=config.batch_size,
            steps_per_epoch=self.steps_per_epoch,
            epochs=config.epochs,
            vicinity=config.vicinity,
        )
        order = self.placement.replicate(np.zeros(len(self._labels), np.int32))
        rest = self.placement.replicate(
            (self._root, np.float32(config.alpha), self._neighbours)
        )
        return train_steps(
            functools.partial(train_step, recipe),
            state,
            TrainData(self._inputs, self._labels, order, *rest),
            self.placement,
            order=self._order,
            epochs=config.epochs,
        )

    def _prepare(self, keys, inputs):
        if self.config.crop_pad or self.config.flip:
            inputs = augment(
                keys, inputs, pad=self.config.crop_pad, flip=self.config.flip
            )
        return self._normalise(inputs)

    def _normalise(self, inputs):
        return normalise(inputs, self.dataset.mean, self.dataset.std)

    def evaluators(self) -> dict[str, Evaluator]:
        """Returns those of "test" and "train"; group 1 has the corrupted labels."""
        network = self.config.network(self.dataset.num_classes)
        recipe = EvalRecipe(network, self._normalise, groups=2)
        zero = np.zeros((), np.int32)
        test = self.dataset.test
        groups = np.zeros(len(test.labels), np.int32)
        sets = {
            "test": EvalData(test.inputs, test.labels, groups, zero),
            "train": EvalData(
                self._inputs, self._labels, self._corruption.mask.astype(np.int32), zero
            ),
        }
        return {
            name: Evaluator(
                functools.partial(eval_step, recipe),
                self.placement.replicate(data),
                self.placement,
                batch_size=self.config.eval_batch_size,
            )
            for name, data in sets.items()
        }
