"""Devices: the only place that says pmap, shard_map, mesh or device count.

A step is written once, as one device sees it:

    step(state, shared, share) -> state, or sums over all devices

`state` and `shared` (data set, epoch's order, key) are whole on every device; `share`
is this device's part of the global batch: its places in it and, of a streamed set, the
inputs there. Both wrappers keep the state replicated in the same form, so a checkpoint
of one continues under the other.
"""

import collections
import dataclasses
import functools
from collections.abc import Callable
from typing import Any

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
      devices: Of all processes, in order of the positions they hold; those of a
        process follow one another, and every process has as many.
    """

    mode: str = "pmap"
    devices: tuple[jax.Device, ...] = ()

    def __post_init__(self):
        if self.mode not in MODES:
            raise unknown("way to run in parallel", self.mode, MODES)
        if not self.devices:
            # JAX's own order follows the wiring, in which hosts may alternate.
            place = lambda device: (device.process_index, device.id)  # noqa: E731
            devices = tuple(sorted(jax.devices(), key=place))
            object.__setattr__(self, "devices", devices)
        shares = collections.Counter(device.process_index for device in self.devices)
        if len(set(shares.values())) > 1:
            raise UsageError(
                f"every process must have as many devices; they have {dict(shares)}"
            )

    @functools.cached_property
    def hosts(self) -> int:
        """How many processes share the devices."""
        return len({device.process_index for device in self.devices})

    @functools.cached_property
    def host(self) -> int:
        """Which of them this one is, from 0, in order of the positions."""
        return jax.process_index() if self.hosts > 1 else 0

    @functools.cached_property
    def _mesh(self) -> Mesh:
        devices = self.devices
        # What pmap reads and returns is known in one process alone.
        if self.hosts > 1 and self.mode == "pmap":
            devices = [d for d in devices if d.process_index == self.host]
        # JAX's own default axis type, Explicit, refuses unsharded inputs.
        return Mesh(np.array(devices), (AXIS,), axis_types=(AxisType.Auto,))

    def _put(self, x: Any, spec: PartitionSpec, shape: tuple[int, ...]) -> Array:
        """Sends what this process has of an array of a shape."""
        sharding = NamedSharding(self._mesh, spec)
        if sharding.is_fully_addressable:
            return jax.device_put(x, sharding)
        if jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key):
            bits = jax.random.key_data(x)
            bits = self._put(np.asarray(bits), spec, bits.shape)
            return jax.random.wrap_key_data(bits, impl=jax.random.key_impl(x))
        # Without a shape it would be guessed from this process alone.
        return jax.make_array_from_process_local_data(sharding, np.asarray(x), shape)

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
        def copied(x: Any) -> Array:
            x = x.copy() if hasattr(x, "copy") else x
            return self._put(x, PartitionSpec(), np.shape(x))

        return jax.tree.map(copied, tree)

    def own(self, batch_size: int) -> Int[np.ndarray, " b"]:
        """Returns the places in the global batch that are this process's."""
        self.check_divisible(batch_size, "a batch")
        share = batch_size // self.hosts
        return np.arange(share, dtype=np.int32) + np.int32(self.host * share)

    def positions(self, batch_size: int) -> Int[Array, "..."]:
        """Returns 0 .. batch_size - 1, each device holding its share."""
        return self.split(self.own(batch_size))

    def split(self, batch: Shaped[np.ndarray, "b ..."]) -> Shaped[Array, "..."]:
        """Sends each device its share of a batch; does not wait for the transfer.

        Args:
          batch: What this process has of the global batch; with one process, all.
        """
        size = len(batch) * self.hosts
        self.check_divisible(size, "a batch")
        shape = (size, *batch.shape[1:])
        if self.mode == "pmap":
            batch = batch.reshape(self._mesh.size, -1, *batch.shape[1:])
            shape = batch.shape
        return self._put(batch, PartitionSpec(AXIS), shape)

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

    def peak_bytes(self) -> int | None:
        """Greatest memory so far of a device of this process; None if unknown."""
        own = (d for d in self.devices if d.process_index == jax.process_index())
        stats = (device.memory_stats() or {} for device in own)
        peaks = [each["peak_bytes_in_use"] for each in stats if each]
        return max(peaks, default=None)

    def must_wait(self, step: int) -> bool:
        """Whether to wait for the devices after this step before the next."""
        simulated = len(self.devices) > 1 and self.devices[0].platform == "cpu"
        return simulated and step % _STEPS_AHEAD_ON_CPU == 0
