"""What a finished run learned, as a function from inputs to logits."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float, Shaped

from mixup_jax import models
from mixup_jax.data.dataset import Dataset, ImageDataset
from mixup_jax.data.preprocessing import Preprocessing, preprocessing
from mixup_jax.errors import UsageError
from mixup_jax.runs.checkpoint import read_variables
from mixup_jax.runs.config import config_from_json
from mixup_jax.runs.directory import RunDirectory
from mixup_jax.runs.runner import load_dataset
from mixup_jax.runs.session import Session

Predict = Callable[[Shaped[np.ndarray, "B ..."]], Float[Array, "B K"]]


class Trained(NamedTuple):
    """A trained network with what it was trained on.

    Attributes:
      predict: From what the network reads to logits; may be traced, differentiated.
      inputs: How stored examples become what it reads.
      dataset: Of the run.
    """

    predict: Callable[[Float[Array, "B ..."]], Float[Array, "B K"]]
    inputs: Preprocessing
    dataset: Dataset | ImageDataset


def load_trained(
    workdir: str | os.PathLike,
    *,
    best: bool = False,
    session: Session | None = None,
) -> Trained:
    """Returns the network of a run and its data.

    Args:
      workdir: Of a run that has saved at least one checkpoint.
      best: Take the checkpoint with the lowest error, not the last one.
      session: Says where data sets lie.

    Raises:
      UsageError: If there is no run or no checkpoint, or it is of another network than
        config.json says.
      RunError: If the checkpoint is damaged.
    """
    directory = run_directory(workdir)
    config = config_from_json(directory.config())
    variables = read_variables(directory.checkpoints, best=best)
    dataset = load_dataset(config, session or Session())
    network = config.network(dataset.num_classes)
    inputs = preprocessing(dataset, config.data, mix_at=config.mix_at)
    _check_fit(directory, network, inputs.shape, variables)

    def predict(inputs: Float[Array, "B ..."]) -> Any:
        return network.apply(variables, inputs, train=False)

    return Trained(predict, inputs, dataset)


def _check_fit(
    directory: RunDirectory, network: Any, inputs: tuple[int, ...], variables: Any
) -> None:
    def sizes(tree: Any) -> dict[str, tuple[int, ...]]:
        leaves = jax.tree_util.tree_leaves_with_path(tree["params"])
        return {jax.tree_util.keystr(path): leaf.shape for path, leaf in leaves}

    wanted, found = sizes(models.shapes(network, inputs)), sizes(variables)
    for name in sorted(wanted.keys() | found.keys()):
        if wanted.get(name) != found.get(name):
            raise UsageError(
                f"the checkpoint in {directory.path} is of another network than its "
                f"config.json or its data say: parameter {name} has shape "
                f"{found.get(name)} there, and should have {wanted.get(name)}"
            )


def run_directory(workdir: str | os.PathLike) -> RunDirectory:
    """Returns the directory of a run; raises UsageError if there is none."""
    directory = RunDirectory(Path(workdir).resolve())
    if not (directory.path / "config.json").exists():
        raise UsageError(
            f"there is no run in {directory.path}, as it has no config.json; name the "
            "--workdir of a run that has been carried out"
        )
    return directory


def load_predictor(
    workdir: str | os.PathLike,
    *,
    best: bool = False,
    session: Session | None = None,
) -> Predict:
    """Returns the network of a run, with its parameters and normalisation.

    Args:
      workdir: See `load_trained`.
      best: See `load_trained`.
      session: See `load_trained`.

    Returns:
      A compiled function to logits from raw inputs, as the data set stores them; of a
      set that is streamed, from squares of `image_size`, [B, S, S, C] in bytes.

    Raises:
      UsageError: If there is no run or no checkpoint; by the function, if inputs have
        another shape than those of the data set.
    """
    predict, inputs, dataset = load_trained(workdir, best=best, session=session)
    stored_shape = (
        dataset.train.inputs.shape[1:] if isinstance(dataset, Dataset) else inputs.shape
    )
    compiled = jax.jit(lambda stored: predict(inputs.evaluate(stored)))

    def checked(stored: Shaped[np.ndarray | Array, "..."]) -> Float[Array, "B K"]:
        if stored.shape[1:] != stored_shape:
            wanted = ", ".join(map(str, ("B", *stored_shape)))
            raise UsageError(
                f"inputs must have shape [{wanted}], as {dataset.title} has them, got "
                f"{list(stored.shape)}"
            )
        return compiled(stored)

    return checked
