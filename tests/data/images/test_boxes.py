import numpy as np
import pytest
import scipy.stats

from mixup_jax.data.images.boxes import Crop, centre_crop, random_box, random_crop
from mixup_jax.data.images.decoding import resize
from mixup_jax.data.images.images import PackedImages, from_array
from tests.data.pictures import encode, picture, ramp


def boxes(count, height, width, **options):
    rng = np.random.default_rng(0)
    return np.array(
        [random_box(rng.random(50), height, width, **options) for _ in range(count)]
    )


def by_the_rule(rng, height, width, low=0.08):
    """The same law, written down apart: ten tries, area then ratio then turn."""
    for _ in range(10):
        pixels = rng.uniform(low, 1) * height * width
        ratio = rng.uniform(3 / 4, 4 / 3)
        w, h = round((pixels * ratio) ** 0.5), round((pixels / ratio) ** 0.5)
        if rng.random() < 0.5:
            w, h = h, w
        if h <= height and w <= width:
            return rng.integers(0, height - h + 1), rng.integers(0, width - w + 1), h, w
    side = min(height, width)
    return (height - side) // 2, (width - side) // 2, side, side


@pytest.mark.parametrize(("height", "width"), [(375, 500), (400, 400), (500, 180)])
def test_boxes_have_the_law_of_the_reference(height, width):
    got = boxes(4000, height, width)
    rng = np.random.default_rng(1)
    want = np.array([by_the_rule(rng, height, width) for _ in range(4000)])
    for column in range(4):
        test = scipy.stats.ks_2samp(got[:, column], want[:, column])
        assert test.pvalue > 1e-3, column
    areas = [x[:, 2] * x[:, 3] for x in (got, want)]
    assert scipy.stats.ks_2samp(*areas).pvalue > 1e-3
    assert scipy.stats.ks_2samp(*(x[:, 2] / x[:, 3] for x in (got, want))).pvalue > 1e-3


@pytest.mark.parametrize(("height", "width"), [(1, 1), (3, 2), (375, 500), (9, 900)])
def test_boxes_lie_inside_of_the_image(height, width):
    got = boxes(500, height, width)
    assert (got[:, :2] >= 0).all()
    assert (got[:, 2:] >= 1).all()
    assert (got[:, 0] + got[:, 2] <= height).all()
    assert (got[:, 1] + got[:, 3] <= width).all()


def test_where_nothing_fits_the_box_is_the_square_in_the_centre():
    # Of 10 x 1,000 the smallest part has 800 pixels, no side of which is 10 or less.
    assert set(map(tuple, boxes(50, 10, 1000))) == {(0, 495, 10, 10)}
    assert set(map(tuple, boxes(50, 1000, 10))) == {(495, 0, 10, 10)}


def test_the_smallest_area_can_be_chosen():
    got = boxes(500, 300, 300, smallest_area=0.6)
    assert (got[:, 2] * got[:, 3]).min() > 0.59 * 300 * 300


def images_of(*pixels):
    content = [encode(image, "PNG") for image in pixels]
    ends = np.cumsum([0, *map(len, content)])
    sizes = np.array([image.shape[:2] for image in pixels], np.int32)
    packed = np.frombuffer(b"".join(content), np.uint8)
    return PackedImages("x", packed, np.stack([ends[:-1], ends[1:]], 1), sizes=sizes)


def test_a_crop_is_a_function_of_seed_step_and_example():
    images = images_of(*(picture(i, 40, 50) for i in range(2)))
    crop = Crop(size=16)

    def cut(index=0, **changes):
        draw = {"seed": 3, "step": 5} | changes
        return random_crop(images, index, crop, **draw).tobytes()

    assert cut() == cut()
    assert len({cut(), cut(seed=4), cut(step=6), cut(index=1)}) == 4


def test_half_of_the_crops_are_mirrored_and_boxes_do_not_depend_on_it():
    images, mirrored = images_of(ramp(60, 80)), 0
    for step in range(400):
        cuts = [
            random_crop(images, 0, Crop(12, flip=flip), seed=0, step=step).astype(int)
            for flip in (True, False)
        ]
        assert (cuts[1][:, -1, 1] > cuts[1][:, 0, 1]).all()  # columns rise
        if (cuts[0] != cuts[1]).any():
            np.testing.assert_array_equal(cuts[0][:, ::-1], cuts[1])
            mirrored += 1
    # 200 with std 10.
    assert abs(mirrored - 200) < 45


def test_a_crop_shows_the_part_of_the_image_that_its_box_says(monkeypatch):
    images = images_of(ramp(211, 211))  # rows and columns 20, 21, ... 230
    for step in range(30):
        cut = random_crop(images, 0, Crop(20, flip=False), seed=1, step=step)
        top, bottom = int(cut[0, 0, 0]), int(cut[-1, 0, 0])
        left, right = int(cut[0, 0, 1]), int(cut[0, -1, 1])
        # What is seen spans 8 to 100 per cent of the area, minus half a pixel a side.
        seen = (bottom - top) * (right - left) / 0.95**2 / 211**2
        assert 0.06 < seen <= 1.01
        assert cut[..., 2].tolist() == np.full((20, 20), 128).tolist()


def test_large_parts_are_decoded_in_small_and_look_alike():
    # Without detail that the small version could not show.
    pixels = resize(picture(3, 60, 80), 480, 640)
    content = encode(pixels, quality=95)
    sizes = np.array([[480, 640]], np.int32)
    bounds = np.array([[0, len(content)]])
    packed = PackedImages("x", np.frombuffer(content, np.uint8), bounds, sizes=sizes)
    whole = from_array(pixels[None])  # never reduced
    crop = Crop(size=40, shorter_side=48, smallest_area=0.3)
    for step in range(10):
        small, full = (
            random_crop(images, 0, crop, seed=0, step=step).astype(int)
            for images in (packed, whole)
        )
        assert abs(small - full).mean() < 8
        shifted = np.roll(full, 3, axis=1)
        assert abs(small - full).mean() < 0.5 * abs(small - shifted).mean()
    assert (
        abs(
            centre_crop(packed, 0, crop).astype(int) - centre_crop(whole, 0, crop)
        ).mean()
        < 8
    )


@pytest.mark.parametrize(("height", "width"), [(60, 90), (90, 60), (64, 64), (20, 500)])
def test_the_centre_of_an_image_of_given_shorter_side(height, width):
    cut = centre_crop(images_of(ramp(height, width)), 0, Crop(28, 32)).astype(float)
    assert cut.shape == (28, 28, 3)
    for axis, length in ((0, height), (1, width)):
        lines = cut[..., axis].mean(axis=1 - axis)
        middle = (lines[13] + lines[14]) / 2
        assert abs(middle - 125) < 3  # of 20 to 230
        scale = 32 / min(height, width)
        span = 210 * (28 / scale) / length
        assert lines[-1] - lines[0] == pytest.approx(span, abs=8)


def test_images_too_small_are_enlarged():
    cut = centre_crop(images_of(ramp(5, 7)), 0, Crop(24, 28))
    assert cut.shape == (24, 24, 3)
    assert random_crop(images_of(ramp(5, 7)), 0, Crop(24), seed=0, step=0).shape == (
        24,
        24,
        3,
    )
