import dataclasses

import numpy as np
import pytest

from mixup_jax.data import dataset
from mixup_jax.data.dataset import Dataset, Split
from mixup_jax.errors import UsageError


def _images(n, shape=(2, 2, 3)):
    inputs = np.arange(n * np.prod(shape)).reshape(n, *shape) % 256
    return Split(inputs.astype(np.uint8), (np.arange(n) % 2).astype(np.int32))


def _features(n):
    return Split(np.ones((n, 3), np.float32), np.zeros(n, np.int32))


def _dataset(train, test=None, **changes):
    fields = dict(
        name="tiny",
        title="Tiny",
        num_classes=2,
        mean=(0.5, 0.5, 0.5),
        std=(0.25, 0.25, 0.25),
    )
    return Dataset(train=train, test=test or train, **(fields | changes))


def test_a_sound_dataset_is_taken_as_it_is():
    train, test = _images(4), _images(2)
    built = _dataset(train, test)
    assert built.train.inputs is train.inputs
    assert built.test.labels is test.labels


def test_sounds_are_kept_in_16_bits():
    sounds = Split(np.full((2, 16, 1), -32_768, np.int16), np.zeros(2, np.int32))
    built = _dataset(sounds, mean=(0.0,), std=(1.0,))
    assert built.train.inputs is sounds.inputs


def test_a_validation_split_is_optional_and_checked_as_the_others_are():
    train, third = _images(4), _images(2)
    assert _dataset(train).validation is None
    assert _dataset(train, validation=third).validation is third
    with pytest.raises(UsageError, match=r"validation ones \(3, 2, 3\)"):
        _dataset(train, validation=_images(4, (3, 2, 3)))
    third.labels[1] = 2
    with pytest.raises(UsageError, match="validation split: label 2 at index 1"):
        _dataset(train, validation=third)


@pytest.mark.parametrize("bad", [-1, 2])
def test_a_label_outside_the_classes_is_named_with_index_and_split(bad):
    test = _images(4)
    test.labels[3] = bad
    with pytest.raises(
        UsageError, match=rf"test split: label {bad} at index 3.*0 to 1"
    ):
        _dataset(_images(4), test)


def test_splits_of_different_kinds_and_a_single_class_are_refused_by_name():
    words = Split(np.ones((2, 2), np.float32), np.zeros(2, np.int32))
    bytes_ = Split(np.ones((2, 2), np.uint8), np.zeros(2, np.int32))
    with pytest.raises(UsageError, match=r"Tiny: training .* float32, test ones uint8"):
        _dataset(words, bytes_, mean=(0.0, 0.0), std=(1.0, 1.0))
    with pytest.raises(UsageError, match="Tiny: num_classes must be at least 2, got 1"):
        _dataset(_features(4), num_classes=1)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_non_finite_feature_is_named_by_its_index(bad):
    train = _features(5)
    train.inputs[2, 1] = bad
    with pytest.raises(UsageError, match="train split: the input at index 2"):
        _dataset(train, _features(5))


@pytest.mark.parametrize(
    ("train", "message"),
    [
        (_images(0), "no examples"),
        (Split(_images(4).inputs, _images(3).labels), "4 inputs but 3 labels"),
        (Split(_images(4).inputs.astype(np.float64), _images(4).labels), "float64"),
        (Split(_images(4).inputs, _images(4).labels.astype(np.int64)), "int64"),
        (Split(np.zeros(4, np.float32), _images(4).labels), r"\(4,\)"),
        (_images(4, (2, 2)), r"\[N, H, W, 1\], got shape \(4, 2, 2\)"),
        (_images(4, (3, 8, 8)), r"channels in the first.*moveaxis\(inputs, 1, -1\)"),
        (_images(4, (2, 0, 3)), r"examples hold nothing, .*\(4, 2, 0, 3\)"),
        (Split(np.zeros((4, 9), np.int16), _images(4).labels), r"sounds.*\[N, T, 1\]"),
        (Split([[1.0]], [0]), "must be NumPy arrays, got list and list"),
        (_images(4, (3, 2, 3)), "shape"),
    ],
)
def test_malformed_splits_are_refused_and_say_why(train, message, untyped):
    with pytest.raises(UsageError, match=message):
        _dataset(train, _images(4))


