import logging
import os

import numpy as np
import pytest

from mixup_jax.data import array_cache
from mixup_jax.data.dataset import Split


def _arrays():
    rng = np.random.RandomState(0)
    train, test = (
        Split(
            rng.randint(0, 256, (n, 4, 4, 3)).astype(np.uint8),
            rng.randint(0, 10, n).astype(np.int32),
        )
        for n in (30, 20)
    )
    return array_cache.measure(train, test)


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "arrays.npz"
    array_cache.save(file, "digits", _arrays())
    return file


def test_what_was_saved_comes_back_to_the_bit(path):
    want, got = _arrays(), array_cache.restore(path, "digits")
    for split in ("train", "test"):
        for field in ("inputs", "labels"):
            a, b = (getattr(getattr(x, split), field) for x in (want, got))
            assert a.dtype == b.dtype
            np.testing.assert_array_equal(a, b)
    assert (got.mean, got.std) == (want.mean, want.std)


def test_no_file_is_no_news(tmp_path, caplog):
    assert array_cache.restore(tmp_path / "none.npz", "digits") is None
    assert not caplog.records


def _truncate(path):
    os.truncate(path, path.stat().st_size - 1000)


def _flip_a_pixel(path):
    content = bytearray(path.read_bytes())
    # The first array of pixels: 1,440 bytes, far from any header.
    pixels = _arrays().train.inputs.tobytes()
    content[content.index(pixels) + 700] ^= 1
    path.write_bytes(content)


def _write_a_single_array(path):
    with path.open("wb") as file:
        np.save(file, np.zeros(3))


@pytest.mark.parametrize(
    "damage",
    [
        _truncate,
        _flip_a_pixel,
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"something else"),
        _write_a_single_array,
        lambda path: np.savez(path, content="digits"),
        lambda path: array_cache.save(path, "letters", _arrays()),
    ],
    ids=["truncated", "one bit", "empty", "text", "npy", "no arrays", "other content"],
)
def test_a_file_of_no_use_is_reported_removed_and_taken_as_missing(
    damage, path, caplog
):
    damage(path)
    with caplog.at_level(logging.WARNING):
        assert array_cache.restore(path, "digits") is None
    assert str(path) in caplog.text
    assert not path.exists()


def test_a_failed_write_leaves_the_old_file_and_no_litter(path, monkeypatch):
    before = path.read_bytes()

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OSError, match="No space"):
        array_cache.save(path, "digits", _arrays())
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]
