"""Devices: the only place that says pmap, shard_map, mesh or device count.

A step is written once, as one device sees it:

    step(state, shared, share) -> state, or sums over all devices

`state` and `shared` (data set, epoch's order, key) are whole on every device; `share`
is this device's part of the global batch: its places in it and, of a streamed set, the
inputs there. Both wrappers keep the state replicated in the same form, so a checkpoint
of one continues under the other.
"""

import dataclasses
import functools
from collections.abc import Callable

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Int, Shaped

from mixup_jax.errors import UsageError, unknown
from mixup_jax.types import PyTree

AXIS = "batch"
MODES = ("pmap", "shard_map")

# Simulated CPU devices abort the process ("Expected 8 threads to join the
# rendezvous") when steps are dispatched far ahead; every 10 steps was seen to be safe.
_STEPS_AHEAD_ON_CPU = 8


@dataclasses.dataclass(frozen=True)
class Placement:
    """Which devices share a batch, and by which wrapper.

    Attributes:
      mode: "pmap" or "shard_map"; both give bitwise the same state.
      devices: Those of this process, in order of the positions they hold.
    """

    mode: str = "pmap"
    devices: tuple[jax.Device, ...] = ()

    def __post_init__(self):
        if self.mode not in MODES:
            raise unknown("way to run in parallel", self.mode, MODES)
        if not self.devices:
            object.__setattr__(self, "devices", tuple(jax.local_devices()))

    @functools.cached_property
    def _mesh(self) -> Mesh:
        # JAX's own default axis type, Explicit, refuses unsharded inputs.
        return Mesh(np.array(self.devices), (AXIS,), axis_types=(AxisType.Auto,))

    def check_divisible(self, size: int, what: str) -> None:
        """Raises unless `size` examples split evenly over the devices."""
        count = len(self.devices)
        if size % count:
            raise UsageError(
                f"{what} of {size} examples does not divide over {count} devices; "
                f"choose a multiple of {count}"
            )

    def replicate(self, tree: PyTree) -> PyTree:
        """Returns a copy of the tree, whole on every device.

        Never an alias: a donated alias would delete the caller's own arrays.
        """
        # device_put itself may alias what already lies on one of the devices, even
        # when told not to.
        copy = jax.tree.map(lambda x: x.copy() if hasattr(x, "copy") else x, tree)
        return jax.device_put(copy, NamedSharding(self._mesh, PartitionSpec()))

    def positions(self, batch_size: int) -> Int[Array, "..."]:
        """Returns 0 .. batch_size - 1, each device holding its share."""
        return self.split(np.arange(batch_size, dtype=np.int32))

    def split(self, batch: Shaped[np.ndarray, "B ..."]) -> Shaped[Array, "..."]:
        """Sends each device its share of a batch; does not wait for the transfer."""
        self.check_divisible(len(batch), "a batch")
        if self.mode == "pmap":
            batch = batch.reshape(len(self.devices), -1, *batch.shape[1:])
        return jax.device_put(batch, NamedSharding(self._mesh, PartitionSpec(AXIS)))

    def parallelise(self, step: Callable, *, donate_state: bool = False) -> Callable:
        """Returns the compiled step over all devices, (state, shared, share)."""
        donate = (0,) if donate_state else ()
        if self.mode == "pmap":
            return jax.pmap(
                step,
                axis_name=AXIS,
                in_axes=(None, None, 0),
                out_axes=None,
                devices=self.devices,
                donate_argnums=donate,
            )
        whole, split = PartitionSpec(), PartitionSpec(AXIS)
        # With check_vma, shard_map's default, gradients of replicated parameters come
        # already summed and a pmean leaves them D times too large, without an error.
        mapped = jax.shard_map(
            step,
            mesh=self._mesh,
            in_specs=(whole, whole, split),
            out_specs=whole,
            check_vma=False,
        )
        return jax.jit(mapped, donate_argnums=donate)

    def must_wait(self, step: int) -> bool:
        """Whether to wait for the devices after this step before the next."""
        simulated = len(self.devices) > 1 and self.devices[0].platform == "cpu"
        return simulated and step % _STEPS_AHEAD_ON_CPU == 0