@pytest.mark.parametrize(
    "changes",
    [
        {"mean": (0.5,)},
        {"std": (0.25, 0.25)},
        {"std": (0.25, 0.0, 0.25)},
        {"mean": (0.5, float("nan"), 0.5)},
        {"num_classes": 1},
    ],
    ids=str,
)
def test_statistics_and_classes_that_cannot_be_used_are_refused(changes):
    with pytest.raises(UsageError):
        _dataset(_images(4), **changes)


def test_a_dataset_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        _dataset(_images(4)).name = "other"


def test_take_keeps_the_first_examples_and_says_so_in_the_title():
    whole = _dataset(_images(6), _images(4))
    some = dataset.take(whole, train=3, test=2)
    np.testing.assert_array_equal(some.train.inputs, whole.train.inputs[:3])
    np.testing.assert_array_equal(some.train.labels, [0, 1, 0])
    np.testing.assert_array_equal(some.test.inputs, whole.test.inputs[:2])
    assert some.title == "Tiny, first 3 train examples, first 2 test examples"
    assert (some.mean, some.std) == (whole.mean, whole.std)


def test_take_of_nothing_or_of_all_changes_neither_data_nor_title():
    whole = _dataset(_images(6), _images(4))
    for same in (dataset.take(whole), dataset.take(whole, train=6, test=4)):
        assert same.title == "Tiny"
        assert len(same.train.labels) == 6
        assert len(same.test.labels) == 4


@pytest.mark.parametrize("counts", [{"train": 7}, {"test": 5}, {"train": -1}], ids=str)
def test_take_refuses_more_than_there_is(counts):
    whole = _dataset(_images(6), _images(4))
    with pytest.raises(UsageError, match=f"{next(iter(counts.values()))} "):
        dataset.take(whole, **counts)


def test_statistics_of_bytes_match_hand_computed_values():
    # Channel 0: 0, 255, 0, 255 -> mean 1/2, std 1/2. Channel 1: 0, 0, 0, 51 (= 1/5)
    # -> mean 1/20, variance (1/5)^2 / 4 - (1/20)^2 = 3/400. Channel 2 is constant.
    pixels = [[0, 0, 7], [255, 0, 7], [0, 0, 7], [255, 51, 7]]
    images = np.array(pixels, np.uint8).reshape(2, 2, 1, 3)
    mean, std = dataset.channel_statistics(images)
    np.testing.assert_allclose(mean, [0.5, 0.05, 7 / 255], rtol=1e-12)
    np.testing.assert_allclose(std, [0.5, np.sqrt(3 / 400), 1.0], rtol=1e-12)


def test_statistics_of_bytes_match_numpy_on_more_than_one_block():
    images = np.random.RandomState(0).randint(0, 256, (2500, 3, 2, 2)).astype(np.uint8)
    mean, std = dataset.channel_statistics(images)
    scaled = images.astype(np.float64) / 255
    np.testing.assert_allclose(mean, scaled.mean((0, 1, 2)), rtol=1e-12)
    np.testing.assert_allclose(std, scaled.std((0, 1, 2)), rtol=1e-12)


def test_statistics_of_features_are_in_their_own_units_and_computed_in_float64():
    # In float32, 1e4 + 0.01 k has no room for a std of about 0.01.
    features = np.array([[10000.0, 5.0], [10002.0, 5.0]], np.float32)
    mean, std = dataset.channel_statistics(np.repeat(features, 50_000, axis=0))
    np.testing.assert_allclose(mean, [10001.0, 5.0], rtol=1e-12)
    np.testing.assert_allclose(std, [1.0, 1.0], rtol=1e-12)
