"""Batches of images, decoded and cut ahead of time by threads.

Threads do, as OpenCV and the disk work without Python's lock; what is left for it is
about 40 us an image. What a batch holds is a function of what was asked for, never of
how many threads there are.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
from jaxtyping import UInt8

from mixup_jax.data.images import decoding
from mixup_jax.data.images.boxes import Crop, centre_crop, random_crop
from mixup_jax.data.images.images import Images
from mixup_jax.errors import RunError
from mixup_jax.types import Request

# Steps ahead of what is asked for; the devices hold one batch more.
_AHEAD = 2
# Per task, so that handing tasks out costs little and the last ones end together.
_IMAGES_PER_TASK = 8

_Cut = Callable[[int, int], UInt8[np.ndarray, "S S C"]]


class ImageStream:
    """Gives batches of squares, [B, S, S, C], in the order they are asked for.

    Args:
      images: Read from; their sizes must be known.
      crop: What to cut out.
      seed: Of the random parts of training images; None for centres.
      workers: Threads; 0 for one per processor that this process may use.
    """

    def __init__(
        self, images: Images, crop: Crop, *, seed: int | None, workers: int = 0
    ):
        self.images, self.crop, self._seed = images, crop, seed
        self.workers = workers or available_processors()
        decoding.require()

    def __call__(
        self, requests: Iterable[Request]
    ) -> Iterator[UInt8[np.ndarray, "B S S C"]]:
        """Yields a batch for each request; closing the iterator ends the threads.

        Raises:
          RunError: If an image cannot be read, by name.
        """
        decoding.one_thread_each()
        pool = ThreadPoolExecutor(self.workers, thread_name_prefix="images")
        under_way: deque[tuple[np.ndarray, list[Future]]] = deque()
        try:
            for request in requests:
                under_way.append(self._begin(pool, request))
                if len(under_way) > _AHEAD:
                    yield _finished(*under_way.popleft())
            while under_way:
                yield _finished(*under_way.popleft())
        finally:
            pool.shutdown(cancel_futures=True)

    def _begin(
        self, pool: ThreadPoolExecutor, request: Request
    ) -> tuple[np.ndarray, list[Future]]:
        size, count = self.crop.size, len(request.indices)
        batch = np.empty((count, size, size, self.images.channels), np.uint8)
        parts = range(0, count, _IMAGES_PER_TASK)
        return batch, [
            pool.submit(
                self._fill,
                batch[start : start + _IMAGES_PER_TASK],
                request.step,
                request.indices[start : start + _IMAGES_PER_TASK],
            )
            for start in parts
        ]

    def _fill(self, out: np.ndarray, step: int, indices: np.ndarray) -> None:
        for row, index in enumerate(map(int, indices)):
            if self._seed is None:
                out[row] = centre_crop(self.images, index, self.crop)
            else:
                out[row] = random_crop(
                    self.images, index, self.crop, seed=self._seed, step=step
                )


def available_processors() -> int:
    """Returns how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _finished(batch: np.ndarray, tasks: list[Future]) -> np.ndarray:
    for task in tasks:
        try:
            task.result()
        except decoding.Undecodable as error:
            raise RunError(
                f"{error}. It could be read when the set was first looked through: has "
                "it changed since? `python -m experiments.data` looks through it again"
            ) from error
    return batch
