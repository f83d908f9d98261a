"""Fashion-MNIST out of Debian's package dataset-fashion-mnist, without a download.

The package holds the original files but for their gzip headers, from which it drops
time and name. With those put back the bytes are the published ones, and the checksums
that tensorflow-datasets has registered hold.
"""

import struct
from pathlib import Path

FOLDER = Path("/usr/share/datasets/fashion-mnist")

# File name: modification time in the original gzip header, seconds since 1970.
_FILES = {
    "train-images-idx3-ubyte.gz": 1504176606,
    "train-labels-idx1-ubyte.gz": 1504176606,
    "t10k-images-idx3-ubyte.gz": 1504176627,
    "t10k-labels-idx1-ubyte.gz": 1504176627,
}
# RFC 1952: magic 1f 8b, method 8 (deflate), then flags, of which 0 says that no further
# header fields follow and 8 that a name does.
_BARE = b"\x1f\x8b\x08\x00"
_NAMED = b"\x1f\x8b\x08\x08"
_HEADER_BYTES = 10


def restore(target: Path, *, source: Path = FOLDER) -> bool:
    """Writes the four original files, each named as published.

    Args:
      target: An existing folder.
      source: Where the package keeps its files.

    Returns:
      Whether it could; False if the package is not installed or is not the known one.
    """
    for name, modified in _FILES.items():
        try:
            packed = (source / name).read_bytes()
        except OSError:
            return False
        if not packed.startswith(_BARE):
            return False
        # Extra flags 0, operating system 3 (Unix), then the name with a closing zero.
        header = _NAMED + struct.pack("<I", modified) + b"\x00\x03"
        header += name.removesuffix(".gz").encode() + b"\x00"
        (target / name).write_bytes(header + packed[_HEADER_BYTES:])
    return True
