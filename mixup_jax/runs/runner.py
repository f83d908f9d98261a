"""One run from config to result: the place where all parts meet."""

import dataclasses
import functools
import os
from pathlib import Path
from typing import Any

from mixup_jax import data as datasets
from mixup_jax import hosts
from mixup_jax.data.dataset import Dataset, ImageDataset
from mixup_jax.data.images.conversion import in_memory, streamed
from mixup_jax.data.preprocessing import preprocessing
from mixup_jax.errors import UsageError
from mixup_jax.runs import weights_and_biases
from mixup_jax.runs.checks import check_batches, check_vicinity
from mixup_jax.runs.config import RunConfig
from mixup_jax.runs.directory import Row, RunDirectory, open_directory
from mixup_jax.runs.environment import environment
from mixup_jax.runs.execution import Execution
from mixup_jax.runs.parts import Parts
from mixup_jax.runs.session import Session
from mixup_jax.training.placement import Placement


def run(config: RunConfig, workdir: str | os.PathLike, session: Session) -> Row:
    """Trains and evaluates, or continues where an earlier call stopped.

    Args:
      config: What to run.
      workdir: Directory of this run's files.
      session: How to run it.

    Returns:
      The content of result.json.

    Raises:
      UsageError: If the config, the data or the workdir are not right; before any
        training starts.
      RunError: If training diverged or the disk failed; what was saved is kept.
      Interrupted: After a signal, once everything is saved.
    """
    if not hosts.is_main():
        session = dataclasses.replace(session, report=lambda line: None, quiet=True)
    # Data first: a missing file must not leave an empty run behind.
    checked = _checked(config, session)
    directory = RunDirectory(Path(workdir).resolve())
    hosts.on_main(lambda: open_directory(workdir, config, environment()) and None)
    if result := hosts.on_main(directory.result):
        session.report(f"already finished: {directory.path / 'result.json'}")
        return result
    if late := [drop for drop in config.lr_drops if drop >= config.epochs]:
        session.report(f"lr_drops {late} come after the last epoch, {config.epochs}")
    parts = _parts(config, checked, session)
    if config.corruption:
        hosts.on_main(lambda: directory.write_corruption(parts.corruption))
    return Execution(parts, directory, session).finish()


def build(config: RunConfig, session: Session) -> Parts:
    """Returns the parts of a run without carrying it out.

    Raises:
      UsageError: See `run`.
    """
    return _parts(config, _checked(config, session), session)


def _checked(config: RunConfig, session: Session) -> tuple[Any, Any, Placement]:
    """Returns data, preprocessing and devices, once all goes together."""
    config.validate()
    for name, least in (("checkpoint_every", 1), ("workers", 0), ("profile", 0)):
        if (value := getattr(session, name)) < least:
            raise UsageError(f"{name} must be at least {least}, got {value}")
    if session.wandb:
        hosts.on_main(lambda: weights_and_biases.check(session.wandb))
    placement = Placement(session.parallel)
    # First what can be told without the data, which may take minutes to prepare.
    check_batches(config, placement, config.train_examples)
    dataset = load_dataset(config, session)
    check_batches(config, placement, len(dataset.train.labels))
    inputs = preprocessing(dataset, config.data, mix_at=config.mix_at)
    check_vicinity(config, dataset, inputs)
    config.check_network(inputs.shape, dataset.num_classes)
    return dataset, inputs, placement


def _parts(
    config: RunConfig, checked: tuple[Any, Any, Placement], session: Session
) -> Parts:
    return Parts(
        *(config, *checked), data_dir=session.data_dir, workers=session.workers
    )


def load_dataset(config: RunConfig, session: Session) -> Dataset | ImageDataset:
    """Returns the config's data set, cut to the examples it asks for.

    With `image_size` its images are streamed, else they are in memory.
    """
    load = functools.partial(
        datasets.load,
        config.dataset,
        data_dir=session.data_dir,
        manual_dir=session.manual_dir,
        **config.data.source_options,
    )
    dataset = hosts.main_first(load)
    dataset = datasets.take(
        dataset, train=config.train_examples, test=config.test_examples
    )
    return streamed(dataset) if config.image_size else in_memory(dataset)
