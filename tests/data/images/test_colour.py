import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mixup_jax.data.images.colour import colour_jitter, lighting

KEYS = jax.random.split(jax.random.key(0), 6)
IMAGES = jnp.asarray(np.random.default_rng(0).random((6, 5, 4, 3), np.float32))


def one_by_one(image, factors, order):
    """The three changes as the reference applies them, in a given order."""
    grey_of = lambda x: x @ np.array([0.299, 0.587, 0.114])  # noqa: E731
    brightness, contrast, saturation = factors
    changes = {
        "brightness": lambda x: brightness * x,
        "contrast": lambda x: contrast * x + (1 - contrast) * grey_of(x).mean(),
        "saturation": lambda x: (
            saturation * x + (1 - saturation) * grey_of(x)[..., None]
        ),
    }
    for name in order:
        image = changes[name](image)
    return image


@pytest.mark.parametrize(
    "order", list(itertools.permutations(["brightness", "contrast", "saturation"]))
)
def test_jitter_is_the_three_changes_in_any_order(order):
    got = colour_jitter(KEYS, IMAGES, strength=0.4)
    for key, image, result in zip(KEYS, IMAGES, got, strict=True):
        factors = np.asarray(jax.random.uniform(key, (3,), minval=0.6, maxval=1.4))
        expected = one_by_one(np.asarray(image, np.float64), factors, order)
        np.testing.assert_allclose(result, expected, atol=2e-6)


def test_jitter_of_no_strength_changes_nothing():
    np.testing.assert_allclose(
        colour_jitter(KEYS, IMAGES, strength=0.0), IMAGES, atol=1e-6
    )


def test_lighting_adds_one_colour_per_image_with_the_references_spread():
    keys = jax.random.split(jax.random.key(1), 20_000)
    shifts = lighting(keys, jnp.zeros((20_000, 1, 1, 3)), sigma=0.1)[:, 0, 0]
    vectors = np.array(
        [
            [-0.5675, 0.7192, 0.4009],
            [-0.5808, -0.0045, -0.8140],
            [-0.5836, -0.6948, 0.4203],
        ]
    )
    values = np.array([0.2175, 0.0188, 0.0045])
    covariance = vectors @ np.diag((0.1 * values) ** 2) @ vectors.T
    got = np.cov(np.asarray(shifts).T)
    # 20,000 draws: a relative error of about 1 per cent.
    np.testing.assert_allclose(got, covariance, rtol=0.06, atol=1e-6)
    assert abs(np.asarray(shifts).mean(axis=0)).max() < 1e-3
    lit = lighting(KEYS, IMAGES, sigma=0.1) - IMAGES
    np.testing.assert_allclose(
        lit, np.broadcast_to(lit[:, :1, :1], lit.shape), atol=1e-6
    )


def test_an_examples_colours_depend_on_its_key_alone():
    for change in (
        lambda keys, x: colour_jitter(keys, x, strength=0.4),
        lambda keys, x: lighting(keys, x, sigma=0.1),
    ):
        whole = change(KEYS, IMAGES)
        np.testing.assert_allclose(
            whole[4:5], change(KEYS[4:5], IMAGES[4:5]), atol=1e-6
        )
        assert abs(whole[0] - change(KEYS[1:2], IMAGES[:1])[0]).max() > 1e-3


@pytest.mark.parametrize(
    "change",
    [
        lambda: colour_jitter(KEYS, IMAGES, strength=0.4),
        lambda: lighting(KEYS, IMAGES, sigma=0.1),
    ],
)
def test_an_accelerator_does_not_round_colours(change):
    text = str(jax.make_jaxpr(change)())
    assert text.count("dot_general[") == text.count("precision=(Precision.HIGHEST") == 1
