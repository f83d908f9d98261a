"""Signals that ask a run to stop, as a question that the loop can ask between steps.

They are Ctrl-C (SIGINT), SIGTERM and what a closed terminal sends (SIGHUP). Whoever
ignores SIGHUP from the start, such as `nohup`, is not stopped by it.
"""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mixup_jax import hosts

_HANGUP = getattr(signal, "SIGHUP", None)  # not on Windows
SIGNALS = (signal.SIGINT, signal.SIGTERM, *filter(None, [_HANGUP]))


class Interrupted(Exception):
    """The run was asked to stop, has saved, and can be continued.

    Attributes:
      signum: The signal; a shell expects the exit code 128 + signum.
    """

    def __init__(self, signum: int, step: int):
        super().__init__(f"{signal.Signals(signum).name}: saved at step {step}")
        self.signum = signum


class StopRequest:
    """Remembers the first signal; a second one of the same kind ends the process.

    But not SIGHUP: of a closed terminal the system and the shell both send it.
    """

    signum: int | None = None

    def at(self, call: int) -> int | None:
        """Returns the signal to stop for after this call, in all processes the same.

        To be called after every call of the loop, with their number.
        """
        return self.signum


class _SharedRequest(StopRequest):
    """One of several processes stops with the others, whoever got the signal."""

    def at(self, call: int) -> int | None:
        return signal.SIGTERM if hosts.told_to_stop(call) else None


@contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """Catches the signals inside the block; outside of the main thread, none."""
    if threading.current_thread() is not threading.main_thread():
        yield _SharedRequest() if hosts.count() > 1 else StopRequest()
        return
    request, before = StopRequest(), _handlers()
    if hosts.count() > 1:
        # The runtime of several processes listens to SIGTERM, and keeps its handler.
        request = _SharedRequest()
        before.pop(signal.SIGTERM)

    def remember(signum, frame):
        del frame
        if signum != _HANGUP:
            signal.signal(signum, before[signum])
        if isinstance(request, _SharedRequest):
            os.kill(os.getpid(), signal.SIGTERM)
        else:
            request.signum = signum

    for signum in before:
        signal.signal(signum, remember)
    try:
        yield request
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


def _handlers() -> dict[int, Any]:
    """The present handlers of the signals that are to be caught."""
    found = {signum: signal.getsignal(signum) for signum in SIGNALS}
    if _HANGUP and found[_HANGUP] is signal.SIG_IGN:
        del found[_HANGUP]
    return found
