import numpy as np
import pytest

from mixup_jax.data import npz
from mixup_jax.data.dataset import Dataset, ImageDataset
from mixup_jax.errors import UsageError
from tests.data.pictures import encode, picture


def packed(labels, seed=0):
    """Arrays of a file of encoded images, and the images."""
    pixels = [picture(seed + i, 6, 5) for i in range(len(labels))]
    files = [encode(image, "PNG") for image in pixels]
    arrays = {
        "jpeg": np.frombuffer(b"".join(files), np.uint8),
        "offsets": np.cumsum([0, *map(len, files)]),
        "labels": np.array(labels, np.uint8),
    }
    return arrays, pixels


def write(folder, **splits):
    for split, arrays in splits.items():
        np.savez(folder / f"mine_{split}.npz", **arrays)
    return str(folder / "mine")


def test_arrays_load_as_they_are_in_a_fixed_random_order(tmp_path):
    rng = np.random.default_rng(0)
    inputs = rng.integers(0, 256, (50, 4, 3, 3), np.uint8)
    arrays = {"inputs": inputs, "labels": np.arange(50) // 10}
    path = write(tmp_path, train=arrays, test=arrays)
    got = npz.load(path)
    assert isinstance(got, Dataset)
    assert (got.title, got.num_classes) == ("mine (npz files)", 5)
    order = [int((inputs == x).all(axis=(1, 2, 3)).argmax()) for x in got.train.inputs]
    assert sorted(order) == list(range(50))
    assert got.train.labels.tolist() == (np.array(order) // 10).tolist()
    assert len(set(got.train.labels[:10].tolist())) > 2  # files are sorted by class
    np.testing.assert_array_equal(npz.load(path).train.inputs, got.train.inputs)
    np.testing.assert_allclose(got.mean, (inputs / 255).mean(axis=(0, 1, 2)))


def test_float_features_load_too(tmp_path):
    arrays = {"inputs": np.eye(6, dtype=np.float32), "labels": np.arange(6) % 3}
    got = npz.load(write(tmp_path, train=arrays, test=arrays))
    assert got.train.inputs.shape == (6, 6)


def test_encoded_images_come_with_their_labels(tmp_path):
    train, pixels = packed([0] * 5 + [1] * 5)
    test, _ = packed([1, 0], seed=50)
    path = write(tmp_path, train=train, test=test)
    got = npz.load(path, data_dir=str(tmp_path / "prepared"))
    assert isinstance(got, ImageDataset)
    found = []
    for i, label in enumerate(got.train.labels):
        image = got.train.images.pixels(i)
        place = next(j for j in range(10) if (pixels[j] == image).all())
        assert label == place // 5
        found.append(place)
    assert sorted(found) == list(range(10))
    np.testing.assert_allclose(got.mean, np.mean(pixels, axis=(0, 1, 2)) / 255)


def test_the_jpeg_copy_of_cifar10_never_passes_for_cifar10(tmp_path):
    train, _ = packed(list(range(10)))
    test, _ = packed([3, 9], seed=50)
    for split, arrays in (("train", train), ("test", test)):
        np.savez(tmp_path / f"cifar10_jpeg_{split}.npz", **arrays)
    got = npz.load_cifar10_jpeg(
        manual_dir=str(tmp_path), data_dir=str(tmp_path / "prepared")
    )
    assert (got.name, got.title) == ("cifar10_jpeg", "CIFAR-10, JPEG copy")
    assert got.train.inputs.shape == (10, 6, 5, 3)
    assert got.mean == (0.4914, 0.4822, 0.4465)


def test_without_a_folder_the_jpeg_copy_says_what_to_put_there():
    with pytest.raises(UsageError, match=r"cifar10_jpeg_train\.npz and .*--manual_dir"):
        npz.load_cifar10_jpeg()


def broken(change):
    arrays, _ = packed([0, 1, 0])
    arrays.update(change(arrays))
    return {name: array for name, array in arrays.items() if array is not None}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: {"labels": None}, "needs an array `labels`"),
        (lambda a: {"labels": np.array([0.5, 1, 2])}, "`labels` of whole numbers"),
        (lambda a: {"labels": np.eye(3)}, r"\[N\], got float64 \(3, 3\); .*argmax"),
        (lambda a: {"labels": np.array([0, 1, -2])}, "label -2 at index 2 is below 0"),
        (
            lambda a: {"labels": np.array([0, 2**40, 1])},
            "label 1099511627776 .*index 1",
        ),
        (lambda a: {"labels": np.zeros(3, int)}, "all 3 labels are 0.*two classes"),
        (lambda a: {"offsets": np.array(["a"])}, "`offsets` must be whole numbers"),
        (lambda a: {"offsets": np.int64(3)}, "`offsets` must be whole numbers"),
        (lambda a: {"labels": np.array([0, 1])}, "3 examples but 2 labels"),
        (lambda a: {"jpeg": None}, "needs an array `inputs`, or `jpeg` and `offsets`"),
        (lambda a: {"jpeg": a["jpeg"].astype(int)}, "`jpeg` must be uint8"),
        (lambda a: {"offsets": a["offsets"][::-1]}, "`offsets` must rise from 0 to"),
        (lambda a: {"offsets": a["offsets"] + 1}, "`offsets` must rise from 0 to"),
        (lambda a: {"jpeg": a["jpeg"][:-9]}, "`offsets` must rise from 0 to"),
        (
            lambda a: {
                "jpeg": np.where(np.arange(len(a["jpeg"])) < 9, 0, a["jpeg"]).astype(
                    "u1"
                )
            },
            "(?s)1 of the 3 images of .*image 0 of mine_train.npz: no image",
        ),
    ],
)
def test_a_file_that_is_not_as_it_should_be_is_refused(change, message, tmp_path):
    path = write(tmp_path, train=broken(change), test=packed([0, 1])[0])
    with pytest.raises(UsageError, match=message) as caught:
        npz.load(path, data_dir=str(tmp_path / "prepared"))
    assert "mine_train.npz" in str(caught.value)


