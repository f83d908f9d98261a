import errno
import hashlib
import resource
from contextlib import contextmanager

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mixup_jax.errors import UsageError
from mixup_jax.runs.checkpoint import CheckpointStore, params_sha256, read_variables
from mixup_jax.training.placement import Placement
from mixup_jax.training.state import initial_state

# The read that fails leaves Orbax futures that answer to a closed event loop.
ORBAX = pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning",
    "ignore::pytest.PytestUnhandledThreadExceptionWarning",
)


def state_at(step):
    params = {"layer": {"kernel": jnp.full((64, 8), float(step))}}
    state = initial_state({"params": params}, {"trace": jnp.zeros(3)})
    return state.replace(step=jnp.int32(step))


def fill(directory, errors):
    store = CheckpointStore(directory)
    for step, error in enumerate(errors, start=1):
        store.save(state_at(step), error=error)
    store.close()


def kept(directory):
    return sorted(int(path.name) for path in directory.iterdir())


@pytest.fixture
def template():
    return Placement("shard_map", tuple(jax.devices())).replicate(state_at(0))


def test_the_best_and_the_last_two_are_kept(tmp_path):
    fill(tmp_path, [0.5, 0.1, 0.3, 0.4, 0.2])
    assert kept(tmp_path) == [2, 4, 5]
    store = CheckpointStore(tmp_path)
    assert (store.best_step(), store.last_step()) == (2, 5)
    store.close()


def test_the_last_state_comes_back_bit_for_bit_and_placed_as_asked(tmp_path, template):
    fill(tmp_path, [0.5, 0.4])
    lines = []
    state = CheckpointStore(tmp_path).restore(template, lines.append)
    jax.tree.map(np.testing.assert_array_equal, state, state_at(2))
    assert len(state.params["layer"]["kernel"].sharding.device_set) == 8
    assert lines == []


def test_nothing_saved_restores_to_nothing(tmp_path, template):
    assert CheckpointStore(tmp_path).restore(template, print) is None


@ORBAX
def test_a_damaged_checkpoint_falls_back_to_the_one_before_and_says_so(
    tmp_path, template
):
    fill(tmp_path, [0.5, 0.4, 0.3])
    for path in (tmp_path / "3" / "default").rglob("d/*"):
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    lines = []
    store = CheckpointStore(tmp_path)
    state = store.restore(template, lines.append)
    assert int(state.step) == 2
    assert "checkpoint of step 3 is damaged" in lines[0]
    # The run comes by step 3 again and must be able to save it.
    store.save(state_at(3), error=0.3)
    store.close()
    assert int(CheckpointStore(tmp_path).restore(template, lines.append).step) == 3
    assert len(lines) == 2


def test_what_tells_of_no_damage_deletes_nothing(tmp_path, template, monkeypatch):
    fill(tmp_path, [0.5, 0.4])
    store = CheckpointStore(tmp_path)

    def restore(step, args):
        raise MemoryError

    monkeypatch.setattr(store._manager, "restore", restore)
    with pytest.raises(MemoryError):
        store.restore(template, print)
    assert kept(tmp_path) == [1, 2]


@ORBAX
def test_a_checkpoint_with_files_missing_falls_back_too(tmp_path, template):
    fill(tmp_path, [0.5, 0.4])
    for path in (tmp_path / "2" / "default").glob("*METADATA"):
        path.unlink()
    for path in (tmp_path / "2" / "default").glob("manifest.ocdbt"):
        path.unlink()
    lines = []
    assert int(CheckpointStore(tmp_path).restore(template, lines.append).step) == 1
    assert "step 2 is damaged" in lines[0]


@contextmanager
def full_disk():
    """No file can grow beyond 8 kB; Python ignores the signal."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def incompressible(step):
    noise = {"kernel": jax.random.normal(jax.random.key(step), (64, 512))}
    return state_at(step).replace(params=noise)


@ORBAX
@pytest.mark.parametrize("told_by", ["wait", "save", "close"])
def test_a_full_disk_is_an_error_of_the_disk(tmp_path, told_by):
    fill(tmp_path, [0.5])
    store = CheckpointStore(tmp_path)
    states = [incompressible(step) for step in (2, 3)]
    with full_disk():
        with pytest.raises(OSError, match=r"File too large.*/2\.orbax") as error:
            store.save(states[0], error=0.4)
            if told_by == "save":
                store.save(states[1], error=0.4)
            getattr(store, "close" if told_by == "close" else "wait")()
        assert error.value.errno == errno.EFBIG
        store.close()
    assert CheckpointStore(tmp_path).last_step() == 1


@ORBAX
def test_closing_after_an_error_leaves_that_error_be(tmp_path):
    store = CheckpointStore(tmp_path)
    state = incompressible(2)
    with full_disk(), pytest.raises(KeyError, match="the first"):
        try:
            store.save(state, error=0.4)
            raise KeyError("the first")
        finally:
            store.close()


def test_a_half_written_checkpoint_is_not_seen(tmp_path, template):
    fill(tmp_path, [0.5])
    (tmp_path / "2.orbax-checkpoint-tmp").mkdir()
    (tmp_path / "2.orbax-checkpoint-tmp" / "d").write_text("half")
    store = CheckpointStore(tmp_path)
    assert int(store.restore(template, print).step) == 1
    store.save(state_at(2), error=0.4)
    store.close()
    assert kept(tmp_path) == [1, 2]


def test_variables_can_be_read_on_another_number_of_devices(tmp_path):
    fill(tmp_path, [0.1, 0.4, 0.3])
    kernel = read_variables(tmp_path)["params"]["layer"]["kernel"]
    np.testing.assert_array_equal(kernel, np.full((64, 8), 3.0))
    best = read_variables(tmp_path, best=True)["params"]["layer"]["kernel"]
    np.testing.assert_array_equal(best, np.full((64, 8), 1.0))
    with pytest.raises(UsageError, match="no checkpoint"):
        read_variables(tmp_path / "empty")


def test_the_hash_is_of_paths_shapes_dtypes_and_bytes():
    value = np.arange(3, dtype=np.float32)
    text = b"['a']['b'] (3,) float32\n" + value.tobytes()
    want = hashlib.sha256(text).hexdigest()
    assert params_sha256({"a": {"b": jnp.asarray(value)}}) == want
    others = [
        {"a": {"c": value}},
        {"a": {"b": value.reshape(1, 3)}},
        {"a": {"b": value.view(np.int32)}},
        {"a": {"b": np.nextafter(value, np.float32(9))}},
    ]
    assert len({want, *map(params_sha256, others)}) == 5
    both = {"x": value, "a": value}
    assert params_sha256(both) == params_sha256(dict(reversed(both.items())))
