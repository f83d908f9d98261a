import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixup_jax.vicinity.cutmix import (
    apply_cutmix,
    apply_switched,
    cutmix,
    draw_cutmix,
    sample_boxes,
    switch,
)
from mixup_jax.vicinity.mix import Mixing, apply_mixing

KEY = jax.random.key(0)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**31 - 1),
    shape=st.sampled_from([(1, 1, 1), (3, 8, 8), (5, 7, 4), (2, 1, 9)]),
    lam_per=st.sampled_from(["batch", "example"]),
)
def test_the_label_share_is_the_share_of_the_pixels(seed, shape, lam_per):
    # Row i is all i: what is left of it can be counted.
    batch = shape[0]
    images = jnp.broadcast_to(jnp.arange(batch)[:, None, None, None], (*shape, 2))
    key = jax.random.key(seed)
    mixed, share = cutmix(key, images, jnp.eye(batch), alpha=1.0, lam_per=lam_per)
    assert mixed.dtype == images.dtype
    for row in range(batch):
        counted = np.bincount(np.asarray(mixed[row, ..., 0]).ravel(), minlength=batch)
        np.testing.assert_allclose(share[row], counted / counted.sum(), atol=1e-6)


def test_boxes_are_rectangles_of_the_asked_area_cut_off_at_the_border():
    boxes = 1 - np.asarray(sample_boxes(KEY, jnp.full((4000,), 0.75), 16, 8))
    heights = boxes.any(axis=2).sum(axis=1)
    widths = boxes.any(axis=1).sum(axis=1)
    np.testing.assert_array_equal(boxes.sum(axis=(1, 2)), heights * widths)
    # sqrt(1 - 0.75) = 1/2 of each side, where the border does not cut.
    assert (heights.max(), widths.max()) == (8, 4)
    # The middle is uniform: a corner pixel is inside when the middle is among the
    # 5 x 3 nearest places of 16 x 8 (half sides 4 and 2, the far end left out).
    for corner, places in (((0, 0), 5 * 3), ((-1, -1), 4 * 2)):
        share = boxes[:, corner[0], corner[1]].mean()
        expected = places / (16 * 8)
        assert abs(share - expected) < 4 * np.sqrt(expected / 4000)


def test_lambda_at_its_ends():
    boxes = sample_boxes(KEY, jnp.array([1.0]), 6, 6)
    np.testing.assert_array_equal(boxes, np.ones((1, 6, 6)))
    images, targets = jax.random.normal(KEY, (4, 6, 6, 3)), jnp.eye(4)
    same = cutmix(KEY, images, targets, alpha=0.0)
    np.testing.assert_array_equal(same[0], images)
    np.testing.assert_array_equal(same[1], targets)


def test_bytes_and_masks_are_pasted_as_they_are():
    images = jax.random.randint(KEY, (4, 6, 6, 3), 0, 256).astype(jnp.uint8)
    masks = jnp.arange(4, dtype=jnp.int32)[:, None, None] * jnp.ones(
        (4, 6, 6), jnp.int32
    )
    draw = draw_cutmix(KEY, (4, 6, 6), alpha=1.0, lam_per="example")
    pasted, ids = apply_cutmix(draw, (images, masks))
    assert pasted.dtype == jnp.uint8
    for row in range(4):
        source = images[np.asarray(ids[row])[..., None], *np.ogrid[:6, :6, :3]]
        np.testing.assert_array_equal(pasted[row], source)


def test_switching_takes_one_or_the_other():
    images = jax.random.normal(KEY, (4, 6, 6, 3))
    draw = draw_cutmix(KEY, (4, 6, 6), alpha=1.0)
    for lam in (jnp.float32(0.3), jnp.array([0.1, 0.2, 0.3, 0.4])):
        always = switch(KEY, 1.0, draw, lam)
        np.testing.assert_allclose(
            apply_switched(always, images), apply_cutmix(draw, images)
        )
        np.testing.assert_array_equal(always.lam, np.broadcast_to(draw.lam, lam.shape))
        never = switch(KEY, 0.0, draw, lam)
        np.testing.assert_allclose(
            apply_switched(never, images),
            apply_mixing(Mixing(lam, draw.partner), images),
            rtol=1e-6,
        )
        np.testing.assert_array_equal(never.lam, lam)
    keys = jax.random.split(KEY, 4000)
    lams = jax.vmap(lambda key: switch(key, 0.3, draw, jnp.float32(0.0)).lam)(keys)
    assert abs((np.asarray(lams) > 0).mean() - 0.3) < 0.03


def test_what_cannot_be_cut_is_refused():
    with pytest.raises(ValueError, match="lam_per must be 'batch' or 'example'"):
        draw_cutmix(KEY, (4, 6, 6), alpha=1.0, lam_per="pair")
    with pytest.raises(ValueError, match="one-hot encode first"):
        cutmix(KEY, jnp.ones((2, 3, 3)), jnp.array([0, 1]), alpha=1.0)
    with pytest.raises(ValueError, match=r"cuts images, .* got shape \(2, 3\)"):
        cutmix(KEY, jnp.ones((2, 3)), jnp.ones((2, 2)), alpha=1.0)