def decoded(change=lambda arrays: {}, count=5):
    arrays = {"inputs": np.ones((count, 3), np.float32), "labels": np.arange(count) % 2}
    return arrays | change(arrays)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: {"inputs": np.float32(3)}, r"\(\)"),
        (lambda a: {"inputs": a["inputs"].astype(int)}, "int64.*astype"),
        (lambda a: {"inputs": a["inputs"].astype(str)}, "got <U32"),
        # In the order of the file, not in the one that they are shuffled into.
        (
            lambda a: {
                "inputs": np.where(np.arange(5)[:, None] < 3, 1, np.nan * a["inputs"])
            },
            "the input at index 3 holds NaN",
        ),
    ],
)
def test_arrays_that_cannot_be_learned_from_are_named_by_file_and_place(
    change, message, tmp_path
):
    path = write(tmp_path, train=decoded(change), test=decoded())
    with pytest.raises(UsageError, match=message) as caught:
        npz.load(path)
    assert "mine" in str(caught.value)


def test_a_test_label_that_is_not_trained_on_is_named_by_its_place_in_the_file(
    tmp_path,
):
    test = decoded(lambda a: {"labels": np.array([0, 1, 1, 7, 0])})
    path = write(tmp_path, train=decoded(), test=test)
    with pytest.raises(UsageError, match="test split: label 7 at index 3 is outside 0"):
        npz.load(path)


def test_both_files_hold_either_decoded_or_encoded_examples(tmp_path):
    path = write(tmp_path, train=decoded(), test=packed([0, 1])[0])
    with pytest.raises(
        UsageError, match=r"mine_train\.npz has `inputs` and .*test.npz has"
    ):
        npz.load(path)


def test_the_name_of_one_of_the_files_is_no_prefix(tmp_path):
    path = write(tmp_path, train=decoded(), test=decoded())
    with pytest.raises(UsageError, match=r"leave out _train\.npz: npz:.*/mine$"):
        npz.load(f"{path}_train.npz")


def test_a_file_of_one_array_or_of_anything_else_is_no_archive(tmp_path):
    path = write(tmp_path, train=decoded(), test=decoded())
    for content in (b"label,x\n", b""):
        (tmp_path / "mine_train.npz").write_bytes(content)
        with pytest.raises(UsageError, match=r"mine_train.npz cannot .* numpy\.savez"):
            npz.load(path)


def test_missing_truncated_and_pickled_files_are_refused_by_name(tmp_path):
    path = write(tmp_path, train=packed([0, 1])[0])
    with pytest.raises(
        UsageError, match=r"there is no file .*mine_test\.npz; npz:PREFIX"
    ):
        npz.load(path)
    test = tmp_path / "mine_test.npz"
    test.write_bytes((tmp_path / "mine_train.npz").read_bytes()[:100])
    with pytest.raises(UsageError, match=r"mine_test\.npz cannot be read"):
        npz.load(path)
    np.savez(test, labels=np.array([{"a": 1}], dtype=object))
    with pytest.raises(UsageError, match=r"mine_test\.npz cannot be read"):
        npz.load(path)
