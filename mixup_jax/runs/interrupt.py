"""Ctrl-C and SIGTERM, turned into a question that the loop can ask between steps."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

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


@contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """Catches the signals inside the block; outside of the main thread, none."""
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
