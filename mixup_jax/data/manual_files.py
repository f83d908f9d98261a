"""The published archives that a data set is prepared from, fetched by hand or not."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from mixup_jax.errors import UsageError


class Published(NamedTuple):
    """What is known of a file in advance."""

    filename: str
    size: int  # bytes
    checksum: str  # SHA-256, hexadecimal


Files = Mapping[str, Published]  # by address

# Between trying a server and giving up. tensorflow-datasets alone sets no limit and
# tries ten more times: without a network that was 200 s.
_TIMEOUT_S = 10


def missing(folder: Path | None, files: Files) -> Files:
    """Returns the files that are not in the folder.

    Raises:
      UsageError: If the folder does not exist, or holds one of the files with other
        bytes than were published.
    """
    if folder is None:
        return files
    if not folder.is_dir():
        raise UsageError(
            f"the folder given as --manual_dir does not exist: {folder}; put your "
            "archives there, or leave the flag out"
        )
    for address, file in files.items():
        path = folder / file.filename
        if path.exists() and not _is_published(path, file):
            raise UsageError(
                f"{path} has {path.stat().st_size:,} bytes and is not the published "
                f"file of {file.size:,} bytes (SHA-256 {file.checksum}). Delete "
                f"it and get it again: {address}"
            )
    return {a: f for a, f in files.items() if not (folder / f.filename).exists()}


def downloaded(folder: Path) -> set[str]:
    """Returns the addresses that tensorflow-datasets has fully downloaded already."""
    addresses = set()
    for note in folder.glob("*.INFO"):
        try:
            addresses.update(json.loads(note.read_text()).get("urls", ()))
        except (OSError, ValueError):
            continue
    return addresses


def check_reachable(title: str, files: Files) -> None:
    """Raises a UsageError within seconds if the files' servers do not answer."""
    import requests  # comes with tensorflow-datasets

    # One file of each server: some sets have thousands.
    servers = {urlsplit(address).netloc: address for address in files}
    for address in servers.values():
        try:
            with requests.get(address, stream=True, timeout=_TIMEOUT_S) as response:
                response.raise_for_status()
        except requests.exceptions.RequestException as error:
            raise unavailable(title, files, error) from error


def unavailable(title: str, files: Files, cause: Exception) -> UsageError:
    """Returns the error that says which files to fetch by hand, and where they go."""
    lines = [
        f"  {file.filename}, {file.size:,} bytes, {address}"
        for address, file in files.items()
    ]
    return UsageError(
        f"cannot download {title} ({type(cause).__name__}). Fetch by hand, put into "
        "one folder and name that with --manual_dir:\n" + "\n".join(lines)
    )


def by_hand(title: str, files: Files) -> UsageError:
    """Returns the error for files that only the user can get."""
    lines = [
        f"  {file.filename}, {file.size:,} bytes, SHA-256 {file.checksum}, {address}"
        for address, file in files.items()
    ]
    return UsageError(
        f"{title} is given out to registered users alone: get these files, put them "
        "into one folder and name that with --manual_dir:\n" + "\n".join(lines)
    )


def _is_published(path: Path, file: Published) -> bool:
    if path.stat().st_size != file.size:
        return False
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest() == file.checksum
