import numpy as np
import pytest

from mixup_jax.data import toy


def test_class_0_lies_around_radius_1_and_class_1_around_radius_0_3():
    points, labels = toy.sample_rings(3, 20_000)
    radius = np.linalg.norm(points, axis=1)
    # Noise of std s per coordinate adds about s^2 / 2r to the mean radius; 10,000
    # points a ring put 4 sigma of the mean inside .002, of the std inside .0015.
    for label, r in ((0, 1.0), (1, 0.3)):
        ring = radius[labels == label]
        np.testing.assert_allclose(ring.mean(), r + 0.05**2 / (2 * r), atol=0.002)
        np.testing.assert_allclose(ring.std(), 0.05, atol=0.0015)


def test_angles_go_all_around():
    points, labels = toy.sample_rings(3, 20_000)
    for label in (0, 1):
        angles = np.arctan2(*points[labels == label].T)
        counts, _ = np.histogram(angles, bins=8, range=(-np.pi, np.pi))
        # 10,000 / 8 = 1,250 a bin with std 33; 5 sigma.
        assert abs(counts - 1250).max() < 165


def test_half_of_the_points_are_of_each_class_in_mixed_order():
    labels = toy.sample_rings(0, 101).labels
    assert (labels == 0).sum() == 51
    # 101 alternating or sorted labels would change 100 or 1 times.
    assert 30 < np.count_nonzero(np.diff(labels)) < 70


def test_draws_depend_on_the_seed_alone():
    np.testing.assert_array_equal(
        toy.sample_rings(5, 10).inputs, toy.sample_rings(5, 10).inputs
    )
    assert (toy.sample_rings(5, 10).inputs != toy.sample_rings(6, 10).inputs).all()


def test_the_data_set_is_fixed_and_its_splits_differ():
    first, again = toy.load(), toy.load()
    np.testing.assert_array_equal(first.train.inputs, again.train.inputs)
    assert first.train.inputs.shape == first.test.inputs.shape == (1000, 2)
    assert first.train.inputs.dtype == np.float32
    assert (first.train.inputs != first.test.inputs).all()
    # Its values are part of every figure made of it.
    np.testing.assert_allclose(first.train.inputs[0], [0.273609, -0.032376], atol=1e-6)


def test_the_classes_are_where_scikit_learn_puts_them():
    datasets = pytest.importorskip("sklearn.datasets")
    _, labels = datasets.make_circles(10, factor=0.3, random_state=0)
    points, _ = datasets.make_circles(10, factor=0.3, random_state=0)
    outside = np.linalg.norm(points, axis=1) > 0.5
    np.testing.assert_array_equal(labels == 0, outside)
    ours, ours_labels = toy.sample_rings(0, 100)
    np.testing.assert_array_equal(ours_labels == 0, np.linalg.norm(ours, axis=1) > 0.65)
