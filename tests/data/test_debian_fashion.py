import gzip
import hashlib
import struct

import pytest

from mixup_jax.data import debian_fashion

# As registered by tensorflow-datasets for the published files.
SHA256 = {
    "t10k-images-idx3-ubyte.gz": (
        "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"
    ),
    "t10k-labels-idx1-ubyte.gz": (
        "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"
    ),
    "train-images-idx3-ubyte.gz": (
        "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"
    ),
    "train-labels-idx1-ubyte.gz": (
        "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"
    ),
}


@pytest.mark.skipif(
    not debian_fashion.FOLDER.is_dir(),
    reason="needs Debian's package dataset-fashion-mnist",
)
def test_the_restored_files_are_the_published_ones_to_the_bit(tmp_path):
    assert debian_fashion.restore(tmp_path)
    got = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in tmp_path.iterdir()
    }
    assert got == SHA256


@pytest.fixture
def package(tmp_path):
    """Four files compressed as Debian does: without time and name."""
    folder = tmp_path / "package"
    folder.mkdir()
    for name in SHA256:
        (folder / name).write_bytes(gzip.compress(name.encode(), mtime=0))
    return folder


def test_name_and_time_are_put_into_the_header_and_the_data_kept(tmp_path, package):
    target = tmp_path / "target"
    target.mkdir()
    assert debian_fashion.restore(target, source=package)
    restored = (target / "t10k-labels-idx1-ubyte.gz").read_bytes()
    assert gzip.decompress(restored) == b"t10k-labels-idx1-ubyte.gz"
    # 31 August 2017, 10:50:27 UTC; RFC 1952: flag 8 says that a name follows.
    assert struct.unpack("<4BIBB", restored[:10]) == (31, 139, 8, 8, 1504176627, 0, 3)
    assert restored[10:35] == b"t10k-labels-idx1-ubyte\x00" + restored[33:35]


def test_without_the_package_nothing_is_restored(tmp_path):
    assert not debian_fashion.restore(tmp_path, source=tmp_path / "none")


def test_an_incomplete_package_is_not_used(tmp_path, package):
    (package / "t10k-labels-idx1-ubyte.gz").unlink()
    assert not debian_fashion.restore(tmp_path, source=package)


def test_a_package_with_other_headers_is_not_used(tmp_path, package):
    with gzip.GzipFile(package / "t10k-labels-idx1-ubyte.gz", "wb") as named:
        named.write(b"this header already holds a name")
    assert not debian_fashion.restore(tmp_path, source=package)
