import gzip
import json
import logging
import os
import stat
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest
import requests

from mixup_jax import data
from mixup_jax.data import array_cache, debian_fashion, tfds_source
from mixup_jax.data.dataset import Split
from mixup_jax.data.manual_files import Published
from mixup_jax.errors import UsageError


def _raw(name):
    """Returns the values of one of the package's idx files, flat."""
    content = gzip.decompress((debian_fashion.FOLDER / name).read_bytes())
    dims = content[3]
    return np.frombuffer(content, np.uint8, offset=4 + 4 * dims)


def _keep_small_cache(root, name, *, shape, classes):
    rng = np.random.RandomState(0)
    splits = [
        Split(
            rng.randint(0, 256, (n, *shape)).astype(np.uint8),
            (np.arange(n) % classes).astype(np.int32),
        )
        for n in (200, 100)
    ]
    (root / name).mkdir()
    arrays = array_cache.measure(*splits)
    array_cache.save(root / name / tfds_source.CACHE_NAME, name, arrays)
    return arrays


# Fashion-MNIST, in full.


def test_a_killed_preparation_leaves_nothing_that_looks_complete(killed_preparation):
    _, left = killed_preparation
    assert any("incomplete" in name for name in left)
    assert tfds_source.CACHE_NAME not in left
    assert not [name for name in left if name[0].isdigit() and "incomplete" not in name]


def test_fashion_mnist_has_all_its_images_in_equal_classes(fashion):
    _, got = fashion
    assert got.train.inputs.shape == (60_000, 28, 28, 1)
    assert got.test.inputs.shape == (10_000, 28, 28, 1)
    assert got.train.inputs.dtype == np.uint8
    assert np.bincount(got.train.labels).tolist() == [6000] * 10
    assert np.bincount(got.test.labels).tolist() == [1000] * 10
    assert got.title == "Fashion-MNIST"


@pytest.mark.parametrize(("split", "prefix"), [("train", "train"), ("test", "t10k")])
def test_every_image_comes_with_its_label_as_in_the_raw_files(fashion, split, prefix):
    inputs, labels = getattr(fashion[1], split)
    raw_images = _raw(f"{prefix}-images-idx3-ubyte.gz").reshape(-1, 784)
    raw_labels = _raw(f"{prefix}-labels-idx1-ubyte.gz")
    # tensorflow-datasets shuffles as it prepares, so compare as sets of rows.
    got = np.concatenate([inputs.reshape(-1, 784), labels[:, None].astype(np.uint8)], 1)
    want = np.concatenate([raw_images, raw_labels[:, None]], 1)
    assert sorted(map(bytes, got)) == sorted(map(bytes, want))


def test_fashion_statistics_are_those_of_the_raw_training_pixels(fashion):
    pixels = _raw("train-images-idx3-ubyte.gz")
    mean = pixels.mean(dtype=np.float64) / 255
    square = np.square(pixels, dtype=np.uint16).mean(dtype=np.float64) / 255**2
    np.testing.assert_allclose(fashion[1].mean, [mean], rtol=1e-9)
    np.testing.assert_allclose(fashion[1].std, [np.sqrt(square - mean**2)], rtol=1e-9)


