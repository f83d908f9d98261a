"""One run from config to result: the place where all parts meet."""

import dataclasses
import functools
import io
import math
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from mixup_jax import data as datasets
from mixup_jax import hosts
from mixup_jax.data.dataset import Dataset, ImageDataset
from mixup_jax.data.images.conversion import in_memory, streamed
from mixup_jax.data.preprocessing import preprocessing
from mixup_jax.errors import RunError, UsageError
from mixup_jax.evaluation.classification import (
    epoch_errors,
    error_rate,
    mean_loss,
    top5_error_rate,
)
from mixup_jax.runs.checkpoint import params_sha256
from mixup_jax.runs.checks import check_batches, check_vicinity
from mixup_jax.runs.config import RunConfig
from mixup_jax.runs.directory import Row, RunDirectory, open_directory
from mixup_jax.runs.environment import environment
from mixup_jax.runs.interrupt import Interrupted, StopRequest, stop_requests
from mixup_jax.runs.keeper import Keeper
from mixup_jax.runs.parts import Parts
from mixup_jax.runs.progress import Progress
from mixup_jax.training.loop import Evaluator
from mixup_jax.training.placement import Placement
from mixup_jax.training.state import TrainState

# Between looks at whether the loss is finite.
_SECONDS_BETWEEN_CHECKS = 2.0
_STEPS_BETWEEN_CHECKS = 50

# By group of the training set; null in the files where the group is empty.
_TRAIN_ERRORS = ("train_error_real", "train_error_corrupted")


@dataclasses.dataclass(frozen=True)
class Session:
    """How and where a run is carried out; nothing here can change its result.

    Attributes:
      parallel: "pmap" or "shard_map".
      data_dir: Of prepared tensorflow-datasets; None for their default.
      manual_dir: Where archives that a person has downloaded lie; None for none.
      checkpoint_every: Epochs between checkpoints, beside the best and the last.
      workers: Threads that decode images where they are streamed; 0 for one per
        processor.
      report: Called with each line for the person at the screen.
      quiet: Whether the line that shows an epoch's progress is left out.
    """

    parallel: str = "pmap"
    data_dir: str | None = None
    manual_dir: str | None = None
    checkpoint_every: int = 1
    workers: int = 0
    report: Callable[[str], None] = print
    quiet: bool = False


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
    parts = _parts(config, checked, session)
    if config.corruption:
        hosts.on_main(lambda: directory.write_corruption(parts.corruption))
    return _Run(parts, directory, session).finish()


def build(config: RunConfig, session: Session) -> Parts:
    """Returns the parts of a run without carrying it out.

    Raises:
      UsageError: See `run`.
    """
    return _parts(config, _checked(config, session), session)


def _checked(config: RunConfig, session: Session) -> tuple[Any, Any, Placement]:
    """Returns data, preprocessing and devices, once all goes together."""
    config.validate()
    for name, least in (("checkpoint_every", 1), ("workers", 0)):
        if (value := getattr(session, name)) < least:
            raise UsageError(f"{name} must be at least {least}, got {value}")
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


