"""One run under way: its loop, and what it saves, shows and survives."""

import functools
import io
import math
import time

import jax
import numpy as np

from mixup_jax import hosts
from mixup_jax.errors import RunError
from mixup_jax.evaluation.classification import (
    epoch_errors,
    error_rate,
    mean_loss,
    top5_error_rate,
)
from mixup_jax.runs.checkpoint import params_sha256
from mixup_jax.runs.directory import Row, RunDirectory
from mixup_jax.runs.environment import environment
from mixup_jax.runs.inspection import first_bad
from mixup_jax.runs.interrupt import Interrupted, StopRequest, stop_requests
from mixup_jax.runs.keeper import Keeper
from mixup_jax.runs.parts import Parts
from mixup_jax.runs.progress import Progress
from mixup_jax.runs.session import Session
from mixup_jax.runs.telemetry import Telemetry, Trace
from mixup_jax.training.loop import Evaluator, Meter
from mixup_jax.training.state import TrainState

# Between looks at whether the loss is finite.
_SECONDS_BETWEEN_CHECKS = 2.0
_CALLS_BETWEEN_CHECKS = 50

# By group of the training set; null in the files where the group is empty.
_TRAIN_ERRORS = ("train_error_real", "train_error_corrupted")


class Execution:
    """One run under way: what it saves, shows and survives."""

    def __init__(self, parts: Parts, directory: RunDirectory, session: Session):
        self.parts, self.directory, self.session = parts, directory, session
        self.config = parts.config
        self.best_error = math.inf

    def finish(self) -> Row:
        """Trains to the end and writes the result."""
        try:
            with (
                Keeper(self.directory, wandb=self.session.wandb) as keeper,
                stop_requests() as request,
            ):
                self.keeper = keeper
                state = self._restored(keeper)
                state = self._train(state, keeper, request)
                result = keeper.finish(functools.partial(self._result, state))
        except OSError as error:
            raise RunError(
                f"cannot write {self.directory.path}: {error}; what was saved before "
                "is kept, run the same command again"
            ) from error
        except jax.errors.JaxRuntimeError as error:
            if "RESOURCE_EXHAUSTED" not in str(error):
                raise
            raise RunError(
                f"out of memory with batch_size {self.config.batch_size}; raise "
                "accumulate, to compute a batch in parts, or set remat: "
                f"{str(error).splitlines()[0]}"
            ) from error
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
        checks, meter = _Checks(), Meter()
        telemetry = Telemetry(meter, self.parts.placement)
        trace = Trace(self.directory.path / "profile", self._traced_steps)
        for call, (done, after) in enumerate(self.parts.steps(state, meter), 1):
            state, taken, step = after, done - step, done
            progress.step(step, taken * config.batch_size, state)
            telemetry.step(taken)
            trace.step(taken)
            if checks.due(call):
                self._check_finite(state)
            if step % steps_per_epoch == 0:
                self._check_finite(state)
                row = telemetry.row() | {"examples_per_second": progress.rate()}
                row = self._row(state, step, evaluate) | row
                keeper.epoch(row, state, error=self._error_to_save(row))
                progress.epoch(step, _summary(row))
                telemetry.begin()
            signum = request.at(call)
            if signum and step < config.epochs * steps_per_epoch:
                self._check_finite(state)
                keeper.stop(state)
                raise Interrupted(signum, step)
        trace.close()
        return state

    @property
    def _traced_steps(self) -> int:
        return self.session.profile if hosts.is_main() else 0

    def _row(self, state: TrainState, step: int, evaluate: dict[str, Evaluator]) -> Row:
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
                f"the training loss was not finite at step {step}, where the first bad "
                f"tensor is {self._first_bad(step)}; the checkpoints of "
                f"{self.directory.path} are from before. Lower the learning rate "
                f"(it was {self.config.learning_rate}) or look at the data"
            )

    def _first_bad(self, step: int) -> str:
        """Trains again from the last checkpoint to a step; names what is bad in it."""
        self.session.report(f"looking for what was not finite at step {step}")
        fresh = self.parts.initial_state()
        kept = self.keeper.restore(fresh, self.session.report)
        state = self.parts.placement.replicate(fresh if kept is None else kept)
        if int(state.step) < step:
            for done, after in self.parts.steps(state, steps_per_call=1):
                state = after
                if done == step:
                    break
        return first_bad(self.parts, state)

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

    def due(self, call: int) -> bool:
        if hosts.count() > 1:  # whose clocks differ, and who must stop at one step
            return call % _CALLS_BETWEEN_CHECKS == 0
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