def test_a_second_load_needs_neither_tensorflow_nor_its_datasets(fashion):
    root, want = fashion
    program = (
        "import sys; sys.modules.update(tensorflow=None, tensorflow_datasets=None);"
        "from mixup_jax import data;"
        "got = data.load('fashion_mnist', data_dir=sys.argv[1]);"
        "print(got.train.labels[:20].tolist())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(root)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == str(want.train.labels[:20].tolist())


def test_a_truncated_cache_is_reported_and_rebuilt_from_the_prepared_set(
    fashion, caplog
):
    root, want = fashion
    cache = root / "fashion_mnist" / tfds_source.CACHE_NAME
    size = cache.stat().st_size
    os.truncate(cache, size // 2)
    with caplog.at_level(logging.WARNING):
        got = tfds_source.load("fashion_mnist", data_dir=str(root))
    assert "built anew" in caplog.text
    assert "preparing" not in caplog.text
    np.testing.assert_array_equal(got.train.inputs, want.train.inputs)
    np.testing.assert_array_equal(got.test.labels, want.test.labels)
    assert cache.stat().st_size == size
    assert stat.S_IMODE(cache.stat().st_mode) == 0o644


# Sets that need no preparation here: their cache is there.


def test_cifar10_is_normalised_with_the_authors_numbers(tmp_path):
    _keep_small_cache(tmp_path, "cifar10", shape=(32, 32, 3), classes=10)
    got = tfds_source.load("cifar10", data_dir=str(tmp_path))
    assert got.mean == (0.4914, 0.4822, 0.4465)
    assert got.std == (0.2023, 0.1994, 0.2010)
    assert got.num_classes == 10


def test_cifar100_is_normalised_with_its_own_training_pixels(tmp_path):
    kept = _keep_small_cache(tmp_path, "cifar100", shape=(32, 32, 3), classes=100)
    got = tfds_source.load("cifar100", data_dir=str(tmp_path))
    scaled = kept.train.inputs / 255
    np.testing.assert_allclose(got.mean, scaled.mean((0, 1, 2)), rtol=1e-9)
    np.testing.assert_allclose(got.std, scaled.std((0, 1, 2)), rtol=1e-9)
    assert got.num_classes == 100


def test_the_environment_names_the_folder_unless_an_argument_does(
    tmp_path, monkeypatch
):
    _keep_small_cache(tmp_path, "cifar10", shape=(32, 32, 3), classes=10)
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    assert len(data.load("cifar10").train.labels) == 200
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "other"))
    assert len(data.load("cifar10", data_dir=str(tmp_path)).train.labels) == 200


# Preparations that cannot be.


def _offline(*_, **__):
    raise requests.exceptions.ConnectionError("name resolution failed")


@pytest.mark.parametrize(
    ("name", "file", "size"),
    [
        ("cifar10", "cifar-10-binary.tar.gz", "170,052,171"),
        ("cifar100", "cifar-100-binary.tar.gz", "168,513,733"),
    ],
)
@pytest.mark.usefixtures("tensorflow")
def test_offline_cifar_says_which_archive_goes_where(
    name, file, size, tmp_path, monkeypatch
):
    monkeypatch.setattr(requests, "get", _offline)
    start = time.monotonic()
    with pytest.raises(UsageError) as caught:
        tfds_source.load(name, data_dir=str(tmp_path))
    assert time.monotonic() - start < 10
    line = f"{file}, {size} bytes, https://www.cs.toronto.edu/~kriz/{file}"
    assert line in str(caught.value)
    assert "--manual_dir" in str(caught.value)


@pytest.mark.usefixtures("tensorflow")
def test_offline_fashion_mnist_without_debian_lists_its_four_files(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(requests, "get", _offline)
    monkeypatch.setattr(debian_fashion, "restore", lambda target: False)
    with pytest.raises(UsageError) as caught:
        tfds_source.load("fashion_mnist", data_dir=str(tmp_path))
    for part in ("train-images", "train-labels", "t10k-images", "t10k-labels"):
        assert part in str(caught.value)
    assert "26,421,880 bytes" in str(caught.value)


@pytest.mark.usefixtures("tensorflow")
def test_a_wrong_archive_in_manual_dir_is_refused_by_name(tmp_path):
    (tmp_path / "cifar-10-binary.tar.gz").write_bytes(b"not it")
    with pytest.raises(UsageError, match=r"cifar-10-binary\.tar\.gz has 6 bytes"):
        tfds_source.load(
            "cifar10", data_dir=str(tmp_path / "data"), manual_dir=str(tmp_path)
        )


def test_without_tensorflow_the_error_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    with pytest.raises(UsageError, match=r"pip install 'mixup-jax\[data\]'"):
        tfds_source.load("cifar10", data_dir=str(tmp_path))


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"cannot write to .*file.*--data_dir"):
        tfds_source.load("cifar10", data_dir=str(tmp_path / "file"))


def test_a_remote_folder_is_refused():
    with pytest.raises(UsageError, match="gs://bucket"):
        tfds_source.load("cifar10", data_dir="gs://bucket")


