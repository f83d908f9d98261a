import subprocess
import sys

import pytest

from mixup_jax import data
from mixup_jax.errors import UsageError


def test_importing_the_package_imports_no_source_of_data():
    program = (
        "import sys, mixup_jax.data;"
        "heavy = {'tensorflow', 'tensorflow_datasets', 'mlxtend', 'requests'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_an_unknown_name_is_answered_with_the_nearest_known_one():
    with pytest.raises(UsageError, match="Did you mean 'fashion_mnist'"):
        data.load("fashion-mnist")


@pytest.mark.parametrize("name", ["mnist5k", "two_rings"])
def test_sets_without_a_download_load_by_name_and_carry_it(name):
    got = data.load(name, data_dir="/nowhere", manual_dir="/nowhere")
    assert got.name == name


def test_every_name_is_a_source():
    images = {"cifar10", "cifar100", "fashion_mnist", "mnist5k"}
    tables = {"abalone", "arcene", "arrhythmia", "htru2", "iris", "phishing"}
    sounds = {"speech_commands", "speech_synthetic"}
    assert set(data.SOURCES) == images | tables | sounds | {"two_rings"}
