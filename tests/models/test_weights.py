"""Files: PyTorch's are read without running them, ours read back as written."""

import jax
import numpy as np
import pytest

from mixup_jax import models
from mixup_jax.errors import UsageError
from mixup_jax.models import convert, weights

INPUTS = (16, 16, 1)


@pytest.fixture
def variables():
    shapes = models.shapes(_network(), INPUTS)
    rng = np.random.default_rng(0)
    return jax.tree.map(
        lambda leaf: rng.normal(size=leaf.shape).astype(np.float32), shapes
    )


def _network():
    return models.create("speech_lenet", 4, width=2, hidden=3)


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_saved_variables_come_back(suffix, tmp_path, variables):
    if suffix == ".safetensors":
        pytest.importorskip("safetensors")
    path = tmp_path / f"weights{suffix}"
    weights.save(path, variables)
    back = weights.load(path, models.shapes(_network(), INPUTS))
    jax.tree.map(np.testing.assert_array_equal, back, variables)


def test_loading_lists_every_misfit(tmp_path, variables):
    path = tmp_path / "weights.npz"
    weights.save(path, variables)
    wider = models.create("speech_lenet", 5, width=2, hidden=3)
    with pytest.raises(UsageError) as caught:
        weights.load(path, models.shapes(wider, INPUTS))
    assert str(caught.value).splitlines()[1:] == [
        "wrong shape: params/classifier/bias is (4,), should be (5,)",
        "wrong shape: params/classifier/kernel is (3, 4), should be (3, 5)",
    ]


@pytest.mark.parametrize("name", ["missing.npz", "damaged.npz", "weights.pkl"])
def test_loading_refuses_what_it_cannot_read(name, tmp_path):
    for file in ("damaged.npz", "weights.pkl"):
        (tmp_path / file).write_bytes(b"PK nothing of the kind")
    with pytest.raises(UsageError, match=name if name != "weights.pkl" else "pkl"):
        weights.load(tmp_path / name, {})


def test_arrays_of_objects_are_never_unpickled(tmp_path):
    np.savez(tmp_path / "bad.npz", x=np.array([{}], dtype=object))
    with pytest.raises(UsageError, match=r"not a readable \.npz"):
        weights.load(tmp_path / "bad.npz", {})


@pytest.mark.parametrize("wrapper", [None, "state_dict", "net"])
def test_checkpoints_of_pytorch_are_read(wrapper, tmp_path, variables):
    torch = pytest.importorskip("torch")
    tensors = convert.to_torch(_network(), variables)
    state = {name: torch.from_numpy(tensor) for name, tensor in tensors.items()}
    content = {wrapper: state, "epoch": 3} if wrapper else state
    torch.save(content, tmp_path / "checkpoint.pth")
    read = weights.read_torch(tmp_path / "checkpoint.pth")
    back = convert.from_torch(_network(), read, variables)
    jax.tree.map(np.testing.assert_array_equal, back, variables)


def test_statistics_kept_apart_are_read_with_the_parameters(tmp_path):
    torch = pytest.importorskip("torch")
    # As wide-residual-networks of 2017 saves them.
    params, stats = {"conv0": torch.ones(2)}, {"bn.running_mean": torch.zeros(3)}
    content = {"params": params, "stats": stats, "optimizer": {}, "epoch": 3}
    torch.save(content, tmp_path / "model.pt7")
    read = weights.read_torch(tmp_path / "model.pt7")
    assert {name: tensor.shape for name, tensor in read.items()} == {
        "conv0": (2,),
        "bn.running_mean": (3,),
    }


def test_half_precision_is_read_as_float32(tmp_path):
    torch = pytest.importorskip("torch")
    torch.save({"x": torch.ones(2, dtype=torch.bfloat16)}, tmp_path / "half.pth")
    assert weights.read_torch(tmp_path / "half.pth")["x"].dtype == np.float32


class _Trap:
    def __reduce__(self):
        return (open, ("trap-was-sprung", "w"))


def test_a_file_that_runs_code_is_refused(tmp_path, monkeypatch):
    torch = pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    torch.save({"x": _Trap()}, tmp_path / "trap.pth")
    with pytest.raises(UsageError, match="more than tensors") as caught:
        weights.read_torch(tmp_path / "trap.pth")
    # PyTorch's own message goes on to tell how to run it nevertheless.
    assert str(caught.value).endswith("open was not an allowed global by default")
    assert not (tmp_path / "trap-was-sprung").exists()


def test_other_kinds_of_files_are_refused(tmp_path):
    (tmp_path / "weights.h5").write_bytes(b"")
    with pytest.raises(UsageError, match="unknown kind of weights"):
        weights.read_torch(tmp_path / "weights.h5")