class _Run:
    """One run under way: what it saves, shows and survives."""

    def __init__(self, parts: Parts, directory: RunDirectory, session: Session):
        self.parts, self.directory, self.session = parts, directory, session
        self.config = parts.config
        self.best_error = math.inf

    def finish(self) -> Row:
        """Trains to the end and writes the result."""
        keeper = Keeper(self.directory)
        try:
            with stop_requests() as request:
                state = self._restored(keeper)
                state = self._train(state, keeper, request)
                result = keeper.finish(functools.partial(self._result, state))
        except OSError as error:
            raise RunError(
                f"cannot write {self.directory.path}: {error}; what was saved before "
                "is kept, run the same command again"
            ) from error
        finally:
            keeper.close()
        return result

    def _restored(self, keeper: Keeper) -> TrainState:
        fresh = self.parts.initial_state()
        state = keeper.restore(fresh, self.session.report)
        rows = keeper.begin(int(state.step) if state is not None else 0)
        self.best_error = min(map(_deciding_error, rows), default=math.inf)
        if state is not None and int(state.step):
            self.session.report(f"continuing from step {int(state.step)}")
        return self.parts.placement.replicate(fresh if state is None else state)

    def _train(
        self, state: TrainState, keeper: Keeper, request: StopRequest
    ) -> TrainState:
        config, step = self.config, int(state.step)
        steps_per_epoch = self.parts.steps_per_epoch
        progress = Progress(
            self.directory.path.name,
            epochs=config.epochs,
            steps_per_epoch=steps_per_epoch,
            first_step=step,
            out=io.StringIO() if self.session.quiet else None,
        )
        evaluate = self.parts.evaluators()
        checks = _Checks()
        for after in self.parts.steps(state):
            state, step = after, step + 1
            progress.step(step, config.batch_size, state)
            if checks.due(step):
                self._check_finite(state)
            if step % steps_per_epoch == 0:
                row = self._row(state, step, evaluate, progress.rate())
                keeper.epoch(row, state, error=self._error_to_save(row))
                progress.epoch(step, _summary(row))
            signum = request.at(step)
            if signum and step < config.epochs * steps_per_epoch:
                self._check_finite(state)
                keeper.stop(state)
                raise Interrupted(signum, step)
        return state

    def _row(
        self, state: TrainState, step: int, evaluate: dict[str, Evaluator], rate: float
    ) -> Row:
        self._check_finite(state)
        config, epoch = self.config, step // self.parts.steps_per_epoch
        test = evaluate["test"](state.variables)
        row: Row = {
            "step": step,
            "epoch": epoch,
            "train_loss": float(state.loss_sum) / int(state.seen),
            "test_loss": mean_loss(test),
            "test_error": error_rate(test),
            "test_error_top5": top5_error_rate(test),
            "learning_rate": float(np.asarray(self.parts.schedule(step - 1))),
            "examples_per_second": round(rate, 1),
            "time": round(time.time(), 3),
        }
        if "validation" in evaluate:
            validation = evaluate["validation"](state.variables)
            row["validation_error"] = error_rate(validation)
        every = config.train_error_every
        if every >= 0 and (epoch == config.epochs or (every and epoch % every == 0)):
            train = evaluate["train"](state.variables)
            for group, name in enumerate(_TRAIN_ERRORS):
                error = error_rate(train, group)
                row[name] = None if math.isnan(error) else error
        return row

    def _error_to_save(self, row: Row) -> float | None:
        """The error of a state that is to be saved after its epoch."""
        error = _deciding_error(row)
        best = error < self.best_error
        self.best_error = min(self.best_error, error)
        due = row["epoch"] % self.session.checkpoint_every == 0
        return error if best or due or row["epoch"] == self.config.epochs else None

    def _check_finite(self, state: TrainState) -> None:
        if (step := int(state.bad_step)) >= 0:
            raise RunError(
                f"the training loss was not finite at step {step}; the checkpoints of "
                f"{self.directory.path} are from before. Lower the learning rate "
                f"(it was {self.config.learning_rate}) or look at the data"
            )

    def _result(self, state: TrainState, rows: list[Row], best: int | None) -> Row:
        tests = epoch_errors([row["test_error"] for row in rows])
        result: Row = {
            "run": self.directory.path.name,
            "data": self.parts.dataset.title,
            "epochs": self.config.epochs,
            "test_error_best": tests.best,
            "test_error_last": tests.last,
            "test_error_median_of_last_10": tests.median,
            "test_error_top5_last": rows[-1]["test_error_top5"],
        }
        if "validation_error" in rows[-1]:
            chosen = min(rows, key=_deciding_error)
            result |= {
                "validation_error_best": chosen["validation_error"],
                "validation_error_last": rows[-1]["validation_error"],
                "test_error_at_best_validation": chosen["test_error"],
            }
        return result | {
            **{name: rows[-1].get(name) for name in _TRAIN_ERRORS},
            "train_loss_last": rows[-1]["train_loss"],
            "best_checkpoint_step": best,
            "params_sha256": params_sha256(state.params),
            "environment": environment(),
        }


class _Checks:
    """When to look at the state, which waits for the device: now and then."""

    def __init__(self):
        self._last = time.monotonic()

    def due(self, step: int) -> bool:
        if hosts.count() > 1:  # whose clocks differ, and who must stop at one step
            return step % _STEPS_BETWEEN_CHECKS == 0
        now = time.monotonic()
        due = now - self._last > _SECONDS_BETWEEN_CHECKS
        if due:
            self._last = now
        return due


def _deciding_error(row: Row) -> float:
    """What the best checkpoint is chosen by: the test error where there is no other."""
    return row.get("validation_error", row["test_error"])


def _summary(row: Row) -> str:
    text = f"train loss {row['train_loss']:.3f}  test error {row['test_error']:.2%}"
    if (validation := row.get("validation_error")) is not None:
        text += f"  validation error {validation:.2%}"
    if (real := row.get("train_error_real")) is not None:
        text += f"  train error {real:.2%}"
    return text
