import hashlib
import importlib.resources

import pytest
import requests

from mixup_jax.data.builders import files
from mixup_jax.data.builders.tables import TABLES
from mixup_jax.errors import UsageError
from tests.data import miniature
from tests.data.miniature import fishers_iris, pack, put


def test_the_published_iris_is_known_by_its_lines():
    lines = fishers_iris()
    # The two rows in which the repository's file differs, as its errata say.
    lines[34] = lines[37] = "4.9,3.1,1.5,0.1,Iris-setosa"
    published = "\n".join(lines).encode() + b"\n\n"
    # Registered by tensorflow-datasets for the repository's iris.data.
    assert len(published) == 4551
    assert hashlib.sha256(published).hexdigest() == (
        "6f608b71a7317216319b4d27b4d9bc84e6abd734eda7872b71a458569e2656c0"
    )
    assert files.digest(published) == TABLES["iris"].files["iris.data"].digests[0]


def test_fishers_iris_is_known_too():
    content = "\r\n".join(fishers_iris()).encode()
    assert files.digest(content) == TABLES["iris"].files["iris.data"].digests[1]


def test_the_archive_of_iris_is_where_tensorflow_datasets_looks_for_it():
    pytest.importorskip("array_record")
    folder = importlib.resources.files("tensorflow_datasets")
    known = (folder / "url_checksums" / "iris.txt").read_text()
    assert TABLES["iris"].address + "\t" in known


def test_addresses_are_the_repository_s():
    # As other projects on GitHub give them.
    start = "https://archive.ics.uci.edu/static/public/"
    assert {
        name: table.address.removeprefix(start) for name, table in TABLES.items()
    } == {
        "abalone": "1/abalone.zip",
        "arcene": "167/arcene.zip",
        "arrhythmia": "5/arrhythmia.zip",
        "htru2": "372/htru2.zip",
        "iris": "53/iris.zip",
        "phishing": "379/website+phishing.zip",
    }


def test_line_ends_and_blanks_do_not_count_and_all_else_does():
    digest = files.digest(b"1 2 \n3 4\n")
    assert digest == hashlib.sha256(b"1 2\n3 4").hexdigest()
    assert digest == files.digest(b"1 2\r\n3 4")
    assert digest == files.digest(b"\r1 2\r\r3 4\r")
    assert digest != files.digest(b"1 2\n3 5\n")
    assert digest != files.digest(b"1 2 3 4\n")
    assert digest != files.digest(b"1  2\n3 4\n")


@pytest.mark.parametrize("name", miniature.NAMES)
def test_files_are_found_in_the_folder(name, tmp_path):
    table, contents, _ = miniature.make(name)
    put(tmp_path, contents)
    assert files.from_folder(table, tmp_path) == contents


@pytest.mark.parametrize("name", miniature.NAMES)
@pytest.mark.parametrize("inside", ["", "ARCENE/"], ids=["flat", "in a folder"])
def test_archives_are_found_in_the_folder(name, inside, tmp_path):
    table, contents, _ = miniature.make(name)
    pack(tmp_path / table.archive, contents, inside)
    assert files.from_folder(table, tmp_path) == contents


def test_an_archive_may_be_named_as_in_its_address(tmp_path):
    table, contents, _ = miniature.make("phishing")
    pack(tmp_path / "website%2Bphishing.zip", contents)
    assert files.from_folder(table, tmp_path) == contents


def test_nothing_there_is_no_error(tmp_path):
    (tmp_path / "wine.data").write_text("14.23,1.71,2.43\n")
    assert files.from_folder(TABLES["iris"], tmp_path) is None
    assert files.from_folder(TABLES["iris"], None) is None


def test_a_folder_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"--manual_dir does not exist: .*nowhere"):
        files.from_folder(TABLES["iris"], tmp_path / "nowhere")


def test_a_set_of_several_files_says_which_are_lacking(tmp_path):
    table, contents, _ = miniature.make("arcene")
    put(tmp_path, contents)
    (tmp_path / "arcene_valid.labels").unlink()
    message = r"Arcene needs arcene_valid\.labels too: get https://archive\.ics\."
    with pytest.raises(UsageError, match=message):
        files.from_folder(table, tmp_path)


def refusal(folder, table):
    with pytest.raises(UsageError) as caught:
        files.from_folder(table, folder)
    return str(caught.value)


@pytest.mark.parametrize("packed", [False, True])
def test_a_truncated_file_is_refused_with_both_checksums(packed, tmp_path):
    table, contents, _ = miniature.make("iris")
    short = contents["iris.data"][:500]
    if packed:
        pack(tmp_path / "iris.zip", {"iris.data": short})
    else:
        put(tmp_path, {"iris.data": short})
    message = refusal(tmp_path, table)
    lines, (expected,) = table.files["iris.data"]
    found_lines, (found,) = miniature.known(short)
    assert f"expected {lines} lines, SHA-256 {expected}" in message
    assert f"found    {found_lines} lines, SHA-256 {found}" in message
    # The last line is broken off in the middle, and that is said as well.
    assert f"iris.data, row {found_lines}" in message
    assert table.address in message
    assert str(tmp_path) in message


def test_one_other_digit_is_refused(tmp_path):
    table, contents, _ = miniature.make("abalone")
    first = contents["abalone.data"].index(b".")
    other = bytearray(contents["abalone.data"])
    other[first + 1] = ord("0") + (other[first + 1] - ord("0") + 1) % 10
    put(tmp_path, {"abalone.data": bytes(other)})
    assert "abalone.data is not the published file" in refusal(tmp_path, table)


def test_one_wrong_file_of_several_is_named(tmp_path):
    table, contents, _ = miniature.make("arcene")
    contents["arcene_valid.labels"] = contents["arcene_train.labels"]
    put(tmp_path, contents)
    assert "arcene_valid.labels is not the published file" in refusal(tmp_path, table)


def test_a_damaged_archive_is_refused(tmp_path):
    table, contents, _ = miniature.make("iris")
    path = tmp_path / "iris.zip"
    pack(path, contents)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert "iris.zip is not a whole zip archive" in refusal(tmp_path, table)
    path.write_bytes(b"<html>404</html>")
    assert "iris.zip is not a whole zip archive" in refusal(tmp_path, table)
    # A bit turned over in the middle of the compressed rows: zip keeps a CRC.
    middle = len(whole) // 2
    path.write_bytes(whole[:middle] + bytes([whole[middle] ^ 4]) + whole[middle + 1 :])
    assert "iris.zip is not a whole zip archive" in refusal(tmp_path, table)


def test_an_archive_of_something_else_is_refused(tmp_path):
    table, _, _ = miniature.make("iris")
    pack(tmp_path / "iris.zip", {"wine.data": b"14.23,1.71,2.43\n"})
    assert "iris.zip holds no iris.data" in refusal(tmp_path, table)


def test_without_a_network_the_error_says_what_to_fetch_and_where_to_put_it(
    monkeypatch,
):
    tried = []

    def fail(address, *, timeout, **_):
        tried.append((address, timeout))
        raise requests.exceptions.ConnectionError("name resolution failed")

    monkeypatch.setattr(requests, "get", fail)
    table = TABLES["arcene"]
    with pytest.raises(UsageError) as caught:
        files.check_reachable(table)
    message = str(caught.value)
    assert "arcene.zip, https://archive.ics.uci.edu/static/public/167/" in message
    assert "--manual_dir" in message
    assert all(name in message for name in table.files)
    ((address, timeout),) = tried
    assert address == table.address
    assert 0 < timeout <= 10
