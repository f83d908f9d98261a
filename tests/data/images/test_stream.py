import threading

import numpy as np
import pytest

from mixup_jax.data.images.boxes import Crop, centre_crop, random_crop
from mixup_jax.data.images.images import FileImages
from mixup_jax.data.images.stream import ImageStream
from mixup_jax.errors import RunError
from mixup_jax.types import Request
from tests.data.pictures import encode, picture

CROP = Crop(size=8, shorter_side=10)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    sizes = [(12 + i % 5, 14 + i % 3) for i in range(40)]
    for i, size in enumerate(sizes):
        (folder / f"{i}.png").write_bytes(encode(picture(i, *size), "PNG"))
    paths = [f"{i}.png" for i in range(40)]
    return FileImages(folder, paths, sizes=np.array(sizes, np.int32))


def requests(*batches, first=0):
    return [Request(first + i, np.array(b, np.int32)) for i, b in enumerate(batches)]


@pytest.mark.parametrize("workers", [1, 3])
def test_batches_come_in_order_whatever_the_threads(images, workers):
    asked = requests(range(40), [3, 3, 17], [39], range(0, 40, 3), first=7)
    stream = ImageStream(images, CROP, seed=2, workers=workers)
    for request, batch in zip(asked, stream(asked), strict=True):
        for index, got in zip(request.indices, batch, strict=True):
            draw = {"seed": 2, "step": request.step}
            expected = random_crop(images, int(index), CROP, **draw)
            np.testing.assert_array_equal(got, expected)


def test_without_a_seed_centres_come(images):
    (batch,) = ImageStream(images, CROP, seed=None)(requests([5, 6]))
    np.testing.assert_array_equal(batch[1], centre_crop(images, 6, CROP))


def test_an_example_looks_the_same_in_any_batch_and_on_any_host(images):
    stream = ImageStream(images, CROP, seed=0)
    (whole,) = stream(requests(range(40)))
    halves = [next(stream(requests(part))) for part in (range(20), range(20, 40))]
    np.testing.assert_array_equal(whole, np.concatenate(halves))


def test_it_works_two_batches_ahead_and_no_further(images):
    taken = []

    def endless():
        for step in range(1000):
            taken.append(step)
            yield Request(step, np.arange(4, dtype=np.int32))

    batches = ImageStream(images, CROP, seed=0)(endless())
    for step in range(5):
        next(batches)
        assert taken[-1] == step + 2
    batches.close()


def test_closing_ends_the_threads(images):
    batches = ImageStream(images, CROP, seed=0, workers=3)(requests(*[range(40)] * 9))
    next(batches)
    assert any(t.name.startswith("images") for t in threading.enumerate())
    batches.close()
    assert not any(t.name.startswith("images") for t in threading.enumerate())


def test_an_image_that_went_bad_meanwhile_is_named(tmp_path):
    (tmp_path / "a.png").write_bytes(encode(picture(0, 12, 12), "PNG"))
    images = FileImages(tmp_path, ["a.png"], sizes=np.array([[12, 12]], np.int32))
    stream = ImageStream(images, CROP, seed=0)
    assert len(list(stream(requests([0])))) == 1
    (tmp_path / "a.png").write_bytes(b"")
    with pytest.raises(RunError, match=r"a\.png: .*has it changed since"):
        list(stream(requests([0])))
    assert not any(t.name.startswith("images") for t in threading.enumerate())
