import subprocess
import sys

import pytest

from mixup_jax import data
from mixup_jax.errors import UsageError
from tests.data.pictures import folder


def test_importing_the_package_imports_no_source_of_data():
    program = (
        "import sys, mixup_jax.data;"
        "heavy = {'tensorflow', 'tensorflow_datasets', 'mlxtend', 'requests', 'cv2'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("fashion-mnist", "Did you mean 'fashion_mnist'"),
        ("imagenet", "Did you mean 'imagenet2012'"),
        ("files:/tmp", "unknown kind of data set 'files:/tmp'.*folder:PATH"),
        ("folder:", "unknown kind of data set 'folder:'"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest_known_one(name, message):
    with pytest.raises(UsageError, match=message):
        data.load(name)


@pytest.mark.parametrize("name", ["mnist5k", "two_rings"])
def test_sets_without_a_download_load_by_name_and_carry_it(name):
    got = data.load(name, data_dir="/nowhere", manual_dir="/nowhere")
    assert got.name == name
    assert data.is_ready(name, data_dir="/nowhere")


def test_a_second_half_names_what_to_load(tmp_path):
    folder(tmp_path / "pets", {"cat": 3, "dog": 3})
    got = data.load(
        f"folder:{tmp_path / 'pets'}", data_dir=str(tmp_path / "d"), train_share=0.5
    )
    assert len(got.train.labels) == 3


def test_an_option_of_other_sets_is_refused_by_name():
    with pytest.raises(UsageError, match="split_seed would have no effect on mnist5k"):
        data.load("mnist5k", split_seed=1)


def test_what_has_to_be_prepared_is_not_ready_before(tmp_path):
    sets = {"cifar10", "imagenet2012", "speech_commands", "iris", "cifar10_jpeg"}
    for name in sets:
        assert not data.is_ready(name, data_dir=str(tmp_path))
    kept = tmp_path / "uci_iris" / "mixup_jax_rows.npz"
    kept.parent.mkdir()
    kept.write_bytes(b"")
    assert data.is_ready("iris", data_dir=str(tmp_path))
    (tmp_path / "cifar10_jpeg_train.npz").write_bytes(b"")
    assert data.is_ready("cifar10_jpeg", data_dir="/x", manual_dir=str(tmp_path))


def test_every_set_of_the_paper_is_a_source():
    images = {"cifar10", "cifar100", "imagenet2012"}
    tables = {"abalone", "arcene", "arrhythmia", "htru2", "iris", "phishing"}
    others = {"speech_commands", "two_rings"}
    stand_ins = {"cifar10_jpeg", "fashion_mnist", "mnist5k", "speech_synthetic"}
    assert set(data.SOURCES) == images | tables | others | stand_ins
