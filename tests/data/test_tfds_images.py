"""Any image set of tensorflow-datasets; ImageNet in the layout of its archives."""

import io
import os
import shutil
import signal
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest

from mixup_jax import data
from mixup_jax.data import manual_files, tfds_images, tfds_source
from mixup_jax.data.images import decoding
from mixup_jax.errors import UsageError
from tests.data.pictures import encode, picture

pytestmark = pytest.mark.usefixtures("tensorflow")
ROOT = Path(__file__).parents[2]
NAME = "tfds:tiny_photos"


@pytest.fixture(scope="module")
def photos(tensorflow, tmp_path_factory):
    """The set once prepared: its module, the folder, what was loaded."""
    from tests.data import tiny_photos

    root = tmp_path_factory.mktemp("photos")
    return tiny_photos, root, data.load(NAME, data_dir=str(root))


@pytest.fixture
def copied(photos, tmp_path):
    """A copy of the prepared set, to be damaged."""
    return Path(shutil.copytree(photos[1], tmp_path / "copy"))


def shards(root, split):
    return sorted(root.glob(f"tiny_photos/1.0.0/*{split}*tfrecord*"))


def test_every_image_comes_with_its_class(photos):
    module, _, got = photos
    assert got.title == "tiny_photos (tensorflow-datasets)"
    assert got.num_classes == 3
    for name, split in (("train", got.train), ("validation", got.test)):
        assert len(split.labels) == module.COUNTS[name]
        # An image's height tells its number.
        for i, (label, (height, width)) in enumerate(
            zip(split.labels, split.images.sizes, strict=True)
        ):
            number = height - 16
            assert (label, width) == (number % 3, 20 + number % 4)
            pixels = split.images.pixels(i).astype(int)
            assert abs(pixels - module.pixels_of(name, number)).mean() < 12  # JPEG
        assert sorted(split.images.sizes[:, 0] - 16) == list(range(len(split.labels)))


def test_a_second_load_needs_neither_tensorflow_nor_its_datasets(photos):
    program = (
        "import sys; sys.modules.update(tensorflow=None, tensorflow_datasets=None);"
        "from mixup_jax import data;"
        f"got = data.load('{NAME}', data_dir=sys.argv[1]);"
        "print(got.train.labels.tolist(), got.train.images.pixels(3).sum())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(photos[1])],
        capture_output=True,
        text=True,
        check=True,
    )
    train = photos[2].train
    expected = f"{train.labels.tolist()} {train.images.pixels(3).sum()}"
    assert done.stdout.strip() == expected


def test_a_prepared_set_can_be_moved(copied, photos, monkeypatch):
    monkeypatch.setattr(tfds_source, "_index", None)
    got = data.load(NAME, data_dir=str(copied))
    np.testing.assert_array_equal(
        got.test.images.pixels(0), photos[2].test.images.pixels(0)
    )
    assert str(copied) in got.test.images.name(0)


def test_a_changed_file_is_looked_through_again(copied, caplog):
    os.utime(shards(copied, "train")[0], (1, 1))
    got = data.load(NAME, data_dir=str(copied))
    assert len(got.train.labels) == 30
    assert "have changed: looking through them again" in caplog.text


def test_a_file_that_is_cut_off_is_named(copied):
    shard = shards(copied, "train")[0]
    os.truncate(shard, shard.stat().st_size - 10)
    with pytest.raises(UsageError, match=rf"{shard.name} is cut off"):
        data.load(NAME, data_dir=str(copied))


def test_damaged_images_are_counted_and_named(copied, photos):
    shard = shards(copied, "train")[0]
    images = photos[2].train.images
    content = bytearray(shard.read_bytes())
    for row in (4, 20):
        start = int(images.start[row])
        content[start : start + 20] = bytes(20)
    shard.write_bytes(content)
    with pytest.raises(UsageError) as caught:
        data.load(NAME, data_dir=str(copied))
    text = str(caught.value)
    assert text.startswith("2 of the 30 images of tiny_photos, train split cannot")
    assert text.count(f"of {shard}") == 2


