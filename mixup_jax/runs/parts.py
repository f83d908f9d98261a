"""The parts of a run, built from its config: data, network, step, evaluators."""

import functools
from collections.abc import Iterator

import jax
import numpy as np
import optax

from mixup_jax import models
from mixup_jax.data.corruption import Corruption, corrupt_labels
from mixup_jax.data.dataset import Dataset, ImageDataset, ImageSplit, Split
from mixup_jax.data.images.boxes import Crop
from mixup_jax.data.images.stream import ImageStream
from mixup_jax.data.neighbour_cache import cached_neighbours
from mixup_jax.data.preprocessing import Preprocessing
from mixup_jax.randomness import Purpose, purpose_key
from mixup_jax.runs.config import RunConfig
from mixup_jax.training.loop import Evaluator, Meter, Stream, train_steps
from mixup_jax.training.optimizer import make_optimizer
from mixup_jax.training.order import Order
from mixup_jax.training.placement import AXIS, Placement
from mixup_jax.training.recipe import EvalRecipe, TrainRecipe
from mixup_jax.training.state import TrainState, initial_state
from mixup_jax.training.step import eval_step, train_step
from mixup_jax.training.step_data import EvalData, TrainData
from mixup_jax.vicinity.neighbours import Neighbours


class Parts:
    """What a run trains and evaluates with; sets of arrays lie on the devices.

    Attributes:
      config: Valid for the data set, see `checks`.
      dataset: On the host.
      inputs: How its examples become the network's.
      placement: Devices.
      corruption: Labels that are trained on.
      steps_per_epoch: The short last one included, unless it is dropped.
      schedule: Learning rate as a function of the step.
      order: Of the training set.
    """

    def __init__(
        self,
        config: RunConfig,
        dataset: Dataset | ImageDataset,
        inputs: Preprocessing,
        placement: Placement,
        *,
        data_dir: str | None = None,
        workers: int = 0,
    ):
        self.config, self.dataset, self.placement = config, dataset, placement
        self.inputs, self._workers = inputs, workers
        labels = dataset.train.labels
        self.steps_per_epoch = config.steps_per_epoch(len(labels))
        self.schedule = config.schedule(self.steps_per_epoch)
        self._root = jax.random.key(config.seed)
        self.order = Order(
            self._root, len(labels), config.batch_size, self.steps_per_epoch
        )
        self.corruption: Corruption = corrupt_labels(
            labels,
            config.corruption,
            dataset.num_classes,
            seed=config.corruption_seed,
            rule=config.corruption_rule,
        )
        self._inputs = placement.replicate(_arrays(dataset.train))
        self._labels = placement.replicate(self.corruption.labels)
        self._neighbours = self._find_neighbours(data_dir)

    def _find_neighbours(self, data_dir: str | None) -> Neighbours | None:
        config, dataset = self.config, self.dataset
        if not config.needs_neighbours or isinstance(dataset, ImageDataset):
            return None
        same_class = config.pairing.startswith("same_class")
        return cached_neighbours(
            dataset,
            config.neighbours,
            labels=self.corruption.labels if same_class else None,
            data_dir=data_dir,
        )

    def initial_state(self) -> TrainState:
        """Returns the state before the first step, on one device."""
        key = purpose_key(self._root, Purpose.INIT)
        network = self.config.network(self.dataset.num_classes)
        variables = models.initialise(network, key, self.inputs.shape)
        opt_state = self._optimizer().init(variables["params"])
        return initial_state(variables, opt_state, ema=self.config.ema > 0)

    def _optimizer(self) -> optax.GradientTransformation:
        config = self.config
        return make_optimizer(
            config.optimizer,
            self.schedule,
            momentum=config.momentum,
            nesterov=config.nesterov,
            weight_decay=config.weight_decay,
            decay_norm=config.decay_norm,
        )

    def recipe(self) -> TrainRecipe:
        """Returns what a training step is made of."""
        config = self.config
        return TrainRecipe(
            config.network(self.dataset.num_classes, AXIS),
            self._optimizer(),
            self.inputs.prepare,
            num_classes=self.dataset.num_classes,
            batch_size=config.batch_size,
            steps_per_epoch=self.steps_per_epoch,
            epochs=config.epochs,
            vicinity=config.vicinity,
            finish=self.inputs.finish,
            parts=config.accumulate,
            remat=config.remat,
            ema=config.ema,
        )

    def train_data(self, order: np.ndarray) -> TrainData:
        """Returns what a step reads, with these indices for the epoch's order."""
        rest = (order, self._root, np.float32(self.config.alpha), self._neighbours)
        return TrainData(self._inputs, self._labels, *self.placement.replicate(rest))

    def steps(
        self,
        state: TrainState,
        meter: Meter | None = None,
        *,
        steps_per_call: int | None = None,
    ) -> Iterator[tuple[int, TrainState]]:
        """Trains from `state` to the end, yielding as `train_steps` does.

        Steps per call are the config's unless they are given.
        """
        return train_steps(
            functools.partial(train_step, self.recipe()),
            state,
            self.train_data(np.zeros(len(self._labels), np.int32)),
            self.placement,
            order=self.order,
            epochs=self.config.epochs,
            stream=self.stream(self.dataset.train, seed=self.config.seed),
            meter=meter,
            steps_per_call=steps_per_call or self.config.steps_per_call,
        )

    def evaluators(self) -> dict[str, Evaluator]:
        """Returns those of the splits; in "train", group 1 has the corrupted labels."""
        dataset, corrupted = self.dataset, self.corruption.mask.astype(np.int32)
        sets = {
            "test": self._eval_data(dataset.test),
            "train": self._eval_data(dataset.train)._replace(
                inputs=self._inputs, labels=self._labels, group=corrupted
            ),
        }
        if dataset.validation is not None:
            sets["validation"] = self._eval_data(dataset.validation)
        network = self.config.network(dataset.num_classes)
        recipe = EvalRecipe(network, self.inputs.evaluate, groups=2)
        return {
            name: Evaluator(
                functools.partial(eval_step, recipe),
                self.placement.replicate(data),
                self.placement,
                batch_size=self.config.eval_batch_size,
                stream=self.stream(getattr(dataset, name), seed=None),
            )
            for name, data in sets.items()
        }

    def _eval_data(self, split: Split | ImageSplit) -> EvalData:
        zero = np.zeros((), np.int32)
        return EvalData(_arrays(split), split.labels, 0 * split.labels, zero)

    def stream(self, split: Split | ImageSplit, *, seed: int | None) -> Stream | None:
        """Returns where a split's inputs come from, None if they are in memory.

        Without a seed they are cut as for evaluation.
        """
        if isinstance(split, Split):
            return None
        config = self.config
        crop = Crop(
            config.image_size, config.shorter_side, config.crop_area, config.flip
        )
        return ImageStream(split.images, crop, seed=seed, workers=self._workers)


def _arrays(split: Split | ImageSplit) -> np.ndarray | None:
    return split.inputs if isinstance(split, Split) else None
