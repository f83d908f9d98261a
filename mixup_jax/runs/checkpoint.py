"""Checkpoints: asynchronous, the best and the last ones, whole or not at all."""

import hashlib
import math
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from orbax.checkpoint.checkpoint_managers import (
    AnyPreservationPolicy,
    BestN,
    LatestN,
)

from mixup_jax import hosts
from mixup_jax.errors import RunError, UsageError
from mixup_jax.training.state import TrainState
from mixup_jax.types import PyTree

_EVERY = ocp.options.MultiprocessingOptions()
# A damaged last checkpoint falls back to the one before.
_KEEP_LATEST = 2


class CheckpointStore:
    """Saves and restores `TrainState`s under one directory; close it when done."""

    def __init__(self, directory: Path):
        def score(metrics: dict[str, float]) -> float:
            return -metrics["error"]

        # Without `best_fn` too, Orbax's best_step is silently the latest.
        # One process saves for all, see `keeper`.
        alone = ocp.options.MultiprocessingOptions(
            primary_host=0, active_processes={0}, barrier_sync_key_prefix="main"
        )
        options = ocp.CheckpointManagerOptions(
            multiprocessing_options=alone if hosts.count() > 1 else _EVERY,
            create=False,  # Orbax refuses to where one process saves for all
            best_fn=score,
            best_mode="max",
            cleanup_tmp_directories=True,
            preservation_policy=AnyPreservationPolicy(
                [LatestN(_KEEP_LATEST), BestN(get_metric_fn=score, n=1)]
            ),
        )
        directory.mkdir(parents=True, exist_ok=True)
        self._manager = ocp.CheckpointManager(directory, options=options)

    def save(self, state: TrainState, *, error: float = math.inf) -> None:
        """Starts saving; an error of the save before it is raised here.

        Args:
          state: May be donated to the next step at once.
          error: Decides which is the best; infinity for an unfinished epoch.

        Raises:
          OSError: If the disk is full or cannot be written.
        """
        step = int(state.step)
        if step in self._manager.all_steps():
            return
        with _disk_errors():
            self._manager.save(
                step,
                args=ocp.args.StandardSave(state),
                metrics={"error": error},
            )

    def restore(
        self, template: TrainState, report: Callable[[str], None]
    ) -> TrainState | None:
        """Returns the latest state that can be read, or None if there is none.

        Args:
          template: A state of the same shapes, placed as the result shall be.
          report: Told of every damaged checkpoint, which is then deleted: the run
            comes by that step again and saves it anew.
        """
        abstract = jax.tree.map(ocp.utils.to_shape_dtype_struct, template)
        for step in sorted(self._manager.all_steps(), reverse=True):
            try:
                args = ocp.args.StandardRestore(abstract)
                state: Any = self._manager.restore(step, args=args)
                return state
            except Exception as error:
                if not _tells_of_damage(error):
                    raise
                reason = str(error).strip().split("\n")[0]
                report(f"checkpoint of step {step} is damaged, using the one before")
                report(f"  ({type(error).__name__}: {reason[:200]})")
                self._manager.delete(step)
        return None

    def best_step(self) -> int | None:
        """Step of the checkpoint with the lowest error."""
        return self._manager.best_step()

    def last_step(self) -> int | None:
        """Step of the newest checkpoint."""
        return self._manager.latest_step()

    def read(self, step: int) -> PyTree:
        """A checkpoint's content as nested dicts of host arrays, on any devices."""
        return self._manager.restore(step, args=ocp.args.StandardRestore())

    def wait(self) -> None:
        """Returns when everything is on the disk; raises OSError if it cannot be."""
        with _disk_errors():
            self._manager.wait_until_finished()

    def close(self) -> None:
        """Waits for the disk and releases Orbax's threads; raises OSError as `save`.

        While another error is on its way, that one goes on.
        """
        on_its_way = sys.exception()
        try:
            with _disk_errors():
                self._manager.close()
        except OSError:
            if on_its_way is None:
                raise


@contextmanager
def _disk_errors() -> Iterator[None]:
    """Makes OSErrors of what TensorStore could not write: its own are ValueErrors."""
    try:
        yield
    except ValueError as error:
        number = re.search(r"\[os_error_code='(\d+)'\]", str(error))
        if number is None:
            raise
        paths = re.findall(r'"(/[^"]+)"', str(error))
        *_, reason = str(error).split("[os_error_code")[0].rsplit(": ", 1)
        path = paths[-1] if paths else None
        raise OSError(int(number[1]), reason.strip(), path) from error


def _tells_of_damage(error: Exception) -> bool:
    # Orbax wraps what TensorStore says in an Exception of no kind of its own.
    kinds = (ValueError, OSError, KeyError)
    return isinstance(error, kinds) or type(error) is Exception


def read_variables(directory: Path, *, best: bool = False) -> PyTree:
    """Returns a network's variables from the last checkpoint, or the best.

    Raises:
      UsageError: If there is none.
      RunError: If it is damaged.
    """
    store = CheckpointStore(directory)
    try:
        step = store.best_step() if best else store.last_step()
        if step is None:
            raise UsageError(f"no checkpoint in {directory}: has the run begun?")
        state = store.read(step)
    except Exception as error:
        if isinstance(error, UsageError) or not _tells_of_damage(error):
            raise
        raise RunError(
            f"the checkpoint to read in {directory} is damaged; remove result.json "
            "beside it, if there is one, and the command of the run makes it again"
        ) from error
    finally:
        store.close()
    params = state["params"] if state.get("ema") is None else state["ema"]
    return {"params": params, "batch_stats": state["batch_stats"] or {}}


def params_sha256(params: PyTree) -> str:
    """Returns a hash of the leaves' paths, shapes, dtypes and bytes.

    Equal hashes mean bitwise equal parameters, on any machine.
    """
    digest = hashlib.sha256()
    leaves = jax.tree_util.tree_leaves_with_path(params)
    named = {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in leaves}
    for name, leaf in sorted(named.items(), key=lambda item: item[0]):
        little = leaf.astype(leaf.dtype.newbyteorder("<"))
        digest.update(f"{name} {leaf.shape} {leaf.dtype.name}\n".encode())
        digest.update(little.tobytes())
    return digest.hexdigest()
