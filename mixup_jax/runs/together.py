"""Runs of small networks that differ in little, trained in one compiled program.

Each is what `run` would make of the same config, up to rounding: same start, order,
lambdas and partners (see `training.population`). They leave no directories.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from mixup_jax.data.corruption import corrupt_labels
from mixup_jax.data.dataset import Dataset, Split
from mixup_jax.data.neighbour_cache import cached_neighbours
from mixup_jax.data.preprocessing import Preprocessing, preprocessing
from mixup_jax.errors import RunError
from mixup_jax.evaluation.classification import epoch_errors
from mixup_jax.runs.checks import check_vicinity
from mixup_jax.runs.config import RunConfig
from mixup_jax.runs.directory import Row
from mixup_jax.runs.runner import load_dataset
from mixup_jax.runs.session import Session
from mixup_jax.training.optimizer import make_optimizer
from mixup_jax.training.population import Population, train_population
from mixup_jax.training.population_steps import SeedData, SeedSet
from mixup_jax.training.recipe import EvalRecipe, TrainRecipe
from mixup_jax.vicinity.neighbours import Neighbours

# What members of a population may differ in: the first three with the seed.
_OF_SEED = ("seed", "corruption_seed", "split_seed")
_OF_MEMBER = ("alpha", "weight_decay")
_CHUNK = 500  # examples whose inputs are prepared at once


def kind(config: RunConfig) -> RunConfig | None:
    """Returns what configs have in common that can be trained together.

    None for those that must be run one by one: convolutions are slow in a scan on a
    CPU, and augmentation happens here once, before training.
    """
    if config.model != "mlp" or config.crop_pad or config.flip or config.image_size:
        return None
    if config.mix_at == "waveforms" or config.sync_batch_norm or config.ema:
        return None
    # ERM is mixup with alpha 0, where nothing else is asked of mixing.
    same: dict[str, Any] = dict.fromkeys(_OF_SEED, 0) | dict.fromkeys(_OF_MEMBER, 0.0)
    # A population takes whole epochs at once.
    return dataclasses.replace(config, **same, steps_per_call=1)


def run_together(
    configs: Sequence[RunConfig],
    session: Session,
    *,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> list[Row]:
    """Trains all configs and returns the measures of each, as result.json has them.

    Args:
      configs: Of one `kind`.
      session: Where data sets are.
      report: Called with the epochs done and to do.

    Raises:
      UsageError: If a config or its data are not right.
      RunError: If a member's loss was not finite.
    """
    for config in configs:
        config.validate()
    seeds = sorted({_of(config, _OF_SEED) for config in configs})
    members = sorted({_of(config, _OF_MEMBER) for config in configs})
    by_seed = {_of(config, _OF_SEED): config for config in configs}
    loaded = [_Loaded(by_seed[seed], session) for seed in seeds]
    population = _train(loaded, members, configs[0], report)
    return [
        _measures(
            population,
            (
                seeds.index(_of(config, _OF_SEED)),
                members.index(_of(config, _OF_MEMBER)),
            ),
            loaded[0].dataset.title,
            config,
        )
        for config in configs
    ]


def _of(config: RunConfig, names: tuple[str, ...]) -> tuple:
    return tuple(getattr(config, name) for name in names)


class _Loaded:
    """The data of one seed, as its networks read them."""

    def __init__(self, config: RunConfig, session: Session):
        dataset = load_dataset(config, session)
        assert isinstance(dataset, Dataset)  # `kind` has no streamed ones
        self.config, self.dataset, self.session = config, dataset, session
        inputs = preprocessing(dataset, config.data, mix_at=config.mix_at)
        check_vicinity(config, dataset, inputs)
        config.check_network(inputs.shape, dataset.num_classes)
        self.corruption = corrupt_labels(
            dataset.train.labels,
            config.corruption,
            dataset.num_classes,
            seed=config.corruption_seed,
            rule=config.corruption_rule,
        )
        splits = {"test": dataset.test}
        if dataset.validation is not None:
            splits["validation"] = dataset.validation
        self.inputs = _prepared(inputs, dataset.train)
        self.sets = {
            name: SeedSet(
                _prepared(inputs, split), split.labels, np.zeros_like(split.labels)
            )
            for name, split in splits.items()
        }
        mask = self.corruption.mask.astype(np.int32)
        self.sets["train"] = SeedSet(self.inputs, self.corruption.labels, mask)

    def neighbours(self) -> Neighbours | None:
        config = self.config
        if not config.pairing.endswith("neighbours"):
            return None
        same_class = config.pairing.startswith("same_class")
        return cached_neighbours(
            self.dataset,
            config.neighbours,
            labels=self.corruption.labels if same_class else None,
            data_dir=self.session.data_dir,
        )


def _prepared(inputs: Preprocessing, split: Split) -> np.ndarray:
    evaluate = jax.jit(inputs.evaluate)
    parts = range(0, len(split.labels), _CHUNK)
    return np.concatenate(
        [np.asarray(evaluate(split.inputs[i : i + _CHUNK])) for i in parts]
    )


def _train(
    loaded: list[_Loaded],
    members: list[tuple],
    config: RunConfig,
    report: Callable[[int, int], None],
) -> Population:
    alphas, decays = (
        np.array(column, np.float32) for column in zip(*members, strict=True)
    )
    examples, classes = len(loaded[0].inputs), loaded[0].dataset.num_classes
    steps = config.steps_per_epoch(examples)
    network = config.network(classes)
    recipe = TrainRecipe(
        network,
        make_optimizer(
            config.optimizer,
            config.schedule(steps),
            momentum=config.momentum,
            nesterov=config.nesterov,
        ),
        lambda keys, stored: stored,
        num_classes=classes,
        batch_size=config.batch_size,
        steps_per_epoch=steps,
        epochs=config.epochs,
        vicinity=dataclasses.replace(config.vicinity, alpha=float(alphas.max())),
    )
    roots = jax.vmap(jax.random.key)(np.array([each.config.seed for each in loaded]))
    data = SeedData(
        np.stack([each.inputs for each in loaded]),
        np.stack([each.corruption.labels for each in loaded]),
        roots,
        _stacked([each.neighbours() for each in loaded]),
    )
    return train_population(
        recipe,
        EvalRecipe(network, lambda stored: stored, groups=2),
        data,
        _stacked([each.sets for each in loaded]),
        alpha=alphas,
        weight_decay=decays if decays.any() else None,
        eval_batch_size=config.eval_batch_size,
        report=report,
    )


def _stacked(trees: list[Any]) -> Any:
    return jax.tree.map(lambda *leaves: np.stack(leaves), *trees)


def _measures(
    population: Population, place: tuple[int, int], data: str, config: RunConfig
) -> Row:
    if (step := int(population.bad_step[place])) >= 0:
        raise RunError(
            f"the training loss was not finite at step {step} (seed {config.seed}, "
            f"alpha {config.alpha}); lower the learning rate ({config.learning_rate})"
        )
    tests = population.errors("test")[place]
    errors = epoch_errors(list(map(float, tests)))
    row: Row = {
        "data": data,
        "test_error_best": errors.best,
        "test_error_last": errors.last,
        "test_error_median_of_last_10": errors.median,
        "train_loss_last": float(population.train_loss[place][-1]),
    }
    if "validation" in population.sums:
        validation = population.errors("validation")[place]
        row["validation_error_best"] = float(validation.min())
        row["validation_error_last"] = float(validation[-1])
        row["test_error_at_best_validation"] = float(tests[validation.argmin()])
    for group, name in enumerate(("train_error_real", "train_error_corrupted")):
        error = float(population.errors("train", group)[place][-1])
        row[name] = None if np.isnan(error) else error
    return row
