import logging
import os
import shutil

import numpy as np
import pytest

from mixup_jax.data import image_folder
from mixup_jax.data.images import decoding
from mixup_jax.errors import UsageError
from tests.data.pictures import encode, folder, picture

COUNTS = {"cat": 5, "dog": 3, "owl": 4}


@pytest.fixture
def split_folder(tmp_path):
    root = tmp_path / "pets"
    folder(root / "train", COUNTS)
    folder(root / "val", {"cat": 2, "dog": 1, "owl": 2}, size=(30, 30))
    return root


def load(root, **options):
    return image_folder.load(
        str(root), data_dir=str(root.parent / "prepared"), **options
    )


def names_and_labels(split):
    return {split.images.name(i): int(label) for i, label in enumerate(split.labels)}


def test_classes_are_the_sorted_folders_and_every_image_is_there(split_folder):
    got = load(split_folder)
    assert (got.title, got.num_classes) == ("images of pets", 3)
    expected = {
        f"{name}/{i:03}.jpg": label
        for label, (name, count) in enumerate(COUNTS.items())
        for i in range(count)
    }
    assert names_and_labels(got.train) == expected
    assert len(got.test.labels) == 5
    for i in range(len(got.train.labels)):
        name = got.train.images.name(i)
        pixels = got.train.images.pixels(i)
        assert pixels.shape[:2] == tuple(got.train.images.sizes[i])
        label, number = expected[name], int(name[4:7])
        original = picture(100 * label + number, 20 + number, 24 + label)
        assert abs(pixels.astype(int) - original).mean() < 12  # JPEG


def test_the_first_examples_are_a_fair_sample_and_the_order_never_changes(split_folder):
    first, second = load(split_folder), load(split_folder)
    assert first.train.labels.tolist() == second.train.labels.tolist()
    assert first.train.labels.tolist() != sorted(first.train.labels.tolist())


def test_statistics_are_those_of_the_training_pixels(split_folder):
    got = load(split_folder)
    pixels = [got.train.images.pixels(i).reshape(-1, 3) for i in range(12)]
    pixels = np.concatenate(pixels) / 255
    np.testing.assert_allclose(got.mean, pixels.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(got.std, pixels.std(axis=0), rtol=1e-5)


def test_a_folder_without_splits_is_split_by_seed(tmp_path):
    root = tmp_path / "pets"
    folder(root, COUNTS)
    got = load(root, split_seed=4)
    assert (len(got.train.labels), len(got.test.labels)) == (8, 4)
    assert got.title == "images of pets, 12 split 8 + 4, split seed 4"
    both = names_and_labels(got.train) | names_and_labels(got.test)
    assert len(both) == 12
    assert names_and_labels(load(root, split_seed=5).train) != names_and_labels(
        got.train
    )
    assert len(load(root, train_share=0.5).train.labels) == 6


def test_images_deep_in_a_class_are_found_and_others_are_mentioned(
    split_folder, caplog
):
    deep = split_folder / "train" / "cat" / "more" / "kittens"
    deep.mkdir(parents=True)
    (deep / "x.PNG").write_bytes(encode(picture(0, 9, 9), "PNG"))
    (split_folder / "train" / "cat" / ".hidden.jpg").write_text("no image")
    (split_folder / "train" / "cat" / "notes.txt").write_text("no image")
    with caplog.at_level(logging.WARNING):
        got = load(split_folder)
    assert names_and_labels(got.train)["cat/more/kittens/x.PNG"] == 0
    assert len(got.train.labels) == 13
    assert "1 files that are no images by their names, such as cat/notes.txt" in (
        caplog.text
    )


def test_a_second_load_decodes_nothing_and_a_changed_file_is_looked_at(
    split_folder, monkeypatch
):
    load(split_folder)
    decode = decoding.decode
    monkeypatch.setattr(decoding, "decode", None)
    load(split_folder)
    (split_folder / "train" / "dog" / "001.jpg").write_bytes(b"now it is broken")
    monkeypatch.setattr(decoding, "decode", decode)
    with pytest.raises(UsageError) as caught:
        load(split_folder)
    text = str(caught.value)
    assert text.startswith(f"1 of the 12 images of {split_folder / 'train'} cannot")
    assert "dog/001.jpg: " in text


def test_a_moved_time_stamp_counts_as_a_change(split_folder, monkeypatch):
    load(split_folder)
    os.utime(split_folder / "train" / "dog" / "001.jpg", (1, 1))
    monkeypatch.setattr(decoding, "decode", None)
    with pytest.raises(TypeError):
        load(split_folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda root: shutil.rmtree(root),
            "there is no folder .*; in it should be train",
        ),
        (
            lambda root: shutil.rmtree(root / "val"),
            "none to test on: validation or val",
        ),
        (
            lambda root: (root / "val" / "cow").mkdir(),
            r"val has classes that are not in .*train: cow",
        ),
        (
            lambda root: [shutil.rmtree(root / "train" / x) for x in ("cat", "dog")],
            "at least two classes, found owl",
        ),
        (
            lambda root: [p.unlink() for p in (root / "val").rglob("*.jpg")],
            "val holds no images: files ending in .bmp, ",
        ),
        (
            lambda root: [p.unlink() for p in (root / "train" / "cat").glob("*.jpg")],
            "train has no images of cat: put some into its folder, or remove it",
        ),
        (
            lambda root: os.symlink("/nonexistent", root / "train" / "cat" / "x.jpg"),
            r"(?s)1 of the 13 images .*cat/x.jpg: .*No such file",
        ),
    ],
)
def test_another_layout_is_refused_by_name(change, message, split_folder):
    change(split_folder)
    with pytest.raises(UsageError, match=message):
        load(split_folder)


def test_hidden_folders_are_no_classes(split_folder):
    (split_folder / "train" / ".ipynb_checkpoints").mkdir()
    (split_folder / "val" / ".ipynb_checkpoints").mkdir()
    assert load(split_folder).num_classes == 3


def test_a_split_of_its_own_takes_no_seed(split_folder):
    with pytest.raises(UsageError, match="splits train and val: leave split_seed"):
        load(split_folder, split_seed=1)
