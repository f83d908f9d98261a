"""What every preparation of a data set needs: one process at a time, and quiet."""

import contextlib
import io
import logging
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

from mixup_jax.errors import UsageError

_LOG = logging.getLogger(__name__)


@contextlib.contextmanager
def one_process_at_a_time(folder: Path) -> Iterator[None]:
    """Makes the folder, and keeps other processes out of it meanwhile.

    Runs with different seeds are often started together; the system drops the lock of a
    process that is killed.

    Raises:
      UsageError: If the folder cannot be made or written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = open(folder / ".mixup_jax.lock", "w")
    except OSError as error:
        raise UsageError(
            f"cannot write to {folder} ({error.strerror}); choose another --data_dir"
        ) from error
    with lock:
        try:
            import fcntl

            fcntl.flock(lock, fcntl.LOCK_EX)
        except (ImportError, OSError):  # Windows, some network disks
            _LOG.warning("%s cannot be locked; start one run first", folder)
        yield


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keeps tensorflow-datasets off stdout, which may be piped into a program."""
    out = sys.stderr if sys.stderr.isatty() else io.StringIO()
    with warnings.catch_warnings(), contextlib.redirect_stdout(out):
        warnings.simplefilter("ignore")  # theirs, not ours to mend
        yield
