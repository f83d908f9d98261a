"""One run from config to result: the place where all parts meet."""

import dataclasses
import functools
import math
import os
import platform
import subprocess
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import jax
import numpy as np

from mixup_jax import data as datasets
from mixup_jax import models
from mixup_jax.data.augment import augment, normalise
from mixup_jax.data.corruption import corrupt_labels
from mixup_jax.data.dataset import Dataset
from mixup_jax.errors import RunError, UsageError
from mixup_jax.evaluation.classification import error_rate, mean_loss
from mixup_jax.randomness import Purpose, purpose_key
from mixup_jax.runs.checkpoint import CheckpointStore, params_sha256
from mixup_jax.runs.config import RunConfig
from mixup_jax.runs.directory import Row, RunDirectory, open_directory
from mixup_jax.runs.interrupt import Interrupted, StopRequest, stop_requests
from mixup_jax.runs.progress import Progress
from mixup_jax.training.loop import Evaluator, train_steps
from mixup_jax.training.optimizer import make_optimizer
from mixup_jax.training.placement import AXIS, Placement
from mixup_jax.training.state import TrainState, initial_state
from mixup_jax.training.step import (
    EvalData,
    EvalRecipe,
    TrainData,
    TrainRecipe,
    eval_step,
    train_step,
)

