"""The examples of a training step in every vicinity, against those made by hand."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from training_case import Case

import mixup_jax
from mixup_jax.randomness import Purpose, example_keys, purpose_key
from mixup_jax.training.placement import AXIS
from mixup_jax.training.step_data import Share, TrainData
from mixup_jax.training.vicinal import Place, by_index, vicinal_batch
from mixup_jax.types import Batch
from mixup_jax.vicinity.neighbours import Neighbours
from mixup_jax.vicinity.vicinity import Vicinity

NEIGHBOURS = Neighbours(
    jnp.asarray((np.arange(40)[:, None] + np.array([1, 7, 20])) % 40, jnp.int32),
    jnp.full((40,), 3, jnp.int32),
)
VICINITIES = {
    "erm": {"alpha": 0.0},
    "mixup": {},
    "pair": {"lam_per": "pair"},
    "example": {"lam_per": "example"},
    "dirichlet": {"mixed_examples": 3, "lam_per": "example"},
    "same_class": {"pairing": "same_class", "target": "own"},
    "neighbours": {"pairing": "neighbours"},
    "closer": {"target": "closer", "lam_per": "example"},
    "smoothing": {"alpha": 0.0, "label_smoothing": 0.2},
    "inputs and smoothing": {"target": "closer", "label_smoothing": 0.2},
    "noise": {"alpha": 0.0, "noise": 0.3},
    "stage1": {"mix_at": "stage1"},
    "stage3": {"mix_at": "stage3", "lam_per": "example"},
    "cutmix": {"alpha": 0.0, "cutmix_probability": 1.0},
    "cutmix per example": {"cutmix_probability": 1.0, "lam_per": "example"},
    "mixup or cutmix": {"cutmix_probability": 0.5, "lam_per": "example"},
    "extrapolation": {"lam_low": -0.9, "lam_high": -0.1},
    "late": {"mix_from_epoch": 2},
    "late cutmix": {"mix_from_epoch": 2, "cutmix_probability": 1.0, "alpha": 0.0},
    "probability": {"mix_probability": 0.5, "lam_per": "example"},
}


STEP = 4
INDICES = Case().order.epoch(1)[16:32]
STAGES = {"stage1": 1, "stage3": 3}


@functools.cache
def by_the_step(name, devices=1):
    """What a training step makes of one batch: inputs, targets, features of stages."""
    case = Case()
    vicinity = Vicinity(**{"alpha": 1.0, **VICINITIES[name]})
    assert vicinity.problems() == []
    key = purpose_key(case.root, Purpose.AUGMENT, STEP)
    labels, inputs = jnp.asarray(case.labels), jnp.asarray(case.inputs)

    def load(rows):
        x = case.prepare(example_keys(key, rows), inputs[rows])
        return Batch(x, jax.nn.one_hot(labels[rows], case.CLASSES))

    data = TrainData(
        inputs, labels, INDICES, case.root, jnp.float32(vicinity.alpha), NEIGHBOURS
    )

    def on_device(positions):
        place = Place(jnp.int32(STEP), jnp.float32(1), jnp.asarray(INDICES), positions)
        alpha = vicinity.alpha_at(data.alpha, place.epoch, 10)
        examples = by_index(load, place)
        batch, before_stage = vicinal_batch(vicinity, examples, data, place, alpha)
        stages = [before_stage(k, batch.inputs) for k in (1, 2, 3) if before_stage]
        return batch.inputs, batch.targets, stages

    made = jax.pmap(on_device, axis_name=AXIS, devices=jax.devices()[:devices])(
        jnp.arange(16).reshape(devices, -1)
    )
    return jax.tree.map(lambda leaf: leaf.reshape(16, *leaf.shape[2:]), made)


class ByHand:
    """The same batch, made of the public functions."""

    def __init__(self):
        self.case = Case()
        self.key = purpose_key(self.case.root, Purpose.MIX, STEP)
        self.lam_key, self.partner_key = jax.random.split(self.key)
        self.x, self.y = self.load(INDICES)

    def load(self, rows):
        key = purpose_key(self.case.root, Purpose.AUGMENT, STEP)
        x = self.case.prepare(
            example_keys(key, jnp.asarray(rows)), self.case.inputs[np.asarray(rows)]
        )
        return x, jax.nn.one_hot(self.case.labels[np.asarray(rows)], 3)

    def draw(self, **options):
        return mixup_jax.draw_mixing(self.key, 16, alpha=1.0, **options)

    def mix(self, **options):
        return mixup_jax.apply_mixing(self.draw(**options), (self.x, self.y))

    def make(self, name):
        """Inputs and targets of a vicinity."""
        x, y = self.mix()
        own = mixup_jax.closer(self.draw(), self.y)
        match name:
            case "erm" | "late" | "late cutmix":
                return self.x, self.y
            case "mixup":
                return x, y
            case "pair" | "example":
                return self.mix(lam_per=name)
            case "dirichlet":
                return self.mix(lam_per="example", examples=3)
            case "same_class":
                labels = self.y.argmax(axis=1)
                partner = mixup_jax.sample_class_partners(self.partner_key, labels)
                draw = mixup_jax.Mixing(self.draw().lam, partner)
                return mixup_jax.apply_mixing(draw, self.x), self.y
            case "neighbours":
                (key,) = jax.random.split(self.partner_key, 1)
                rows = mixup_jax.sample_neighbours(key, NEIGHBOURS, jnp.array(INDICES))
                lam = self.draw().lam
                return mixup_jax.blend((self.x, self.y), self.load(rows), lam)
            case "closer":
                draw = self.draw(lam_per="example")
                mixed = mixup_jax.apply_mixing(draw, self.x)
                return mixed, mixup_jax.closer(draw, self.y)
            case "smoothing":
                return self.x, mixup_jax.smooth_labels(self.y, epsilon=0.2)
            case "inputs and smoothing":
                return x, mixup_jax.smooth_labels(own, epsilon=0.2)
            case "extrapolation":
                lam = mixup_jax.sample_lambda(self.lam_key, 1.0, low=-0.9, high=-0.1)
                draw = mixup_jax.Mixing(lam, self.draw().partner)
                x = mixup_jax.apply_mixing(draw, self.x)
                # Targets stay on the simplex.
                inside = draw._replace(lam=lam.clip(0, 1))
                return x, mixup_jax.apply_mixing(inside, self.y)
            case "probability":
                return self.mix(lam_per="example", probability=0.5)
            case "stage1" | "stage3":
                lam_per = VICINITIES[name].get("lam_per", "batch")
                return self.x, self.mix(lam_per=lam_per)[1]
        return None


NOT_BY_HAND = {"noise", "cutmix", "cutmix per example", "mixup or cutmix"}


@pytest.mark.parametrize("name", sorted(VICINITIES.keys() - NOT_BY_HAND))
def test_a_step_sees_what_the_public_functions_make(name):
    # Made on four devices; by hand, in one piece.
    inputs, targets, stages = by_the_step(name, devices=4)
    x, y = ByHand().make(name)
    np.testing.assert_allclose(inputs, x, atol=1e-6)
    np.testing.assert_allclose(targets, y, atol=1e-6)
    if name in STAGES:
        mixed = ByHand().mix(lam_per=VICINITIES[name].get("lam_per", "batch"))[0]
        for k, features in enumerate(stages, start=1):
            expected = mixed if k == STAGES[name] else x
            np.testing.assert_allclose(features, expected, atol=1e-6)
    elif name not in ("erm", "late", "late cutmix"):
        plain_x, plain_y = ByHand().make("erm")
        assert max(np.abs(x - plain_x).max(), np.abs(y - plain_y).max()) > 0.01


def test_noise_is_added_after_everything_else():
    inputs, targets, _ = by_the_step("noise")
    x, y = ByHand().make("erm")
    np.testing.assert_array_equal(targets, y)
    noise = np.asarray(inputs - x).ravel()
    assert scipy.stats.kstest(noise, scipy.stats.norm(0, 0.3).cdf).pvalue > 1e-3


def test_cut_out_pixels_are_the_partners():
    inputs, targets, _ = by_the_step("cutmix")
    x, y = ByHand().make("erm")
    partner = np.asarray(ByHand().draw().partner)
    own = np.isclose(inputs, x, atol=1e-6).all(axis=-1)
    theirs = np.isclose(inputs, x[partner], atol=1e-6).all(axis=-1)
    assert (own | theirs).all()
    moved = np.flatnonzero(partner != np.arange(16))
    share = own[moved].mean(axis=(1, 2))
    assert 0 < share[0] < 1
    expected = share[:, None] * y[moved] + (1 - share[:, None]) * y[partner[moved]]
    np.testing.assert_allclose(targets[moved], expected, atol=1e-6)


@pytest.mark.parametrize("name", sorted(NOT_BY_HAND))
def test_virtual_examples_are_the_same_on_one_device_and_on_four(name):
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6),
        by_the_step(name),
        by_the_step(name, devices=4),
    )


def test_latent_mixing_trains_the_same_on_one_device_and_on_many():
    # Gradients go through the exchange of features.
    fields = {"vicinity": {"mix_at": "stage2"}, "alpha": 1.0}
    one = Case(**fields).train(steps=2)
    many = Case(devices=4, mode="shard_map", **fields).train(steps=2)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6),
        one.params,
        many.params,
    )
    for other in ({}, {"mix_at": "stage3"}):
        trained = Case(alpha=1.0, vicinity=other).train(steps=2)
        gap = jax.tree.map(lambda a, b: np.abs(a - b).max(), one.params, trained.params)
        assert max(jax.tree.leaves(gap)) > 1e-4


def mixed_within_devices(labels, classes, **fields):
    """Targets [2, 4, K] of 8 examples on two devices, pairs within each."""
    labels = jnp.asarray(labels)
    data = TrainData(labels, labels, labels, jax.random.key(7), jnp.float32(1))
    vicinity = Vicinity(alpha=1.0, pairing_scope="device", **fields)

    def load(rows):
        return Batch(jnp.zeros((len(rows), 2)), jax.nn.one_hot(labels[rows], classes))

    def on_device(positions):
        place = Place(jnp.int32(0), jnp.float32(0), jnp.arange(8), positions)
        examples = by_index(load, place)
        return vicinal_batch(vicinity, examples, data, place, data.alpha)[0].targets

    places = jnp.arange(8).reshape(2, 4)
    return np.asarray(
        jax.pmap(on_device, axis_name=AXIS, devices=jax.devices()[:2])(places)
    )


def test_pairs_within_a_device_stay_there():
    # Everyone is a class of their own, so targets tell who was mixed.
    both = mixed_within_devices(np.arange(8), 8)
    assert both[0][:, 4:].max() == 0
    assert both[1][:, :4].max() == 0
    assert ((both > 0) & (both < 1)).any(axis=(1, 2)).all()
    # Each device draws pairs of its own.
    assert (both[0][:, :4] != both[1][:, 4:]).any()


def test_pairs_of_a_class_within_a_device():
    labels = np.array([0, 1, 0, 1, 1, 1, 0, 0])
    both = mixed_within_devices(labels, 2, pairing="same_class")
    np.testing.assert_allclose(both.reshape(8, 2), np.eye(2)[labels], rtol=1e-6)


def test_one_compiled_step_serves_every_alpha():
    case, traces = Case(alpha=1.0), []

    def step(*args):
        traces.append(args)
        return case.step()(*args)

    run = case.placement.parallelise(step)
    order = jnp.arange(40, dtype=jnp.int32)
    losses = set()
    for alpha in (0.0, 0.2, 8.0):
        data = TrainData(
            jnp.asarray(case.inputs),
            jnp.asarray(case.labels),
            order,
            case.root,
            jnp.float32(alpha),
        )
        share = Share(case.placement.positions(16))
        state = run(case.initial(), data, share)
        losses.add(float(state.loss_sum))
    assert len(traces) == 1
    assert len(losses) == 3
