import numpy as np
import pytest

from mixup_jax.data import mnist5k, toy
from mixup_jax.data.dataset import ImageDataset, ImageSplit
from mixup_jax.data.images import conversion
from mixup_jax.data.images.conversion import in_memory, streamed
from mixup_jax.data.images.images import FileImages
from mixup_jax.errors import UsageError
from tests.data.pictures import encode, picture


def dataset(folder, sizes):
    for i, size in enumerate(sizes):
        (folder / f"{i}.png").write_bytes(encode(picture(i, *size), "PNG"))
    paths = [f"{i}.png" for i in range(len(sizes))]
    images = FileImages(folder, paths, sizes=np.array(sizes, np.int32))
    labels = np.arange(len(sizes), dtype=np.int32) % 2
    half = np.arange(len(sizes) // 2)
    train = ImageSplit(images.take(half), labels[half])
    test = ImageSplit(images.take(half + len(half)), labels[half])
    return ImageDataset("set", "a set", train, test, 2, (0.5,) * 3, (0.2,) * 3)


def test_images_of_one_size_become_arrays(tmp_path):
    got = in_memory(dataset(tmp_path, [(6, 5)] * 8))
    expected = np.stack([picture(i, 6, 5) for i in range(8)])
    np.testing.assert_array_equal(got.train.inputs, expected[:4])
    np.testing.assert_array_equal(got.test.inputs, expected[4:])
    assert (got.title, got.mean, got.train.labels.tolist()) == (
        "a set",
        (0.5,) * 3,
        [0, 1, 0, 1],
    )


def test_images_of_several_sizes_are_pointed_to_image_size(tmp_path):
    with pytest.raises(UsageError, match=r"from 5 x 5 to 6 x 9 pixels; --image_size=S"):
        in_memory(dataset(tmp_path, [(6, 5)] * 5 + [(5, 9)]))


def test_too_many_images_are_pointed_to_image_size(tmp_path, monkeypatch):
    monkeypatch.setattr(conversion, "_LARGEST", 700)
    with pytest.raises(UsageError, match="in memory; --image_size=S streams"):
        in_memory(dataset(tmp_path, [(6, 5)] * 8))


def test_arrays_can_be_streamed_and_stay_what_they_are():
    digits = mnist5k.load()
    images = streamed(digits)
    np.testing.assert_array_equal(images.test.images.pixels(7), digits.test.inputs[7])
    assert (images.title, images.num_classes) == (digits.title, 10)
    assert in_memory(digits) is digits
    assert streamed(images) is images


def test_what_has_no_images_cannot_be_streamed():
    with pytest.raises(UsageError, match="image_size is for images, and two rings"):
        streamed(toy.load())
