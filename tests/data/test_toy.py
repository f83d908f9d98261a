import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

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


# The Gaussians of figure 5.

DRAWS = 20_000
SAMPLERS = {"ring": (toy.sample_ring, 8), "grid": (toy.sample_grid, 25)}


def centres(name):
    if name == "ring":
        return np.array(
            [(math.sin(k * math.pi / 4), math.cos(k * math.pi / 4)) for k in range(8)]
        )
    return np.array([(k // 5 / 2 - 1, k % 5 / 2 - 1) for k in range(25)])


@pytest.fixture(scope="module", params=sorted(SAMPLERS))
def drawn(request):
    sample, _ = SAMPLERS[request.param]
    points, component = jax.jit(sample, static_argnums=1)(jax.random.key(1), DRAWS)
    return request.param, np.asarray(points), np.asarray(component)


def test_every_gaussian_is_equally_likely(drawn):
    name, _, component = drawn
    counts = np.bincount(component, minlength=SAMPLERS[name][1])
    assert len(counts) == SAMPLERS[name][1]
    assert scipy.stats.chisquare(counts).pvalue > 1e-3


def test_points_scatter_by_a_hundredth_about_the_centre_of_their_gaussian(drawn):
    name, points, component = drawn
    noise = (points - centres(name)[component]) / 0.01
    # 20,000 draws put 4 sigma of the mean inside .03, of the covariance inside .04.
    np.testing.assert_allclose(noise.mean(axis=0), 0, atol=0.03)
    np.testing.assert_allclose(np.cov(noise.T), np.eye(2), atol=0.04)
    for axis in range(2):
        assert scipy.stats.kstest(noise[:, axis], "norm").pvalue > 1e-3


def test_noise_has_nothing_to_do_with_the_gaussian_it_is_added_to(drawn):
    name, points, component = drawn
    noise = points - centres(name)[component]
    groups = [noise[component == k, 0] for k in range(SAMPLERS[name][1])]
    assert scipy.stats.f_oneway(*groups).pvalue > 1e-3


def test_the_whole_ring_and_grid_have_the_moments_of_their_mixture(drawn):
    name, points, _ = drawn
    # Of a coordinate: 1/2 on the circle; (0 + 2/4 + 2) / 5 on the grid.
    variance = {"ring": 0.5, "grid": 0.5}[name] + 0.01**2
    np.testing.assert_allclose(points.mean(axis=0), 0, atol=0.025)
    np.testing.assert_allclose(np.cov(points.T), variance * np.eye(2), atol=0.02)


@pytest.mark.parametrize("name", sorted(SAMPLERS))
def test_gaussians_are_drawn_by_the_key_alone_under_jit_and_vmap(name):
    sample, _ = SAMPLERS[name]
    keys = jax.random.split(jax.random.key(7), 3)
    points, component = jax.vmap(lambda key: sample(key, 5))(keys)
    assert points.shape == (3, 5, 2) and points.dtype == jnp.float32
    assert component.shape == (3, 5) and component.dtype == jnp.int32
    again, _ = jax.jit(sample, static_argnums=1)(keys[2], 5)
    np.testing.assert_allclose(points[2], again, atol=1e-6)
    assert np.abs(points[0] - points[1]).max() > 0.1


def test_gaussian_and_noise_are_drawn_with_keys_of_their_own():
    with jax.debug_key_reuse(True):
        toy.sample_ring(jax.random.key(0), 3)


def test_no_points_can_be_drawn_and_fewer_are_refused():
    points, component = toy.sample_ring(jax.random.key(0), 0)
    assert points.shape == (0, 2) and component.shape == (0,)
    with pytest.raises(ValueError, match="at least 0, got -1"):
        toy.sample_grid(jax.random.key(0), -1)
