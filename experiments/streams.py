"""Standard output and error that outlive the one who reads them."""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any


class _Stream:
    """Passes all on to a text stream, and to nowhere once that is gone.

    Args:
      stream: Such as sys.stderr.
      lost: Error numbers that mean so; other errors are raised.
    """

    def __init__(self, stream: Any, lost: set[int]):
        self._stream, self._lost = stream, lost

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except OSError as error:
            self._give_up(error)
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        if error.errno not in self._lost:
            raise error
        to_nowhere(self._stream)


def to_nowhere(stream: Any) -> None:
    """Sends what a stream still holds, and all that comes, to the null device."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


@contextmanager
def lasting() -> Iterator[None]:
    """Lets a program go on where its terminal was closed (EIO).

    Progress, on the standard error, may also lose the program it is piped into; of
    results on the standard output that is an error, BrokenPipeError.
    """
    out = _Stream(sys.stdout, {errno.EIO})
    err = _Stream(sys.stderr, {errno.EIO, errno.EPIPE})
    with redirect_stdout(out), redirect_stderr(err):
        yield
        out.flush()
