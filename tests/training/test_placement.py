import jax
import jax.numpy as jnp
import numpy as np
import pytest
from training_case import Case

from mixup_jax.errors import UsageError
from mixup_jax.training.placement import MODES, Placement


def assert_trees_equal(first, second):
    jax.tree.map(np.testing.assert_array_equal, first, second)


@pytest.mark.parametrize(
    ("devices", "model", "steps"), [(8, "preact_resnet18", 2), (1, "mlp", 6)]
)
def test_pmap_and_shard_map_give_bitwise_the_same_state(devices, model, steps):
    states = [
        Case(devices=devices, mode=mode, model=model).train(steps=steps)
        for mode in MODES
    ]
    assert_trees_equal(*states)


def test_eight_devices_reproduce_one_with_synchronised_batch_norm():
    # With shard_map's default check_vma the gradients would come out 8 times too
    # large, without any error.
    one, eight = (
        Case(
            devices=devices,
            mode="shard_map",
            model="preact_resnet18_official",
            sync_batch_norm=True,
        ).train(steps=2)
        for devices in (1, 8)
    )
    for name in ("params", "batch_stats"):
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5),
            getattr(one, name),
            getattr(eight, name),
        )
    np.testing.assert_allclose(one.loss_sum, eight.loss_sum, rtol=1e-5)


def test_batch_statistics_are_each_devices_own_by_default():
    one, eight = (
        Case(devices=devices, model="preact_resnet18").train(steps=1)
        for devices in (1, 8)
    )
    change = jax.tree.map(
        lambda a, b: float(jnp.abs(a - b).max()), one.batch_stats, eight.batch_stats
    )
    assert max(jax.tree.leaves(change)) > 1e-3


@pytest.mark.parametrize("mode", MODES)
def test_a_batch_that_does_not_divide_is_refused(mode):
    placement = Placement(mode, tuple(jax.devices()))
    with pytest.raises(UsageError, match="100 examples does not divide over 8"):
        placement.positions(100)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("devices", [1, 8])
def test_donating_the_replicated_copy_leaves_the_original_alive(mode, devices):
    placement = Placement(mode, tuple(jax.devices()[:devices]))
    original = jax.device_put(jnp.arange(4.0), jax.devices()[0])
    copy = placement.replicate(original)
    run = placement.parallelise(lambda x, shared, place: x + 1, donate_state=True)
    result = run(copy, jnp.zeros(()), placement.positions(8))
    assert copy.is_deleted()
    np.testing.assert_array_equal(original, [0, 1, 2, 3])
    np.testing.assert_array_equal(result, [1, 2, 3, 4])


@pytest.mark.parametrize("mode", MODES)
def test_each_device_holds_its_share_of_the_positions_in_order(mode):
    placement = Placement(mode, tuple(jax.devices()))
    positions = placement.positions(16)
    shards = [np.ravel(shard.data).tolist() for shard in positions.addressable_shards]
    assert shards == [[2 * i, 2 * i + 1] for i in range(8)]


def test_simulated_devices_are_waited_for_and_one_device_is_not():
    # Unbounded dispatch to simulated devices aborts the process.
    eight = Placement("pmap", tuple(jax.devices()))
    assert sum(eight.must_wait(step) for step in range(100)) >= 10
    one = Placement("pmap", tuple(jax.devices()[:1]))
    assert not any(one.must_wait(step) for step in range(100))


def test_many_steps_on_simulated_devices_end():
    state = Case(devices=8, model="mlp", epochs=40).train()
    assert int(state.step) == 40 * Case.STEPS_PER_EPOCH


def test_an_unknown_mode_is_refused_with_the_nearest():
    with pytest.raises(UsageError, match="Did you mean 'shard_map'"):
        Placement("shardmap")