# The steps of a preparation, with stand-ins for tensorflow-datasets.


class _Builder:
    """Records what it is asked to prepare from; fails if told to."""

    def __init__(self, root, content, error=None):
        name = "train-labels-idx1-ubyte.gz"
        known = SimpleNamespace(filename=name, size=len(content), checksum=SHA_OF_ABC)
        self.name = "fashion_mnist"
        self.data_dir = str(root / self.name / "1.0.0")
        self.url_infos = {"https://example.org/labels": known}
        self.manual_dir = None
        self.error = error

    def download_and_prepare(self, *, download_dir, download_config):
        if self.error:
            raise self.error
        self.manual_dir = download_config.manual_dir
        self.files = [path.name for path in self.manual_dir.iterdir()]


SHA_OF_ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


class _DownloadError(Exception):
    pass


_TFDS = SimpleNamespace(
    as_numpy=lambda examples: examples,
    download=SimpleNamespace(
        DownloadConfig=lambda manual_dir: SimpleNamespace(manual_dir=manual_dir),
        DownloadError=_DownloadError,
    ),
)


def _restore_abc(target):
    (target / "train-labels-idx1-ubyte.gz").write_bytes(b"abc")
    return True


@pytest.mark.usefixtures("tensorflow")
def test_the_users_own_files_come_before_debians(tmp_path, monkeypatch):
    def never(target):
        raise AssertionError("Debian's package was used")

    manual = tmp_path / "manual"
    manual.mkdir()
    _restore_abc(manual)
    monkeypatch.setattr(debian_fashion, "restore", never)
    builder = _Builder(tmp_path, b"abc")
    tfds_source._prepare(_TFDS, builder, manual)
    assert builder.manual_dir == manual


@pytest.mark.usefixtures("tensorflow")
def test_debians_files_stand_in_for_missing_ones_and_are_cleared_away(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(debian_fashion, "restore", _restore_abc)
    monkeypatch.setattr(requests, "get", _offline)
    builder = _Builder(tmp_path, b"abc")
    tfds_source._prepare(_TFDS, builder, None)
    assert builder.files == ["train-labels-idx1-ubyte.gz"]
    assert not builder.manual_dir.exists()


@pytest.mark.usefixtures("tensorflow")
def test_files_that_are_downloaded_already_need_no_network(tmp_path, monkeypatch):
    manual = tmp_path / "manual"
    notes = tmp_path / "downloads" / "fashion_mnist"
    for folder in (manual, notes):
        folder.mkdir(parents=True)
    note = {"urls": ["https://example.org/labels"]}
    (notes / "labels.gz.INFO").write_text(json.dumps(note))
    monkeypatch.setattr(debian_fashion, "restore", lambda target: False)
    monkeypatch.setattr(requests, "get", _offline)
    builder = _Builder(tmp_path, b"abc")
    tfds_source._prepare(_TFDS, builder, manual)
    assert builder.files == []


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (requests.exceptions.ChunkedEncodingError("cut off"), "Fetch by hand"),
        (_DownloadError("HTTP code: 503"), "Fetch by hand"),
        (OSError(28, "No space left on device"), "No space left on device"),
    ],
    ids=["connection", "server", "disk"],
)
@pytest.mark.usefixtures("tensorflow")
def test_a_preparation_that_breaks_off_is_an_error_a_user_can_read(
    error, message, tmp_path, monkeypatch
):
    monkeypatch.setattr(debian_fashion, "restore", _restore_abc)
    with pytest.raises(UsageError, match=message):
        tfds_source._prepare(_TFDS, _Builder(tmp_path, b"abc", error), None)


@pytest.mark.usefixtures("tensorflow")
def test_a_download_of_other_bytes_is_an_error_a_user_can_read(tmp_path):
    from tensorflow_datasets.core.download import download_manager

    files = {"https://example.org/a": Published("a.gz", 3, SHA_OF_ABC)}
    with pytest.raises(UsageError, match=r"a\.gz, 3 bytes, https://example.org/a"):
        with tfds_source._readable_errors(_TFDS, _Builder(tmp_path, b"abc"), files):
            raise download_manager.NonMatchingChecksumError
