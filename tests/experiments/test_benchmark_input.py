import json

import numpy as np
import pytest

from experiments import benchmark_input
from mixup_jax.errors import UsageError
from mixup_jax.types import Request


@pytest.fixture(scope="module")
def files():
    return benchmark_input.photographs(90)


def test_all_sides_cut_the_same_parts_out_of_the_same_photographs(files):
    pytest.importorskip("torch")
    request = Request(3, np.array([5, 0, 63], np.int32))
    (got,) = benchmark_input.ours(files, 1)([request])
    (pillow,) = benchmark_input.pillow_in_torch(files)([request])
    assert got.shape == pillow.shape == (3, 224, 224, 3)
    # Pillow smooths as it makes smaller; a mirrored or another part is far off.
    difference = abs(got.astype(int) - pillow).mean(axis=(1, 2, 3))
    mirrored = abs(got[:, :, ::-1].astype(int) - pillow).mean(axis=(1, 2, 3))
    assert (difference < 0.3 * mirrored).all()


def test_tensorflow_cuts_the_same_parts_too(files, tensorflow):
    request = Request(3, np.array([5, 0, 63], np.int32))
    (got,) = benchmark_input.ours(files, 1)([request])
    (other,) = benchmark_input.tf_data(files)([request])
    assert abs(got.astype(int) - other).mean() < 3


def test_rates_ratios_and_the_environment_are_reported(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(
        benchmark_input,
        "available",
        lambda files, workers: {"mixup-jax": benchmark_input.ours(files, 1)},
    )
    path = tmp_path / "input.json"
    benchmark_input.main(["x", "--images=8", "--rounds=3", f"--json={path}"])
    content = json.loads(path.read_text())
    row = content["sides"]["mixup-jax"]
    assert row["per_core_second"] > 0 and row["per_second"] > 0
    assert content["environment"]["versions"]["jax"]
    assert "1.00" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--rounds=2", "rounds must be at least 3, got 2"),
        ("--images=0", "images must be at least 1, got 0"),
        ("--quality=101", "quality must be at most 100, got 101"),
        ("--workers=-1", "workers must be at least 0, got -1"),
        ("--json=/no/such/folder/a.json", "there is no such folder"),
    ],
)
def test_bad_flags_are_refused_before_anything_is_measured(flag, message):
    with pytest.raises(UsageError, match=message):
        benchmark_input.main(["x", flag])