def test_images_without_a_class_are_counted(photos, tmp_path, monkeypatch):
    from tensorflow_datasets.proto import tf_example_pb2

    records = []
    for label in (0, -1, -1):
        example = tf_example_pb2.Example()
        image = encode(picture(0, 9, 9))
        example.features.feature["image"].bytes_list.value.append(image)
        example.features.feature["label"].int64_list.value.append(label)
        content = example.SerializeToString()
        head = len(content).to_bytes(8, "little")
        records.append(head + bytes(4) + content + bytes(4))
    (tmp_path / "shard").write_bytes(b"".join(records))
    split = tfds_images.Shards([str(tmp_path / "shard")], "image", "label", 3, 2)
    with pytest.raises(UsageError, match="it: 2 images have no class"):
        tfds_images.index(tmp_path / "kept.npz", split, "it")
    assert not (tmp_path / "kept.npz").exists()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("imagenete", "Did you mean 'imagenette'"),
        ("imagenette/12px", "no set imagenette/12px"),
        ("tiny_numbers", "not a set of images with a class each; its features are x"),
        ("tiny_test", "has the splits test, not train and test or validation"),
    ],
)
def test_what_is_no_image_set_is_refused(photos, name, message, tmp_path):
    with pytest.raises(UsageError, match=message):
        data.load(f"tfds:{name}", data_dir=str(tmp_path))


def prepare(root, kilobytes="unlimited", **environment):
    """Loads the set in another process, whose files stay small; returns it ended."""
    command = [sys.executable, "-m", "tests.data.tiny_photos", str(root)]
    # Python ignores the signal, and the write fails.
    limited = f'ulimit -f {kilobytes}; exec "$@"'
    return subprocess.run(
        ["bash", "-c", limited, "limited", *command],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
    )


def test_a_preparation_that_is_killed_is_simply_repeated(tmp_path, photos):
    killed = prepare(tmp_path, KILL_AT="validation 5")  # the first split is written
    assert killed.returncode == -signal.SIGKILL
    assert not list(tmp_path.rglob("mixup_jax_*.npz"))
    got = data.load(NAME, data_dir=str(tmp_path))
    np.testing.assert_array_equal(got.train.labels, photos[2].train.labels)
    np.testing.assert_array_equal(
        got.train.images.pixels(9), photos[2].train.images.pixels(9)
    )


def test_when_the_disk_is_full_nothing_half_written_is_used_later(tmp_path, photos):
    full = prepare(tmp_path, kilobytes=10)
    assert full.returncode == 1
    assert "usage: cannot prepare tiny_photos" in full.stderr, full.stderr[-2000:]
    assert not list(tmp_path.rglob("mixup_jax_*.npz"))
    again = prepare(tmp_path)
    assert again.stdout.strip() == "30 10", again.stderr[-2000:]


# ImageNet.

SYNSETS = ["n01440764", "n01443537", "n03249569"]
PER_SYNSET = 4


def put_in(archive, name, content):
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))


def imagenet_archives(folder):
    """Writes both archives in small: an archive for each class inside of the first."""
    with tarfile.open(folder / "ILSVRC2012_img_train.tar", "w") as train:
        for place, synset in enumerate(SYNSETS):
            inner = io.BytesIO()
            with tarfile.open(fileobj=inner, mode="w") as archive:
                for i in range(PER_SYNSET):
                    image = picture(10 * place + i, 30 + 10 * place + i, 40)
                    put_in(archive, f"{synset}_{i}.JPEG", encode(image))
            put_in(train, f"{synset}.tar", inner.getvalue())
    with tarfile.open(folder / "ILSVRC2012_img_val.tar", "w") as val:
        for i in range(1, 6):
            name = f"ILSVRC2012_val_{i:08}.JPEG"
            put_in(val, name, encode(picture(100 + i, 50 + i, 60)))


