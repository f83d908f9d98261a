import logging

import numpy as np
import pytest

from mixup_jax.data.images import decoding
from mixup_jax.data.images.images import FileImages
from mixup_jax.data.images.survey import pixel_statistics, survey, surveyed
from mixup_jax.errors import UsageError
from tests.data.pictures import encode, picture


@pytest.fixture
def images(tmp_path):
    """150 images: more than one task, on more than one thread."""
    folder = tmp_path / "images"
    folder.mkdir()
    for i in range(150):
        pixels = picture(i, 5 + i % 7, 6 + i % 5)
        (folder / f"{i}.png").write_bytes(encode(pixels, "PNG"))
    return FileImages(folder, [f"{i}.png" for i in range(150)])


def all_pixels(images):
    pixels = [images.pixels(i).reshape(-1, 3) for i in range(len(images))]
    return np.concatenate(pixels) / 255


def test_sizes_mean_and_std_are_those_of_all_pixels(images):
    found = survey(images, "it")
    assert found.sizes.tolist() == [[5 + i % 7, 6 + i % 5] for i in range(150)]
    mean, std = pixel_statistics(found)
    np.testing.assert_allclose(mean, all_pixels(images).mean(axis=0), rtol=1e-9)
    np.testing.assert_allclose(std, all_pixels(images).std(axis=0), rtol=1e-6)


def test_statistics_of_some_images_are_theirs_alone(images):
    rows = np.array([3, 77, 149])
    mean, _ = pixel_statistics(survey(images, "it").take(rows))
    expected = all_pixels(images.take(rows)).mean(axis=0)
    np.testing.assert_allclose(mean, expected, rtol=1e-9)


def test_a_constant_channel_has_std_1(tmp_path):
    flat = np.full((4, 4, 3), 77, np.uint8)
    flat[0, 0, 0] = 3
    (tmp_path / "a.png").write_bytes(encode(flat, "PNG"))
    _, std = pixel_statistics(survey(FileImages(tmp_path, ["a.png"]), "it"))
    assert std[1:] == (1.0, 1.0)
    assert 0 < std[0] < 1


@pytest.mark.parametrize(("bad", "more"), [(1, None), (12, "and 2 more")])
def test_images_that_cannot_be_read_are_counted_and_named(images, bad, more):
    for i in range(0, 10 * bad, 10):
        path = images.root / f"{i}.png"
        path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(UsageError) as caught:
        survey(images, "my set")
    text = str(caught.value)
    assert text.startswith(f"{bad} of the 150 images of my set cannot be read")
    assert "0.png: no image that can be read" in text
    assert text.count(".png") == min(bad, 10)
    assert (more or "0.png") in text


def test_a_second_start_does_not_decode(images, tmp_path, monkeypatch):
    def look():
        return surveyed(images, "it", fingerprint="abc", data_dir=str(tmp_path))

    first, found = look()
    monkeypatch.setattr(decoding, "decode", None)
    second, again = look()
    np.testing.assert_array_equal(first.sizes, second.sizes)
    for one, other in zip(found, again, strict=True):
        np.testing.assert_array_equal(one, other)


def test_other_images_are_looked_at_anew(images, tmp_path):
    surveyed(images, "it", fingerprint="abc", data_dir=str(tmp_path))
    (images.root / "0.png").write_bytes(encode(picture(9, 3, 3), "PNG"))
    again, _ = surveyed(images, "it", fingerprint="def", data_dir=str(tmp_path))
    assert again.sizes[0].tolist() == [3, 3]


def test_a_folder_that_cannot_be_written_to_costs_time_only(images, tmp_path, caplog):
    (tmp_path / "file").write_text("")
    with caplog.at_level(logging.WARNING):
        got, _ = surveyed(
            images, "it", fingerprint="abc", data_dir=str(tmp_path / "file")
        )
    assert len(got.sizes) == 150
    assert "the next start is slow" in caplog.text