_PACKAGES = ("mixup-jax", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy")

# Looking at the state waits for the device, so not after every step.
_SECONDS_BETWEEN_CHECKS = 2.0


@dataclasses.dataclass(frozen=True)
class Session:
    """How and where a run is carried out; nothing here can change its result.

    Attributes:
      parallel: "pmap" or "shard_map".
      data_dir: Of prepared tensorflow-datasets; None for their default.
      manual_dir: Where archives that a person has downloaded lie; None for none.
      checkpoint_every: Epochs between checkpoints, beside the best and the last.
      report: Called with each line for the person at the screen.
    """

    parallel: str = "pmap"
    data_dir: str | None = None
    manual_dir: str | None = None
    checkpoint_every: int = 1
    report: Callable[[str], None] = print


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
    config.validate()
    placement = Placement(session.parallel)
    if session.checkpoint_every < 1:
        raise UsageError(
            f"checkpoint_every must be at least 1, got {session.checkpoint_every}"
        )
    _check_batches(config, placement, config.train_examples)
    # Data first: a missing file must not leave an empty run behind.
    dataset = load_dataset(config, session)
    config.check_network(dataset.train.inputs.shape[1:], dataset.num_classes)
    directory = open_directory(workdir, config, environment())
    if result := directory.result():
        session.report(f"already finished: {directory.path / 'result.json'}")
        return result
    return _Run(config, dataset, directory, placement, session).finish()


def load_dataset(config: RunConfig, session: Session) -> Dataset:
    """Returns the config's data set, cut to the examples it asks for."""
    dataset = datasets.load(
        config.dataset, data_dir=session.data_dir, manual_dir=session.manual_dir
    )
    return datasets.take(
        dataset, train=config.train_examples, test=config.test_examples
    )


def environment() -> Row:
    """Returns versions, device and git revision, for the record."""
    device = jax.devices()[0]
    return {
        "versions": {name: _version(name) for name in _PACKAGES}
        | {"python": platform.python_version()},
        "device": f"{jax.device_count()} x {device.device_kind} ({device.platform})",
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "xla_flags": os.environ.get("XLA_FLAGS", ""),
        "git_revision": _git_revision(),
    }


class _Run:
    """The parts of one run under way."""

    def __init__(
        self,
        config: RunConfig,
        dataset: Dataset,
        directory: RunDirectory,
        placement: Placement,
        session: Session,
    ):
        self.config, self.dataset, self.directory = config, dataset, directory
        self.placement, self.session = placement, session
        train = dataset.train
        _check_batches(config, placement, len(train.labels))
        self.corruption = corrupt_labels(
            train.labels,
            config.corruption,
            dataset.num_classes,
            seed=config.corruption_seed,
        )
        self.steps_per_epoch = config.steps_per_epoch(len(train.labels))
        self.root = jax.random.key(config.seed)
        self.inputs = placement.replicate(train.inputs)
        self.labels = placement.replicate(self.corruption.labels)
        self.schedule = config.schedule(self.steps_per_epoch)
        self.best_error = math.inf

    def finish(self) -> Row:
        """Trains to the end and writes the result."""
        store = CheckpointStore(self.directory.checkpoints)
        try:
            with stop_requests() as request:
                state = self._restored(store)
                state = self._train(state, store, request)
                store.wait()
                result = self._result(state, store)
                self.directory.write_result(result)
        except OSError as error:
            raise RunError(
                f"cannot write {self.directory.path}: {error}; what was saved before "
                "is kept, run the same command again"
            ) from error
        finally:
            store.close()
        return result

    def _restored(self, store: CheckpointStore) -> TrainState:
        fresh = self.placement.replicate(self._initial_state())
        state = store.restore(fresh, self.session.report)
        if state is None:
            if self.directory.rows():
                self.session.report("no checkpoint can be read: starting anew")
            state = fresh
        elif int(state.step):
            self.session.report(f"continuing from step {int(state.step)}")
        self.directory.rewind(int(state.step))
        errors = [row["test_error"] for row in self.directory.rows()]
        self.best_error = min(errors, default=math.inf)
        return state

    def _initial_state(self) -> TrainState:
        key = purpose_key(self.root, Purpose.INIT)
        network = self.config.network(self.dataset.num_classes)
        example = self.dataset.train.inputs.shape[1:]
        variables = models.initialise(network, key, example)
        return initial_state(variables, self._optimizer().init(variables["params"]))

    def _optimizer(self):
        config = self.config
        return make_optimizer(
            config.optimizer,
            self.schedule,
            momentum=config.momentum,
            nesterov=config.nesterov,
            weight_decay=config.weight_decay,
        )

    def _train(
        self, state: TrainState, store: CheckpointStore, request: StopRequest
    ) -> TrainState:
        config, step = self.config, int(state.step)
        progress = Progress(
            self.directory.path.name,
            epochs=config.epochs,
            steps_per_epoch=self.steps_per_epoch,
            first_step=step,
        )
        evaluate = self._evaluators()
        checked = time.monotonic()
        with self.directory.tensorboard(step) as board:
            for after in self._steps(state):
                state, step = after, step + 1
                progress.step(step, config.batch_size, state)
                if time.monotonic() - checked > _SECONDS_BETWEEN_CHECKS:
                    self._check_finite(state)
                    checked = time.monotonic()
                if step % self.steps_per_epoch == 0:
                    row = self._row(state, step, evaluate, progress.rate())
                    self._record(row, board)
                    progress.epoch(step, _summary(row))
                    self._save(state, store, row)
                if request.signum is not None:
                    self._check_finite(state)
                    store.save(state)
                    store.wait()
                    raise Interrupted(request.signum, step)
        return state

    def _steps(self, state: TrainState):
        config = self.config
        recipe = TrainRecipe(
            config.network(self.dataset.num_classes, AXIS),
            self._optimizer(),
            self._prepare,
            num_classes=self.dataset.num_classes,
            batch_size=config.batch_size,
            steps_per_epoch=self.steps_per_epoch,
            alpha=config.alpha,
        )
        order = self.placement.replicate(np.zeros(len(self.labels), np.int32))
        root = self.placement.replicate(self.root)
        return train_steps(
            functools.partial(train_step, recipe),
            state,
            TrainData(self.inputs, self.labels, order, root),
            self.placement,
            batch_size=config.batch_size,
            steps_per_epoch=self.steps_per_epoch,
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

    def _evaluators(self) -> dict[str, Evaluator]:
        network = self.config.network(self.dataset.num_classes)
        recipe = EvalRecipe(network, self._normalise, groups=2)
        zero = np.zeros((), np.int32)
        test = self.dataset.test
        groups = np.zeros(len(test.labels), np.int32)
        sets = {
            "test": EvalData(test.inputs, test.labels, groups, zero),
            "train": EvalData(
                self.inputs, self.labels, self.corruption.mask.astype(np.int32), zero
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

    def _row(
        self, state: TrainState, step: int, evaluate: dict[str, Evaluator], rate: float
    ) -> Row:
        self._check_finite(state)
        config, epoch = self.config, step // self.steps_per_epoch
        test = evaluate["test"](state.variables)
        row = {
            "step": step,
            "epoch": epoch,
            "train_loss": float(state.loss_sum) / int(state.seen),
            "test_loss": mean_loss(test),
            "test_error": error_rate(test),
            "learning_rate": float(np.asarray(self.schedule(step - 1))),
            "examples_per_second": round(rate, 1),
            "time": round(time.time(), 3),
        }
        every = config.train_error_every
        if epoch == config.epochs or (every and epoch % every == 0):
            train = evaluate["train"](state.variables)
            row["train_error_real"] = error_rate(train, 0)
            if config.corruption:
                row["train_error_corrupted"] = error_rate(train, 1)
        return row

    def _record(self, row: Row, board: Any) -> None:
        self.directory.append(row)
        for name, value in row.items():
            if name not in ("step", "epoch", "time"):
                board.add_scalar(name, value, row["step"])

    def _save(self, state: TrainState, store: CheckpointStore, row: Row) -> None:
        best = row["test_error"] < self.best_error
        self.best_error = min(self.best_error, row["test_error"])
        due = row["epoch"] % self.session.checkpoint_every == 0
        if best or due or row["epoch"] == self.config.epochs:
            store.save(state, test_error=row["test_error"])

    def _check_finite(self, state: TrainState) -> None:
        if (step := int(state.bad_step)) >= 0:
            raise RunError(
                f"the training loss was not finite at step {step}; the checkpoints of "
                f"{self.directory.path} are from before. Lower the learning rate "
                f"(it was {self.config.learning_rate}) or look at the data"
            )

    def _result(self, state: TrainState, store: CheckpointStore) -> Row:
        rows = self.directory.rows()
        errors = [row["test_error"] for row in rows]
        last = rows[-1]
        return {
            "run": self.directory.path.name,
            "data": self.dataset.title,
            "epochs": self.config.epochs,
            "test_error_best": min(errors),
            "test_error_last": errors[-1],
            "test_error_median_of_last_10": float(np.median(errors[-10:])),
            "train_error_real": last["train_error_real"],
            "train_error_corrupted": last.get("train_error_corrupted"),
            "train_loss_last": last["train_loss"],
            "best_checkpoint_step": store.best_step(),
            "params_sha256": params_sha256(state.params),
            "environment": environment(),
        }


def _summary(row: Row) -> str:
    text = f"train loss {row['train_loss']:.3f}  test error {row['test_error']:.2%}"
    if (real := row.get("train_error_real")) is not None and not math.isnan(real):
        text += f"  train error {real:.2%}"
    return text


def _check_batches(config: RunConfig, placement: Placement, examples: int) -> None:
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


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def _git_revision() -> str:
    source = Path(__file__).parents[2]
    if not (source / "pyproject.toml").exists():
        return "installed package"
    try:
        return subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=40"],
            cwd=source,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