@pytest.fixture
def imagenet(tmp_path, monkeypatch):
    """Miniature archives, taken for the published ones: (data_dir, manual_dir)."""
    manual = tmp_path / "manual"
    manual.mkdir()
    imagenet_archives(manual)
    known = tfds_source.KNOWN["imagenet2012"]._replace(examples=(12, 5))
    monkeypatch.setitem(tfds_source.KNOWN, "imagenet2012", known)
    published = {
        f"https://example.org/{path.name}": manual_files.Published(
            path.name,
            path.stat().st_size,
            __import__("hashlib").sha256(path.read_bytes()).hexdigest(),
        )
        for path in manual.iterdir()
    }
    monkeypatch.setattr(tfds_source, "_published", lambda builder: published)
    return tmp_path / "data", manual


def load_imagenet(folders):
    root, manual = map(str, folders)
    return data.load("imagenet2012", data_dir=root, manual_dir=manual)


def test_imagenets_archives_work_as_they_are(imagenet):
    got = load_imagenet(imagenet)
    assert (got.title, got.num_classes) == ("ImageNet-2012", 1000)
    assert got.mean == (0.485, 0.456, 0.406)
    assert got.std == (0.229, 0.224, 0.225)
    heights = got.train.images.sizes[:, 0]
    # Synsets in the order of their numbers; n03249569 is drum, class 541.
    expected = [(0, 1, 541)[(height - 30) // 10] for height in heights]
    assert got.train.labels.tolist() == expected
    # The published classes of the first five validation images.
    by_height = dict(
        zip(got.test.images.sizes[:, 0].tolist(), got.test.labels.tolist(), strict=True)
    )
    assert [by_height[50 + i] for i in range(1, 6)] == [65, 970, 230, 809, 516]
    shape = got.test.images.pixels(0).shape
    assert shape[:2] == tuple(got.test.images.sizes[0])
    again = load_imagenet((imagenet[0], imagenet[0]))  # without the archives
    assert again.train.labels.tolist() == expected


def test_without_its_archives_imagenet_says_which_two_go_where(tmp_path):
    with pytest.raises(UsageError) as caught:
        data.load("imagenet2012", data_dir=str(tmp_path))
    text = str(caught.value)
    assert "registered users" in text and "--manual_dir" in text
    assert "ILSVRC2012_img_train.tar, 147,897,477,120 bytes, SHA-256 b08200a2" in text
    assert "ILSVRC2012_img_val.tar, 6,744,924,160 bytes, SHA-256 c7e06a6c" in text


def test_a_truncated_archive_of_imagenet_is_refused_by_checksum(imagenet):
    path = imagenet[1] / "ILSVRC2012_img_val.tar"
    os.truncate(path, path.stat().st_size - 512)
    with pytest.raises(UsageError, match=r"img_val\.tar has .* \(SHA-256"):
        load_imagenet(imagenet)
    assert not list(imagenet[0].rglob("*.tfrecord*"))


def test_imagenet_with_other_counts_is_not_trained_on(imagenet, monkeypatch):
    known = tfds_source.KNOWN["imagenet2012"]._replace(examples=(13, 5))
    monkeypatch.setitem(tfds_source.KNOWN, "imagenet2012", known)
    with pytest.raises(UsageError, match=r"prepared with 12 \+ 5 .* has 13 \+ 5"):
        load_imagenet(imagenet)


def test_a_set_prepared_as_other_files_is_named(photos, tmp_path, monkeypatch):
    import tensorflow_datasets as tfds

    builder = tfds.builder("tiny_photos", data_dir=tmp_path, file_format="array_record")
    builder.download_and_prepare()
    with pytest.raises(UsageError, match="was prepared as array_record files"):
        data.load(NAME, data_dir=str(tmp_path))


def test_looking_through_happens_once(photos, monkeypatch):
    monkeypatch.setattr(decoding, "decode", None)
    assert len(data.load(NAME, data_dir=str(photos[1])).train.labels) == 30
