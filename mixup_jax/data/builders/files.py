"""The files of a UCI set: out of a folder, an archive, or the repository.

Archives are known by what is in them: the repository packs them anew now and then.
"""

import hashlib
import io
import zipfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from urllib.parse import quote

from mixup_jax.data.builders.parsing import lines_of, read_part
from mixup_jax.data.builders.tables import Table
from mixup_jax.errors import UsageError

Contents = Mapping[str, bytes]  # by file name

# Between trying the server and giving up; tensorflow-datasets alone tries for minutes.
_TIMEOUT_S = 10


def digest(content: bytes) -> str:
    """Returns the SHA-256 of a file's lines, joined by newlines.

    Copies of text files differ in line ends and in blanks at the end of lines; these
    do not count.
    """
    return hashlib.sha256("\n".join(lines_of(content)).encode()).hexdigest()


def check_folder(folder: Path | None) -> None:
    """Raises a UsageError if a folder was given that does not exist."""
    if folder is not None and not folder.is_dir():
        raise UsageError(
            f"the folder given as --manual_dir does not exist: {folder}; put your "
            "archives there, or leave the flag out"
        )


def from_folder(table: Table, folder: Path | None) -> Contents | None:
    """Reads a set's files, or its archive, out of a folder.

    Args:
      table: The set.
      folder: Where files that were downloaded by hand are; None is nowhere.

    Returns:
      Bytes by file name; None if nothing of the set is there.

    Raises:
      UsageError: If the folder does not exist, holds some of the files only, or one
        that is not the published one.
    """
    check_folder(folder)
    if folder is None:
        return None
    there = [name for name in table.files if (folder / name).is_file()]
    if len(there) == len(table.files):
        contents = {name: (folder / name).read_bytes() for name in there}
        return checked(table, contents, where=str(folder))
    for name in (table.archive, quote(table.archive)):
        if (folder / name).is_file():
            return from_archive(table, folder / name)
    if there:
        lacking = [name for name in table.files if name not in there]
        raise UsageError(
            f"{table.title} needs {', '.join(lacking)} too: get {table.address} and "
            f"put it, or what is in it, into {folder}"
        )
    return None


def from_archive(table: Table, path: Path) -> Contents:
    """Reads a set's files out of the repository's archive, in whatever folder there.

    Raises:
      UsageError: If it is no zip archive, is damaged, or lacks one of the files.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(path.read_bytes())) as archive:
            members = {PurePosixPath(name).name: name for name in archive.namelist()}
            lacking = [name for name in table.files if name not in members]
            if lacking:
                raise UsageError(
                    f"{path} holds no {', '.join(lacking)}: it is not the archive of "
                    f"{table.title}, {table.address}"
                )
            contents = {name: archive.read(members[name]) for name in table.files}
    except (zipfile.BadZipFile, EOFError, OSError) as error:
        raise UsageError(
            f"{path} is not a whole zip archive ({error}). Delete it and get it again: "
            f"{table.address}"
        ) from error
    return checked(table, contents, where=str(path))


def checked(table: Table, contents: Contents, *, where: str) -> Contents:
    """Returns the contents if they are the published ones.

    Raises:
      UsageError: If not; with the checksum that was expected and the one found, and
        what is wrong with the rows if they cannot be read.
    """
    for name, known in table.files.items():
        found = digest(contents[name])
        if found in known.digests:
            continue
        raise UsageError(
            f"{where}: {name} is not the published file.\n"
            f"  expected {known.count:,} lines, SHA-256 {known.digests[0]}\n"
            f"  found    {len(lines_of(contents[name])):,} lines, SHA-256 {found}\n"
            "  (of the lines, without their ends and blanks around them)\n"
            f"{_complaint(table, contents)}"
            f"Delete it and get it again: {table.address}"
        )
    return contents


def check_reachable(table: Table) -> None:
    """Raises a UsageError within seconds if the repository does not answer."""
    import requests  # comes with tensorflow-datasets

    try:
        with requests.get(table.address, stream=True, timeout=_TIMEOUT_S) as response:
            response.raise_for_status()
    except requests.exceptions.RequestException as error:
        raise unavailable(table, error) from error


def unavailable(table: Table, cause: Exception) -> UsageError:
    """Returns the error that says what to fetch by hand, and where it goes."""
    return UsageError(
        f"cannot download {table.title} ({type(cause).__name__}). Fetch by hand, put "
        "into a folder and name that with --manual_dir:\n"
        f"  {table.archive}, {table.address}\n"
        f"  or what is in it: {', '.join(table.files)}"
    )


def _complaint(table: Table, contents: Contents) -> str:
    try:
        for part in table.parts:
            read_part(table, part, contents)
    except UsageError as error:
        return f"  {error}\n"
    return ""
