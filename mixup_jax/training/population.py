"""Many small networks in one compiled program: seeds, alphas and weight decays at once.

A member trains as an ordinary run with its seed does: by `train_step`, on the same
order, lambdas and partners, whoever else is in the population. Each seed may have data
of its own (a split, wrong labels); the members of a seed share them, as they share
their start. Seeds are the outer axis, members of a seed the inner one.

For dense layers: a scan over steps with convolutions is slow on a CPU.
"""

import dataclasses
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Int

from mixup_jax.evaluation.classification import Sums
from mixup_jax.training.population_steps import (
    PopulationSteps,
    SeedData,
    SeedSet,
    decayed,
)
from mixup_jax.training.recipe import EvalRecipe, TrainRecipe
from mixup_jax.types import PyTree

# Parameters, gradients and optimizer states of all that is trained at a time.
_BYTES = 2**30

# Called with the epochs done and those to do.
Report = Callable[[int, int], None]


class Population(NamedTuple):
    """What became of all members, on the host.

    Attributes:
      train_loss: Mean over the virtual examples of each epoch.
      sums: Of each evaluated set after each epoch; leaves [seeds, members, epochs, G].
      bad_step: First step whose loss was not finite; -1 where there was none.
      params: Of the networks at the end, leaves [seeds, members, ...], if asked for.
    """

    train_loss: Float[np.ndarray, "seeds members epochs"]
    sums: dict[str, Sums]
    bad_step: Int[np.ndarray, "seeds members"]
    params: PyTree = None

    def errors(
        self, name: str, group: int = 0
    ) -> Float[np.ndarray, "seeds members epochs"]:
        """Returns error rates on a set, after each epoch; NaN for an empty group."""
        return self._shares(self.sums[name].errors, name, group)

    def losses(
        self, name: str, group: int = 0
    ) -> Float[np.ndarray, "seeds members epochs"]:
        """Returns mean cross-entropies in nats, likewise."""
        return self._shares(self.sums[name].loss, name, group)

    def _shares(self, values, name: str, group: int) -> np.ndarray:
        with np.errstate(invalid="ignore"):
            return values[..., group] / np.asarray(self.sums[name].count[..., group])


