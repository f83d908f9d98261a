"""What a run keeps on the disk, for all its processes: the main one reads and writes.

Every method is to be called by all processes. An error of the disk is raised in all.
"""

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import jax
import numpy as np

from mixup_jax import hosts
from mixup_jax.runs import weights_and_biases
from mixup_jax.runs.checkpoint import CheckpointStore
from mixup_jax.runs.directory import Row, RunDirectory
from mixup_jax.training.state import TrainState

_NO_CURVES = ("step", "epoch", "time")


class Keeper:
    """Metrics and checkpoints of a run; a context that releases files and threads.

    Args:
      directory: Of the run.
      wandb: Project of Weights & Biases that gets the curves too; empty for none.
    """

    def __init__(self, directory: RunDirectory, *, wandb: str = ""):
        self.directory, self._project = directory, wandb
        self._open = ExitStack()
        self._store: CheckpointStore | None = None
        self._board: Any = None
        self._log: weights_and_biases.Log | None = None
        if hosts.is_main():
            self._store = CheckpointStore(directory.checkpoints)
            self._open.callback(self._store.close)

    def __enter__(self) -> "Keeper":
        return self

    def __exit__(self, *error: Any) -> None:
        self._open.__exit__(*error)

    def restore(
        self, template: TrainState, report: Callable[[str], None]
    ) -> TrainState | None:
        """Returns the latest state that can be read, on the host, or None.

        Args:
          template: A state of the same shapes.
          report: See `CheckpointStore.restore`.
        """
        states = [template]

        def read() -> bool:
            assert self._store is not None
            state = self._store.restore(template, report)
            if state is None and self.directory.rows():
                report("no checkpoint can be read: starting anew")
            states.append(template if state is None else state)
            return state is not None

        if not hosts.on_main(read):
            return None
        return hosts.arrays_from_main(states[-1])

    def begin(self, step: int) -> list[Row]:
        """Drops what was measured after a step; returns what was before."""

        def rewind() -> list[Row]:
            self.directory.rewind(step)
            self._board = self._open.enter_context(self.directory.tensorboard(step))
            if self._project:
                self._log = self._open.enter_context(
                    weights_and_biases.board(
                        self._project, self.directory.path, self.directory.config()
                    )
                )
            return self.directory.rows()

        return hosts.on_main(rewind)

    def epoch(self, row: Row, state: TrainState, *, error: float | None) -> None:
        """Keeps an epoch's measures, and its state if that has an error to go by."""

        def write() -> None:
            self.directory.append(row)
            curves = {
                name: value
                for name, value in row.items()
                if name not in _NO_CURVES and isinstance(value, (int, float))
            }
            for name, value in curves.items():
                self._board.add_scalar(name, value, row["step"])
            if self._log is not None:
                self._log(curves, row["step"])
            if error is not None:
                self._save(state, error=error)

        hosts.on_main(write)

    def stop(self, state: TrainState) -> None:
        """Keeps a state in the midst of an epoch, and waits for the disk."""

        def write() -> None:
            assert self._store is not None
            self._save(state)
            self._store.wait()

        hosts.on_main(write)

    def _save(self, state: TrainState, **options: float) -> None:
        assert self._store is not None
        # Orbax would have all processes save what lies on the devices of all.
        if hosts.count() > 1:
            state = jax.tree.map(np.asarray, state)
        self._store.save(state, **options)

    def finish(self, result: Callable[[list[Row], int | None], Row]) -> Row:
        """Waits for the disk and marks the run as finished.

        Args:
          result: Made of all rows and the step of the best checkpoint.
        """

        def write() -> Row:
            assert self._store is not None
            self._store.wait()
            made = result(self.directory.rows(), self._store.best_step())
            self.directory.write_result(made)
            return made

        return hosts.on_main(write)
