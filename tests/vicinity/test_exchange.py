import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, Mesh, PartitionSpec

from mixup_jax.vicinity.exchange import apply_mixing_across
from mixup_jax.vicinity.mix import Mixing, apply_mixing, draw_mixing

KEY = jax.random.key(0)
X = jax.random.normal(KEY, (16, 3))
DRAWS = {
    "batch": draw_mixing(KEY, 16, alpha=1.0),
    "example": draw_mixing(KEY, 16, alpha=1.0, lam_per="example"),
    "dirichlet": draw_mixing(KEY, 16, alpha=1.0, lam_per="example", examples=3),
    "dirichlet per batch": draw_mixing(KEY, 16, alpha=1.0, examples=3),
}


def across(devices):
    """The function on whole batches that each device computes its rows of."""
    mesh = Mesh(np.array(jax.devices()[:devices]), ("d",), axis_types=(AxisType.Auto,))
    split, whole = PartitionSpec("d"), PartitionSpec()

    def on_device(mixing, x, positions):
        return apply_mixing_across(mixing, x, positions, axis_name="d")

    mapped = jax.shard_map(
        on_device,
        mesh=mesh,
        in_specs=(whole, split, split),
        out_specs=split,
        check_vma=False,
    )
    return jax.jit(lambda mixing, x: mapped(mixing, x, jnp.arange(len(x))))


@pytest.mark.parametrize("devices", [1, 2, 8])
@pytest.mark.parametrize("name", DRAWS)
def test_partners_are_found_on_whatever_device(devices, name):
    np.testing.assert_allclose(
        across(devices)(DRAWS[name], X), apply_mixing(DRAWS[name], X), atol=1e-6
    )


@pytest.mark.parametrize("devices", [1, 4])
def test_gradients_go_back_to_where_the_rows_came_from(devices):
    draw = Mixing(jnp.float32(0.25), jnp.zeros(16, jnp.int32))  # all with the first
    slope = jax.grad(lambda x: across(devices)(draw, x).sum())(X)
    np.testing.assert_allclose(slope[0], np.full(3, 0.25 + 16 * 0.75), rtol=1e-6)
    np.testing.assert_allclose(slope[1:], np.full((15, 3), 0.25), rtol=1e-6)
