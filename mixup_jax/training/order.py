"""Which examples a step reads: a function of (seed, step), on any number of hosts."""

import dataclasses
from collections.abc import Iterator

import jax
import numpy as np
from jaxtyping import Array, Int

from mixup_jax.randomness import Purpose, purpose_key
from mixup_jax.types import Request


@dataclasses.dataclass(frozen=True)
class Order:
    """The order of the training set.

    Attributes:
      root: Of the run.
      examples: N.
      batch_size: Global, of all batches but perhaps the last of an epoch.
      steps_per_epoch: N / batch_size rounded up, or down to leave out a short last
        batch.
    """

    root: Array
    examples: int
    batch_size: int
    steps_per_epoch: int

    def epoch(self, epoch: int) -> Int[np.ndarray, " N"]:
        """Returns the indices of all examples in the order of one epoch."""
        key = purpose_key(self.root, Purpose.ORDER, epoch)
        return np.asarray(jax.random.permutation(key, self.examples), np.int32)

    @property
    def whole_batches(self) -> int:
        """How many batches of an epoch are of `batch_size`."""
        return min(self.steps_per_epoch, self.examples // self.batch_size)

    def size(self, step: int) -> int:
        """Returns how many examples the global batch of a step has."""
        start = step % self.steps_per_epoch * self.batch_size
        return min(self.batch_size, self.examples - start)

    def requests(
        self, first: int, last: int, *, host: int = 0, hosts: int = 1
    ) -> Iterator[Request]:
        """Yields what to stream for the steps from `first` to before `last`.

        Args:
          first: Steps taken before.
          last: Steps in all.
          host: Which of the hosts asks, from 0: each loads its positions of the global
            batch, which follow one another.
          hosts: How many there are; must divide every batch.
        """
        order = np.zeros(0, np.int32)
        for step in range(first, last):
            epoch, place = divmod(step, self.steps_per_epoch)
            if place == 0 or step == first:
                order = self.epoch(epoch)
            start, share = place * self.batch_size, self.size(step) // hosts
            mine = slice(start + host * share, start + (host + 1) * share)
            yield Request(step, order[mine])
