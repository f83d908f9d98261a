import numpy as np
import pytest

from mixup_jax.data.images.decoding import Undecodable
from mixup_jax.data.images.images import (
    FileImages,
    PackedImages,
    ShardImages,
    from_array,
)
from tests.data.pictures import encode, picture

PIXELS = [picture(i, 9 + i, 7) for i in range(4)]
FILES = [encode(pixels, "PNG") for pixels in PIXELS]
SIZES = np.array([pixels.shape[:2] for pixels in PIXELS], np.int32)
ENDS = np.cumsum([0, *map(len, FILES)])


def in_files(folder):
    for i, content in enumerate(FILES):
        (folder / f"{i}.png").write_bytes(content)
    return FileImages(folder, [f"{i}.png" for i in range(4)], sizes=SIZES)


def packed(folder):
    content = np.frombuffer(b"".join(FILES), np.uint8)
    bounds = np.stack([ENDS[:-1], ENDS[1:]], 1)
    return PackedImages("all", content, bounds, sizes=SIZES)


def in_shards(folder):
    """Two files of two images each, with bytes before, between and after them."""
    for shard in range(2):
        one, other = FILES[2 * shard : 2 * shard + 2]
        (folder / f"{shard}").write_bytes(b"xx" + one + b"yyy" + other + b"z")
    starts = [2, 5 + len(FILES[0]), 2, 5 + len(FILES[2])]
    return ShardImages(
        [str(folder / f"{shard}") for shard in range(2)],
        np.array([0, 0, 1, 1]),
        np.array(starts),
        np.array([len(content) for content in FILES]),
        sizes=SIZES,
    )


KINDS = [in_files, packed, in_shards]


@pytest.mark.parametrize("make", KINDS)
def test_every_image_is_found(make, tmp_path):
    images = make(tmp_path)
    assert len(images) == 4
    for i, pixels in enumerate(PIXELS):
        np.testing.assert_array_equal(images.pixels(i), pixels)
    assert len({images.name(i) for i in range(4)}) == 4


@pytest.mark.parametrize("make", KINDS)
def test_a_selection_has_its_own_order_and_sizes(make, tmp_path):
    images = make(tmp_path).take(np.array([3, 1]))
    assert len(images) == 2
    np.testing.assert_array_equal(images.pixels(0), PIXELS[3])
    np.testing.assert_array_equal(images.pixels(1), PIXELS[1])
    assert images.sizes.tolist() == [[12, 7], [10, 7]]


@pytest.mark.parametrize("make", KINDS)
def test_an_image_that_cannot_be_read_is_named(make, tmp_path):
    images = make(tmp_path)
    if isinstance(images, PackedImages):
        images.bounds[2, 1] -= 30
    else:
        victim = tmp_path / ("2.png" if isinstance(images, FileImages) else "1")
        victim.write_bytes(victim.read_bytes()[:30])
    with pytest.raises(Undecodable) as caught:
        images.pixels(2)
    assert str(caught.value).startswith(images.name(2))


def test_a_file_that_is_gone_is_named(tmp_path):
    images = in_files(tmp_path)
    (tmp_path / "1.png").unlink()
    with pytest.raises(Undecodable, match=r"1\.png: .*No such file"):
        images.pixels(1)


def test_arrays_are_images_that_are_decoded_already():
    array = np.stack([picture(i, 6, 5, channels=1) for i in range(3)])
    images = from_array(array)
    assert images.channels == 1
    assert images.sizes.tolist() == [[6, 5]] * 3
    np.testing.assert_array_equal(images.pixels(2, reduce=4), array[2])
    np.testing.assert_array_equal(images.take(np.array([1])).pixels(0), array[1])
