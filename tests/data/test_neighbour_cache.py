import dataclasses
import logging
import os

import numpy as np
import pytest

from mixup_jax.data import neighbour_cache
from mixup_jax.data.dataset import Dataset, Split, take
from mixup_jax.data.neighbour_cache import cached_neighbours
from mixup_jax.errors import UsageError
from mixup_jax.vicinity.neighbours import nearest_neighbours


def _split(count, seed):
    rng = np.random.RandomState(seed)
    images = rng.randint(0, 256, (count, 2, 2, 1)).astype(np.uint8)
    return Split(images, rng.randint(0, 10, count).astype(np.int32))


@pytest.fixture(scope="module")
def dots():
    return Dataset("dots", "Dots", _split(2001, 0), _split(5, 1), 10, (0.5,), (0.3,))


@pytest.fixture
def computed(monkeypatch):
    """The k of each computation, in order."""
    calls = []

    def counted(points, k, **options):
        calls.append(k)
        return nearest_neighbours(points, k, **options)

    monkeypatch.setattr(neighbour_cache, "nearest_neighbours", counted)
    return calls


def _files(root):
    return sorted(path.name for path in (root / "dots").glob("*"))


def assert_same(got, want):
    for a, b in zip(got, want, strict=True):
        assert type(a) is np.ndarray
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("same_class", [False, True])
def test_neighbours_are_found_once_and_then_read(
    same_class, dots, tmp_path, computed, caplog
):
    labels = dots.train.labels if same_class else None
    want = nearest_neighbours(dots.train.inputs, 3, labels=labels)
    for _ in range(3):
        got = cached_neighbours(dots, 3, labels=labels, data_dir=str(tmp_path))
        assert_same(got, want)
    assert computed == [3]
    assert [record.message for record in caplog.records] == [
        "finding the nearest neighbours in Dots, this once"
    ]


def test_other_data_classes_or_k_have_files_of_their_own(dots, tmp_path, computed):
    root = str(tmp_path)
    labels = dots.train.labels
    other_labels = np.roll(labels, 1)
    pixels = dots.train.inputs.copy()
    pixels[-1, -1, -1, -1] ^= 1
    turned = dots.train.inputs.reshape(2001, 1, 4, 1)
    sets = [
        dots,
        take(dots, train=2000),
        dataclasses.replace(dots, train=Split(pixels, labels)),
        dataclasses.replace(
            dots,
            train=Split(turned, labels),
            test=Split(turned[:5], labels[:5]),
        ),
    ]
    for _ in range(2):
        for dataset in sets:
            cached_neighbours(dataset, 3, data_dir=root)
        cached_neighbours(dots, 4, data_dir=root)
        for classes in (labels, other_labels):
            got = cached_neighbours(dots, 3, labels=classes, data_dir=root)
            assert (classes[got.indices] == classes[:, None]).all()
    assert len(computed) == len(_files(tmp_path)) == len(sets) + 3


def test_a_file_under_a_wrong_name_is_not_believed(dots, tmp_path, computed):
    root = str(tmp_path)
    cached_neighbours(dots, 3, data_dir=root)
    cached_neighbours(dots, 4, data_dir=root)
    three, four = (tmp_path / "dots" / name for name in _files(tmp_path))
    os.replace(three, four)
    assert cached_neighbours(dots, 4, data_dir=root).indices.shape == (2001, 4)
    assert computed == [3, 4, 4]


def test_a_damaged_file_is_logged_and_made_anew(dots, tmp_path, computed, caplog):
    want = cached_neighbours(dots, 3, data_dir=str(tmp_path))
    (path,) = (tmp_path / "dots").iterdir()
    sound = path.read_bytes()
    os.truncate(path, len(sound) // 2)
    with caplog.at_level(logging.WARNING):
        assert_same(cached_neighbours(dots, 3, data_dir=str(tmp_path)), want)
    assert f"{path} is of no use" in caplog.text
    assert computed == [3, 3]
    cached_neighbours(dots, 3, data_dir=str(tmp_path))
    assert computed == [3, 3]


def test_a_folder_that_cannot_be_written_to_is_no_error(
    dots, tmp_path, computed, caplog
):
    file = tmp_path / "file"
    file.touch()
    want = nearest_neighbours(dots.train.inputs, 3)
    with caplog.at_level(logging.WARNING):
        assert_same(cached_neighbours(dots, 3, data_dir=str(file)), want)
    assert f"neighbours not kept in {file}" in caplog.text
    assert computed == [3]


def test_few_examples_leave_no_file(dots, tmp_path):
    few = take(dots, train=1999)
    want = nearest_neighbours(few.train.inputs, 3)
    assert_same(cached_neighbours(few, 3, data_dir=str(tmp_path)), want)
    assert _files(tmp_path) == []


def test_the_file_is_beside_the_prepared_set(dots, tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    cached_neighbours(dots, 3)
    (name,) = _files(tmp_path)
    assert name.startswith("neighbours_all_3_")
    cached_neighbours(dots, 3, labels=dots.train.labels)
    assert _files(tmp_path)[1].startswith("neighbours_same_class_3_")


def test_what_does_not_fit_the_set_is_the_users_error(dots, tmp_path):
    with pytest.raises(UsageError, match="in Dots: k must be from 1 to 2000"):
        cached_neighbours(dots, 2001, data_dir=str(tmp_path))
    with pytest.raises(UsageError, match="local folder, got gs://there"):
        cached_neighbours(dots, 3, data_dir="gs://there")
