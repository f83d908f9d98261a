"""Ctrl-C and SIGTERM, turned into a question that the loop can ask between steps."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from mixup_jax import hosts

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(Exception):
    """The run was asked to stop, has saved, and can be continued.

    Attributes:
      signum: The signal; a shell expects the exit code 128 + signum.
    """

    def __init__(self, signum: int, step: int):
        super().__init__(f"{signal.Signals(signum).name}: saved at step {step}")
        self.signum = signum


class StopRequest:
    """Remembers the first signal; a second one of the same kind ends the process."""

    signum: int | None = None

    def at(self, step: int) -> int | None:
        """Returns the signal to stop for after this step, in all processes the same.

        To be called after every step.
        """
        return self.signum


class _SharedRequest(StopRequest):
    """One of several processes stops with the others, whoever got the signal."""

    def at(self, step: int) -> int | None:
        return signal.SIGTERM if hosts.told_to_stop(step) else None


@contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """Catches the signals inside the block; outside of the main thread, none."""
    if hosts.count() > 1:
        with _interrupt_as_terminate():
            yield _SharedRequest()
        return
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return

    def remember(signum, frame):
        del frame
        request.signum = signum
        signal.signal(signum, before[signum])

    before = {signum: signal.signal(signum, remember) for signum in SIGNALS}
    try:
        yield request
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


@contextmanager
def _interrupt_as_terminate() -> Iterator[None]:
    """Makes Ctrl-C what the runtime of several processes listens to, SIGTERM."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGINT)

    def terminate(signum, frame):
        del signum, frame
        signal.signal(signal.SIGINT, before)
        os.kill(os.getpid(), signal.SIGTERM)

    signal.signal(signal.SIGINT, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