def train_population(
    recipe: TrainRecipe,
    evaluation: EvalRecipe,
    data: SeedData,
    sets: Mapping[str, SeedSet],
    *,
    alpha: Float[np.ndarray, " members"],
    weight_decay: Float[np.ndarray, "..."] | None = None,
    eval_batch_size: int = 500,
    keep_params: bool = False,
    seeds_at_once: int | None = None,
    workers: int | None = None,
    report: Report = lambda done, total: None,
) -> Population:
    """Trains all members and evaluates each after every epoch.

    Args:
      recipe: Of all members. A vicinity with any alpha above 0 serves every alpha, ERM
        included; one with alpha 0 mixes in none.
      evaluation: Likewise.
      data: Of each seed.
      sets: To evaluate on, by name.
      alpha: Of the members of each seed.
      weight_decay: Likewise, [members], as in `make_optimizer`, whose own is to be 0.
      eval_batch_size: Examples of a set that are evaluated at once.
      keep_params: Whether to return them.
      seeds_at_once: Trained at a time; by default as many as fill about 1 GiB.
      workers: Threads that share them; by default one per core of a CPU, as XLA keeps
        the small steps of a scan on one core, and 1 elsewhere.
      report: Called after every epoch. Of seeds that are not trained at once, the
        later ones have epochs of their own.

    Raises:
      ValueError: If the axes do not fit together, or there is nothing to train.
      KeyboardInterrupt: On Ctrl-C, after the epoch in progress.
    """
    seeds = _check(recipe, data, sets, alpha, weight_decay)
    if weight_decay is not None:
        recipe = dataclasses.replace(recipe, optimizer=decayed(recipe.optimizer))
        weight_decay = np.asarray(weight_decay, np.float32)
    job = _Job(
        PopulationSteps(recipe, evaluation, eval_batch_size, data.inputs.shape[2:]),
        (data, dict(sets)),
        (np.asarray(alpha, np.float32), weight_decay),
        keep_params,
    )
    at_once = min(seeds_at_once or max(1, _BYTES // job.bytes_of_a_seed()), seeds)
    workers = min(workers or _cores(), at_once)
    parts = _train(job, _groups(seeds, at_once, workers), workers, report)
    # The last chunk repeats its last seed to be as large as the others.
    return jax.tree.map(lambda *leaves: np.concatenate(leaves)[:seeds], *parts)


@dataclasses.dataclass(frozen=True)
class _Job:
    """What all chunks of seeds have in common."""

    steps: PopulationSteps
    data: tuple[SeedData, dict[str, SeedSet]]
    settings: tuple[np.ndarray, np.ndarray | None]  # alpha, weight decay
    keep_params: bool

    def bytes_of_a_seed(self) -> int:
        """Of parameters, as many gradients, and what the optimizer keeps."""
        root = self.data[0].root[:1]
        state = jax.eval_shape(self.steps.start, root, *self.settings)
        leaves = jax.tree.leaves((state.params, state.params, state.opt_state))
        return sum(leaf.size * leaf.dtype.itemsize for leaf in leaves)

    def of(self, seeds: np.ndarray) -> tuple[SeedData, dict[str, SeedSet]]:
        """Returns the data of some seeds, on the device."""
        return jax.device_put(jax.tree.map(lambda leaf: leaf[seeds], self.data))

    def compiled(self, seeds: np.ndarray) -> tuple[Callable, Callable]:
        """Returns start and epoch, for any so many seeds."""
        data, sets = self.of(seeds)
        start = jax.jit(self.steps.start).lower(data.root, *self.settings)
        epoch = jax.jit(self.steps.epoch, donate_argnums=0)
        epoch = epoch.lower(start.out_info, data, self.settings[0], sets)
        return start.compile(), epoch.compile()


class _Chunk:
    """Seeds that are trained in one program, and what became of them so far."""

    def __init__(self, job: _Job, seeds: np.ndarray, start: Callable, epoch: Callable):
        self._job, self._data, self._epoch = job, job.of(seeds), epoch
        self._state = start(self._data[0].root, *job.settings)
        self._rows = []

    def train_epoch(self) -> None:
        """Trains and evaluates; waits for the end, so that a person can stop it."""
        data, sets = self._data
        alpha, _ = self._job.settings
        self._state, *row = self._epoch(self._state, data, alpha, sets)
        self._rows.append(jax.tree.map(np.asarray, row))

    def result(self) -> Population:
        stack = jax.tree.map(lambda *epochs: np.stack(epochs, axis=2), *self._rows)
        params = self._state.params if self._job.keep_params else None
        last = jax.tree.map(np.asarray, (self._state.bad_step, params))
        return Population(*stack, *last)


def _train(
    job: _Job, groups: list[list[np.ndarray]], workers: int, report: Report
) -> list[Population]:
    """Trains one group of chunks after the other, the chunks of a group at once."""
    # Here, as threads that meet a program first would each compile it.
    programs = job.compiled(groups[0][0])
    epochs, parts, done = job.steps.recipe.epochs, [], 0
    with ThreadPoolExecutor(workers) as pool:
        for group in groups:
            chunks = [_Chunk(job, seeds, *programs) for seeds in group]
            for _ in range(epochs):
                list(pool.map(_Chunk.train_epoch, chunks))
                done += 1
                report(done, epochs * len(groups))
            parts += [chunk.result() for chunk in chunks]
    return parts


def _groups(seeds: int, at_once: int, workers: int) -> list[list[np.ndarray]]:
    """Returns the seeds of each chunk, all chunks as large, one per worker."""
    size = -(-seeds // (-(-seeds // at_once) * workers))
    chunks = [
        np.minimum(np.arange(first, first + size), seeds - 1)
        for first in range(0, seeds, size)
    ]
    return [chunks[first : first + workers] for first in range(0, len(chunks), workers)]


def _cores() -> int:
    return (os.cpu_count() or 1) if jax.default_backend() == "cpu" else 1


def _check(
    recipe: TrainRecipe,
    data: SeedData,
    sets: Mapping[str, SeedSet],
    alpha: np.ndarray,
    weight_decay: np.ndarray | None,
) -> int:
    """Returns how many seeds there are."""
    seeds, members = len(data.root), len(alpha)
    if not (seeds and members and recipe.epochs):
        raise ValueError(
            f"nothing to train: {seeds} seeds, {members} alphas, {recipe.epochs} epochs"
        )
    for name, chosen in {"training data": data, **sets}.items():
        found = {len(chosen.inputs), len(chosen.labels)}
        if found != {seeds}:
            raise ValueError(f"{seeds} roots, but {name} of {sorted(found)} seeds")
    if weight_decay is not None and len(weight_decay) != members:
        raise ValueError(f"{members} alphas, but {len(weight_decay)} weight decays")
    return seeds
