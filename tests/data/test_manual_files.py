import hashlib
import json

import pytest
import requests

from mixup_jax.data import manual_files
from mixup_jax.data.manual_files import Published
from mixup_jax.errors import UsageError


def _published(name, content):
    return Published(name, len(content), hashlib.sha256(content).hexdigest())


FILES = {
    "https://example.org/a": _published("a.tar.gz", b"alpha"),
    "https://example.org/b": _published("b.tar.gz", b"beta"),
}


def test_without_a_folder_all_files_are_missing():
    assert manual_files.missing(None, FILES) == FILES


def test_files_in_the_folder_are_not_missing(tmp_path):
    (tmp_path / "a.tar.gz").write_bytes(b"alpha")
    assert list(manual_files.missing(tmp_path, FILES)) == ["https://example.org/b"]


def test_a_folder_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"--manual_dir does not exist: .*nowhere"):
        manual_files.missing(tmp_path / "nowhere", FILES)


@pytest.mark.parametrize("content", [b"alp", b"alphA"], ids=["size", "checksum"])
def test_a_file_with_other_bytes_is_named_with_its_address(tmp_path, content):
    (tmp_path / "a.tar.gz").write_bytes(content)
    message = rf"a\.tar\.gz has {len(content)} bytes .* 5 bytes .*https://example.org/a"
    with pytest.raises(UsageError, match=message):
        manual_files.missing(tmp_path, FILES)


def test_complete_downloads_are_known_by_their_notes(tmp_path):
    note = {"urls": ["https://example.org/a"], "dataset_names": ["any"]}
    (tmp_path / "a.tar.gz.INFO").write_text(json.dumps(note))
    (tmp_path / "b.tar.gz.tmp.123").mkdir()
    (tmp_path / "c.tar.gz.INFO").write_text("{half a no")
    assert manual_files.downloaded(tmp_path) == {"https://example.org/a"}
    assert manual_files.downloaded(tmp_path / "none") == set()


def test_without_a_network_the_error_says_what_to_fetch_and_where_to_put_it(
    monkeypatch,
):
    tried = []

    def fail(address, *, timeout, **_):
        tried.append(timeout)
        raise requests.exceptions.ConnectionError("name resolution failed")

    monkeypatch.setattr(requests, "get", fail)
    with pytest.raises(UsageError) as caught:
        manual_files.check_reachable("Letters", FILES)
    message = str(caught.value)
    assert "Letters" in message
    assert "--manual_dir" in message
    assert "a.tar.gz, 5 bytes, https://example.org/a" in message
    assert "b.tar.gz, 4 bytes, https://example.org/b" in message
    # One attempt and a limit, so that a silent network costs seconds.
    assert len(tried) == 1
    assert 0 < tried[0] <= 10


class _Response:
    def __init__(self, status):
        self.status = status

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def raise_for_status(self):
        if self.status != 200:
            raise requests.exceptions.HTTPError(self.status)


@pytest.mark.parametrize("status", [200, 404])
def test_a_server_without_the_file_counts_as_not_reachable(monkeypatch, status):
    monkeypatch.setattr(requests, "get", lambda *_, **__: _Response(status))
    if status == 200:
        manual_files.check_reachable("Letters", FILES)
    else:
        with pytest.raises(UsageError, match="HTTPError"):
            manual_files.check_reachable("Letters", FILES)


def test_no_file_missing_needs_no_network(monkeypatch):
    monkeypatch.setattr(requests, "get", None)
    manual_files.check_reachable("Letters", {})
