import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mixup_jax.data import augment as augment_module
from mixup_jax.data.augment import normalise
from mixup_jax.errors import UsageError

augment = jax.jit(augment_module.augment, static_argnames=("pad", "flip"))

# Every pixel different from the others and from the padding.
IMAGES = jnp.arange(1, 241, dtype=jnp.uint8).reshape(5, 4, 6, 2)


def _keys(n, seed=0):
    return jax.random.split(jax.random.key(seed), n)


def _all_outcomes(image, pad, flips):
    """Every crop of the padded image, made with numpy slices: {(y, x, flip): crop}."""
    height, width, _ = image.shape
    padded = np.pad(image, ((pad, pad), (pad, pad), (0, 0)))
    return {
        (y, x, flip): padded[y : y + height, x : x + width][:, :: -1 if flip else 1]
        for y in range(2 * pad + 1)
        for x in range(2 * pad + 1)
        for flip in flips
    }


def _outcome(image, got, pad, flips=(False, True)):
    matches = [
        which
        for which, crop in _all_outcomes(np.asarray(image), pad, flips).items()
        if np.array_equal(crop, got)
    ]
    assert len(matches) == 1
    return matches[0]


def test_every_result_is_one_of_the_crops_and_each_is_as_frequent():
    # 1-pixel pad: 9 corners x 2 flips.
    n = 9000
    copies = jnp.broadcast_to(IMAGES[0], (n, *IMAGES.shape[1:]))
    got = np.asarray(augment(_keys(n), copies, pad=1, flip=True))
    distinct, counts = np.unique(got.reshape(n, -1), axis=0, return_counts=True)
    outcomes = {_outcome(IMAGES[0], row.reshape(4, 6, 2), 1) for row in distinct}
    assert len(outcomes) == 18
    # 500 each with std 21.7; 5 sigma.
    assert abs(counts - 500).max() < 110


def test_pad_alone_never_flips_and_flip_alone_never_shifts():
    copies = jnp.broadcast_to(IMAGES[0], (200, *IMAGES.shape[1:]))
    padded = augment(_keys(200), copies, pad=2, flip=False)
    for row in np.asarray(padded):
        _outcome(IMAGES[0], row, 2, flips=(False,))
    flipped = np.asarray(augment(_keys(200), copies, pad=0, flip=True))
    seen = {_outcome(IMAGES[0], row, 0) for row in flipped}
    assert seen == {(0, 0, False), (0, 0, True)}


def test_a_key_fixes_its_draw_whatever_else_is_in_the_batch():
    keys = _keys(5)
    whole = augment(keys, IMAGES, pad=3, flip=True)
    order = jnp.array([3, 0, 4])
    part = augment(keys[order], IMAGES[order], pad=3, flip=True)
    np.testing.assert_array_equal(part, whole[order])


def test_different_keys_give_different_draws():
    first, second = (augment(_keys(5, s), IMAGES, pad=3, flip=True) for s in (0, 1))
    assert (np.asarray(first) != np.asarray(second)).any(axis=(1, 2, 3)).sum() >= 4


def test_without_pad_and_flip_inputs_of_any_kind_come_back():
    features = jnp.ones((5, 3))
    assert augment_module.augment(_keys(5), features, pad=0, flip=False) is features


def test_it_is_the_same_under_jit_vmap_pmap_and_with_legacy_keys():
    def crop(keys, images):
        return augment_module.augment(keys, images, pad=2, flip=True)

    want = np.asarray(crop(_keys(5), IMAGES))
    np.testing.assert_array_equal(jax.jit(crop)(_keys(5), IMAGES), want)
    stacked = jax.jit(jax.vmap(crop))(_keys(5)[None], IMAGES[None])
    np.testing.assert_array_equal(stacked[0], want)
    devices = min(jax.device_count(), 5)
    sharded = jax.pmap(crop)(_keys(5)[:devices, None], IMAGES[:devices, None])
    np.testing.assert_array_equal(sharded[:, 0], want[:devices])
    np.testing.assert_array_equal(
        jax.jit(crop)(jax.random.key_data(_keys(5)), IMAGES), want
    )


def test_the_dtype_is_kept_and_padding_is_zero():
    for dtype in (jnp.uint8, jnp.float32):
        images = jnp.full((50, 4, 4, 1), 9, dtype)
        got = augment(_keys(50), images, pad=4, flip=False)
        assert got.dtype == dtype
        assert set(np.unique(got).tolist()) == {0, 9}


def test_a_pad_wider_than_the_image_is_no_trouble():
    got = np.asarray(augment(_keys(5), IMAGES, pad=9, flip=True))
    for image, row in zip(np.asarray(IMAGES), got, strict=True):
        crops = _all_outcomes(image, 9, (False, True)).values()
        assert any(np.array_equal(crop, row) for crop in crops)


@pytest.mark.parametrize(
    "options", [{"pad": 1, "flip": False}, {"pad": 0, "flip": True}]
)
def test_features_cannot_be_cropped_or_flipped(options):
    with pytest.raises(UsageError, match=r"\(5, 3\)"):
        augment(_keys(5), jnp.ones((5, 3)), **options)


def test_a_negative_pad_is_refused():
    with pytest.raises(UsageError, match="-1"):
        augment(_keys(5), IMAGES, pad=-1, flip=False)


def test_images_are_scaled_to_1_before_they_are_normalised():
    images = jnp.array([[[[0, 255]], [[51, 102]]]], jnp.uint8)
    got = normalise(images, (0.2, 0.5), (0.5, 0.25))
    # (0 - .2) / .5, (1 - .5) / .25; (.2 - .2) / .5, (.4 - .5) / .25
    np.testing.assert_allclose(got, [[[[-0.4, 2.0]], [[0.0, -0.4]]]], atol=1e-6)
    assert got.dtype == jnp.float32


def test_features_are_normalised_in_their_own_units():
    got = normalise(jnp.array([[10.0, 255.0]]), (4.0, 5.0), (3.0, 50.0))
    np.testing.assert_allclose(got, [[2.0, 5.0]], rtol=1e-6)


@pytest.mark.parametrize(
    ("mean", "std"), [((0.5,), (1.0, 1.0)), ((0.5, 0.5), (1.0,)), ((0.5,), (1.0,))]
)
def test_statistics_must_have_one_number_per_channel(mean, std):
    with pytest.raises(UsageError, match="2 channels"):
        normalise(IMAGES, mean, std)
