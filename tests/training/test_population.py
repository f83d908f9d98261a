"""Many networks at once, each against an ordinary run of its seed and alpha."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from mixup_jax import models
from mixup_jax.data.dataset import Dataset, Split, channel_statistics
from mixup_jax.data.neighbour_cache import cached_neighbours
from mixup_jax.data.preprocessing import preprocessing
from mixup_jax.evaluation.classification import error_rate, mean_loss
from mixup_jax.randomness import Purpose, purpose_key
from mixup_jax.runs import RunConfig
from mixup_jax.runs.parts import Parts
from mixup_jax.training import population as population_module
from mixup_jax.training import starts
from mixup_jax.training.optimizer import make_optimizer
from mixup_jax.training.placement import Placement
from mixup_jax.training.population import _groups, train_population
from mixup_jax.training.population_steps import SeedData, SeedSet
from mixup_jax.training.recipe import EvalRecipe, TrainRecipe
from mixup_jax.vicinity.vicinity import Vicinity

SEEDS, ALPHAS = (3, 8, 21), (0.0, 0.5, 4.0)
EXAMPLES, TESTED = 44, 25
# Three steps of 16, 16 and 12 examples an epoch; the rate drops for the last.
CONFIG = RunConfig(
    crop_pad=0,
    flip=False,
    corruption=0.3,
    model="mlp",
    width=8,
    alpha=1.0,
    neighbours=8,
    epochs=3,
    batch_size=16,
    optimizer="adam",
    learning_rate=1e-2,
    lr_drops=(2,),
    weight_decay=0.0,
    eval_batch_size=10,
)
# Sums in another order, and Adam divides small gradients by small ones.
CLOSE = {"rtol": 1e-4, "atol": 1e-5}


@functools.cache
def dataset(seed):
    """Rows of its own for each seed, in units of its own."""
    rng = np.random.default_rng(seed)
    inputs = rng.normal(seed, 1 + seed, (EXAMPLES + TESTED, 5)).astype(np.float32)
    labels = (inputs[:, 0] > seed).astype(np.int32) + (inputs[:, 1] > seed)
    train = Split(inputs[:EXAMPLES], labels[:EXAMPLES])
    test = Split(inputs[EXAMPLES:], labels[EXAMPLES:])
    return Dataset("rows", "rows", train, test, 3, *channel_statistics(train.inputs))


def parts(seed, **fields):
    config = dataclasses.replace(CONFIG, seed=seed, corruption_seed=seed, **fields)
    data, one_device = dataset(seed), Placement("pmap", tuple(jax.devices()[:1]))
    return Parts(config, data, preprocessing(data, config.data), one_device)


@functools.cache
def ordinary(seed, alpha, **fields):
    """Returns parameters, training losses and sums of each epoch of a plain run."""
    run = parts(seed, alpha=alpha, **fields)
    evaluators, losses, sums = run.evaluators(), [], {"train": [], "test": []}
    state = run.placement.replicate(run.initial_state())
    for count, after in run.steps(state):
        if count % run.steps_per_epoch == 0:
            losses.append(float(after.loss_sum) / int(after.seen))
            for name, rows in sums.items():
                rows.append(evaluators[name](after.variables))
        state = after
    return jax.tree.map(np.asarray, state.params), losses, sums


def standardised(seed, split):
    data = dataset(seed)
    return (split.inputs - np.float32(data.mean)) / np.float32(data.std)


def train(seeds=SEEDS, alphas=ALPHAS, vicinity=CONFIG.vicinity, **options):
    tables = None
    if vicinity.needs_neighbours:
        tables = [cached_neighbours(dataset(seed), 8) for seed in seeds]
        tables = jax.tree.map(lambda *leaves: np.stack(leaves), *tables)
    runs = [parts(seed) for seed in seeds]
    network, evaluation = CONFIG.network(3), EvalRecipe(CONFIG.network(3), jnp.asarray)
    recipe = TrainRecipe(
        network,
        make_optimizer("adam", CONFIG.schedule(3)),
        lambda keys, inputs: inputs,
        num_classes=3,
        batch_size=CONFIG.batch_size,
        steps_per_epoch=3,
        epochs=options.pop("epochs", CONFIG.epochs),
        vicinity=vicinity,
    )
    inputs = np.stack([standardised(seed, dataset(seed).train) for seed in seeds])
    labels = np.stack([run.corruption.labels for run in runs])
    masks = np.stack([run.corruption.mask.astype(np.int32) for run in runs])
    tested = np.stack([standardised(seed, dataset(seed).test) for seed in seeds])
    test_labels = np.stack([dataset(seed).test.labels for seed in seeds])
    return train_population(
        recipe,
        dataclasses.replace(evaluation, groups=2),
        SeedData(inputs, labels, jax.vmap(jax.random.key)(jnp.array(seeds)), tables),
        {
            "train": SeedSet(inputs, labels, masks),
            "test": SeedSet(tested, test_labels, 0 * test_labels),
        },
        alpha=np.float32(alphas),
        eval_batch_size=CONFIG.eval_batch_size,
        keep_params=True,
        **options,
    )


@pytest.fixture(scope="module")
def population():
    return train(workers=1)


def member(tree, seed, alpha):
    place = SEEDS.index(seed), ALPHAS.index(alpha)
    return jax.tree.map(lambda leaf: leaf[place], tree)


def assert_trees_close(got, expected):
    def compare(a, b):
        np.testing.assert_allclose(a, b, **CLOSE)

    jax.tree.map(compare, got, expected)


@pytest.mark.parametrize(("seed", "alpha"), [(3, 0.0), (3, 0.5), (3, 4.0), (8, 0.5)])
def test_a_member_is_an_ordinary_run_of_its_seed_and_alpha(population, seed, alpha):
    params, losses, sums = ordinary(seed, alpha)
    assert_trees_close(member(population.params, seed, alpha), params)
    np.testing.assert_allclose(
        member(population.train_loss, seed, alpha), losses, rtol=1e-4
    )
    for name, group in (("test", 0), ("train", 0), ("train", 1)):
        errors = member(population.errors(name, group), seed, alpha)
        assert errors.tolist() == pytest.approx(
            [error_rate(row, group) for row in sums[name]], abs=1e-6
        )
        np.testing.assert_allclose(
            member(population.losses(name, group), seed, alpha),
            [mean_loss(row, group) for row in sums[name]],
            rtol=1e-4,
        )


def test_the_members_differ_enough_for_that_to_mean_something(population):
    for alpha in ALPHAS[1:]:
        mixed = member(population.params, 3, alpha)["hidden2"]["kernel"]
        plain = member(population.params, 3, 0.0)["hidden2"]["kernel"]
        assert np.abs(mixed - plain).max() > 100 * CLOSE["rtol"]
    assert len(np.unique(population.train_loss)) == population.train_loss.size


def test_without_mixing_all_members_are_those_of_alpha_0(population):
    erm = train(SEEDS[:1], (0.0, 4.0), Vicinity())
    for place in (0, 1):
        params = jax.tree.map(lambda leaf, place=place: leaf[0, place], erm.params)
        assert_trees_close(params, member(population.params, 3, 0.0))


def test_each_seed_has_neighbours_of_its_own():
    seeds, near = SEEDS[:2], {"pairing": "neighbours"}
    got = train(seeds, (4.0,), dataclasses.replace(CONFIG.vicinity, **near))
    params, _, _ = ordinary(seeds[1], 4.0, **near)
    assert_trees_close(jax.tree.map(lambda leaf: leaf[1, 0], got.params), params)


def test_who_else_is_there_changes_nothing(population):
    alone = train(SEEDS[1:2], ALPHAS[2:])
    assert_trees_close(alone, jax.tree.map(lambda leaf: leaf[1:2, 2:], population))


@pytest.mark.parametrize("at_once", [3, 2])
def test_how_seeds_share_threads_and_memory_changes_nothing(population, at_once):
    got = train(workers=2, seeds_at_once=at_once)
    assert jax.tree.structure(got) == jax.tree.structure(population)
    assert_trees_close(got, population)


def test_members_may_differ_in_weight_decay():
    decays = (0.0, 0.1)
    got = train(SEEDS[:1], (0.5, 0.5), weight_decay=np.float32(decays))
    for place, decay in enumerate(decays):
        params, _, _ = ordinary(3, 0.5, weight_decay=decay)
        found = jax.tree.map(lambda leaf, place=place: leaf[0, place], got.params)
        assert_trees_close(found, params)
    kernels = got.params["hidden1"]["kernel"][0]
    assert np.abs(kernels[0] - kernels[1]).max() > 100 * CLOSE["rtol"]


def test_a_member_that_diverges_says_when_and_leaves_the_others_alone(population):
    got = train(SEEDS[:1], (0.5, 0.5), weight_decay=np.float32([0.0, np.inf]))
    # The first step still has a loss, and then parameters that are no numbers.
    assert got.bad_step.tolist() == [[-1, 1]]
    found = jax.tree.map(lambda leaf: leaf[0, 0], got.params)
    assert_trees_close(found, member(population.params, 3, 0.5))
    assert (population.bad_step == -1).all()
    assert (got.errors("test")[0, 1] == 1).all()  # NaN predicts nothing


def test_first_variables_are_those_that_a_run_starts_with():
    network = CONFIG.network(3)
    keys = [purpose_key(jax.random.key(seed), Purpose.INIT) for seed in SEEDS]
    got = starts.initial_variables(network, jnp.stack(keys), (5,))
    for place, key in enumerate(keys):
        one = jax.tree.map(lambda leaf, place=place: leaf[place], got)
        assert_trees_close(one, models.initialise(network, key, (5,)))


# Of a seed: 147 parameters, gradients, two moments and two counts, thrice in float32.
SEED_BYTES = 3 * 4 * (4 * 147 + 2)


@pytest.mark.parametrize(
    ("memory", "groups"), [(3 * SEED_BYTES, 1), (3 * SEED_BYTES - 1, 2)]
)
def test_seeds_that_do_not_fit_into_memory_wait(memory, groups, monkeypatch):
    monkeypatch.setattr(population_module, "_BYTES", memory)
    seen = []
    train(epochs=2, workers=1, report=lambda *args: seen.append(args))
    assert seen == [(done, 2 * groups) for done in range(1, 2 * groups + 1)]


@pytest.mark.parametrize("seeds", [1, 7, 20])
@pytest.mark.parametrize("at_once", [1, 3, 20])
@pytest.mark.parametrize("workers", [1, 2, 3])
def test_every_seed_is_in_one_chunk_of_equal_size(seeds, at_once, workers):
    at_once = min(at_once, seeds)
    workers = min(workers, at_once)
    groups = _groups(seeds, at_once, workers)
    sizes = {len(chunk) for group in groups for chunk in group}
    assert len(sizes) == 1
    assert max(len(group) for group in groups) <= workers
    # Filled up to whole chunks: less than one more seed per worker.
    assert sizes.pop() * workers < at_once + workers
    places = np.concatenate([chunk for group in groups for chunk in group])
    assert places[:seeds].tolist() == list(range(seeds))
    assert (places[seeds:] == seeds - 1).all()


def test_a_person_can_stop_it_after_an_epoch():
    seen = []

    def stop(done, total):
        seen.append(done)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(report=stop)
    assert seen == [1]


def test_a_group_without_examples_has_no_error(population):
    assert np.isnan(population.errors("test", 1)).all()
    assert not np.isnan(population.errors("test", 0)).any()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"alpha": np.zeros(0, np.float32)}, "1 seeds, 0 alphas, 1 epochs"),
        ({"weight_decay": np.zeros(3, np.float32)}, "1 alphas, but 3 weight decays"),
        ({"roots": 2}, r"2 roots, but training data of \[1\] seeds"),
        ({"tested": 2}, r"1 roots, but test of \[2\] seeds"),
    ],
)
def test_axes_that_do_not_fit_are_refused(change, message):
    network = CONFIG.network(3)
    recipe = TrainRecipe(
        network,
        optax.sgd(0.1),
        lambda keys, inputs: inputs,
        num_classes=3,
        batch_size=4,
        steps_per_epoch=1,
        epochs=1,
        vicinity=Vicinity(),
    )
    roots = jax.vmap(jax.random.key)(jnp.arange(change.pop("roots", 1)))
    inputs, labels = np.zeros((1, 4, 5), np.float32), np.zeros((1, 4), np.int32)
    test = [np.repeat(x, change.pop("tested", 1), 0) for x in (inputs, labels, labels)]
    test = [test[0], *[np.repeat(x, len(test[0]), 0) for x in (labels, labels)]]
    with pytest.raises(ValueError, match=message):
        train_population(
            recipe,
            EvalRecipe(network, jnp.asarray),
            SeedData(inputs, labels, roots),
            {"test": SeedSet(*test)},
            **{"alpha": np.zeros(1, np.float32), **change},
        )
