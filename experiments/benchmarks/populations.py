"""Small networks: all seeds and alphas in one program, against one after another.

Table 4: the paper's MLP on random rows of Abalone's size, Adam, batches of 16, ten
epochs, of which our times have all, with what is compiled (or comes from the cache of
compiled programs) before them. PyTorch takes some steps of one network: every other
would take as long. GAN: the paper's networks, some iterations.
"""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from experiments.benchmarks import our_side
from experiments.benchmarks.suite import Comparison, Options, compare
from mixup_jax import models
from mixup_jax.data import toy
from mixup_jax.training.gan import GanRecipe
from mixup_jax.training.gan_population import initial_state, train
from mixup_jax.training.optimizer import make_optimizer
from mixup_jax.training.population import Population, train_population
from mixup_jax.training.population_steps import SeedData, SeedSet
from mixup_jax.training.recipe import EvalRecipe, TrainRecipe
from mixup_jax.vicinity.vicinity import Vicinity

# Abalone has 2,785 rows to train on; with 2,800, calls of fifty steps take all of them.
_FEATURES, _CLASSES, _ROWS, _BATCH = 8, 28, 2800, 16
_EPOCHS = 10
_STEPS = _EPOCHS * _ROWS // _BATCH
_ALPHAS = (0.0, 0.2, 1.0)
_TORCH_STEPS = 50
_GAN_ITERATIONS = 20


def measure(options: Options) -> list[Comparison]:
    """Compares table 4 as a grid and as a single network, and the GAN."""
    seeds = 8 if options.quick else 20
    found = [_grid(seeds, _ALPHAS, options)]
    if not options.quick:
        found += [_grid(1, (0.2,), options), _gan(options)]
    return found


def _grid(seeds: int, alphas: tuple[float, ...], options: Options) -> Comparison:
    from experiments.benchmarks import torch_networks, torch_side

    torch_side.set_threads(1)  # more only wait for one another with such small sums
    members = seeds * len(alphas)
    run = _population(seeds, alphas)
    network = torch_networks.Perceptron([_FEATURES, 128, 128, _CLASSES])
    step = torch_side.train_step(
        network, (_FEATURES,), _CLASSES, batch_size=_BATCH, alpha=0.2, adam=True
    )
    # Each side is counted as if it did _TORCH_STEPS steps of a network.
    sides: dict[str, Callable[[], Any]] = {
        "ours": run,
        "PyTorch": lambda: [step() for _ in range(_TORCH_STEPS)],
    }
    if members == 1:
        sides["ours, a jitted step at a time"] = _stepped(1)
        sides[f"ours, {_TORCH_STEPS} steps a call"] = _stepped(_TORCH_STEPS)
    name = f"table 4's MLP, {seeds} seeds x {len(alphas)} alphas"
    found = compare(name, sides, options, amount=_TORCH_STEPS, unit="steps")
    share = _TORCH_STEPS / (members * _STEPS)
    for side, took in found.sides.items():
        if side != "PyTorch":
            found.sides[side] = type(took)(*(share * seconds for seconds in took))
    return found


def _stepped(steps_per_call: int) -> Callable[[], Any]:
    """One network's steps by a program of `steps_per_call` of them."""

    def run() -> Any:
        step = our_side.step(
            "mlp",
            (_FEATURES,),
            _CLASSES,
            batch_size=_BATCH,
            overrides={},
            alpha=0.2,
            adam=True,
            steps_per_call=steps_per_call,
            calls=_STEPS // steps_per_call,
        )
        return step()

    return run


def _population(seeds: int, alphas: tuple[float, ...]) -> Callable[[], Population]:
    """All ten epochs of all members, with what compiles before them."""
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(seeds, _ROWS, _FEATURES)).astype(np.float32)
    labels = rng.integers(0, _CLASSES, (seeds, _ROWS), np.int32)
    data = SeedData(inputs, labels, jax.vmap(jax.random.key)(np.arange(seeds)))
    few = slice(0, 16)
    sets = {
        "test": SeedSet(inputs[:, few], labels[:, few], np.zeros((seeds, 16), np.int32))
    }
    network = models.create("mlp", _CLASSES)
    recipe = TrainRecipe(
        network,
        make_optimizer("adam", 1e-3),
        lambda keys, x: x,
        num_classes=_CLASSES,
        batch_size=_BATCH,
        steps_per_epoch=_STEPS // _EPOCHS,
        epochs=_EPOCHS,
        vicinity=Vicinity(alpha=1.0),
    )
    evaluation = EvalRecipe(network, lambda x: x)
    chosen = np.array(alphas, np.float32)

    def run() -> Population:
        return train_population(recipe, evaluation, data, sets, alpha=chosen)

    return run


def _gan(options: Options) -> Comparison:
    from experiments.benchmarks import torch_side

    torch_side.set_threads(options.threads)
    recipe = GanRecipe(toy.sample_grid)
    root = jax.vmap(jax.random.key)(np.arange(1))
    alpha = np.array([0.2], np.float32)

    def ours() -> Any:
        state = initial_state(recipe, root)
        return list(train(recipe, state, root, alpha=alpha, stops=[_GAN_ITERATIONS]))

    def sample() -> np.ndarray:
        points, _ = toy.sample_grid(jax.random.key(1), recipe.batch_size)
        return np.array(points)

    iterate = torch_side.gan_iteration(512, sample)
    sides = {
        "ours": ours,
        "PyTorch": lambda: [iterate() for _ in range(_GAN_ITERATIONS)],
    }
    return compare(
        "GAN, 3 x 512 units", sides, options, amount=_GAN_ITERATIONS, unit="iterations"
    )
