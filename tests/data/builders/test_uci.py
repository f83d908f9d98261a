import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds

from mixup_jax.data import preparing
from mixup_jax.data.builders import files, uci
from mixup_jax.data.builders.tables import TABLES
from mixup_jax.errors import UsageError
from tests.data import miniature
from tests.data.miniature import pack, put

ROOT = Path(__file__).parents[3]


@pytest.fixture
def small(tmp_path, monkeypatch):
    """Puts a small set where its builder looks: (data_dir, manual_dir, rows)."""

    def prepare(name):
        table, contents, rows = miniature.make(name)
        monkeypatch.setitem(TABLES, name, table)
        data, manual = tmp_path / "data", tmp_path / "manual"
        manual.mkdir(exist_ok=True)
        put(manual, contents)
        return data, manual, rows

    return prepare


def prepare(*args):
    with preparing.quiet():
        return uci.prepare(*args)


def prepared(data):
    """Returns the folders that look like a complete set."""
    return [path.name for path in data.glob("uci_*/*") if path.name[0].isdigit()]


@pytest.mark.parametrize("name", miniature.NAMES)
def test_rows_come_back_in_the_order_of_the_files(name, small):
    data, manual, expected = small(name)
    for manual_dir in (manual, None):  # the second time from what was prepared
        got = prepare(name, data, manual_dir)
        np.testing.assert_array_equal(got.inputs, expected.inputs)
        np.testing.assert_array_equal(got.labels, expected.labels)
        assert got.inputs.dtype == np.float32 and got.labels.dtype == np.int32
    assert prepared(data) == [uci.VERSION]


def test_the_prepared_set_says_what_it_is(small):
    data, manual, _ = small("arcene")
    prepare("arcene", data, manual)
    info = uci.Arcene(data_dir=data).info
    assert {name: split.num_examples for name, split in info.splits.items()} == {
        "train": 22,
        "valid": 22,
    }
    assert info.features["label"].names == ["-1", "1"]
    assert info.homepage == "https://archive.ics.uci.edu/dataset/167"
    assert "CC BY 4.0" in str(info.redistribution_info)
    assert "10.24432/C58P55" in info.citation


def test_every_table_has_a_builder_outside_the_registry():
    assert set(uci.BUILDERS) == set(TABLES)
    registered = tfds.core.registered._DATASET_REGISTRY.values()
    assert not set(uci.BUILDERS.values()) & set(registered)


_CHILD = """
import os, signal, sys
from pathlib import Path
from mixup_jax.data.builders import uci
from mixup_jax.data.builders.tables import TABLES
from tests.data import miniature

name, data, manual, end = sys.argv[1:]
TABLES[name], _, _ = miniature.make(name)
whole = uci._Uci._generate_examples

def half(self, rows):
    for number, example in enumerate(whole(self, rows)):
        if number == 5 and end == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        yield example

uci._Uci._generate_examples = half
uci.prepare(name, Path(data), Path(manual))
print("tensorflow" in sys.modules)
"""


def run_child(name, data, manual, end):
    return subprocess.run(
        [sys.executable, "-c", _CHILD, name, str(data), str(manual), end],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def test_a_killed_preparation_leaves_nothing_that_is_used_later(small):
    data, manual, expected = small("iris")
    done = run_child("iris", data, manual, "kill")
    assert done.returncode == -signal.SIGKILL
    assert list(data.glob("uci_iris/*incomplete*"))
    assert prepared(data) == []
    got = prepare("iris", data, manual)
    np.testing.assert_array_equal(got.inputs, expected.inputs)


def test_preparing_needs_no_tensorflow(small):
    data, manual, _ = small("iris")
    done = run_child("iris", data, manual, "whole")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[-1] == "False"


def break_off(monkeypatch, error):
    def examples(self, rows):
        yield 0, {"features": rows.inputs[0], "label": 0}
        raise error

    monkeypatch.setattr(uci._Uci, "_generate_examples", examples)


def test_an_interrupted_preparation_leaves_nothing_that_is_used_later(
    small, monkeypatch
):
    data, manual, expected = small("iris")
    with monkeypatch.context() as patch:
        break_off(patch, KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            prepare("iris", data, manual)
    assert prepared(data) == []
    assert len(prepare("iris", data, manual).labels) == len(expected.labels)


def test_a_full_disk_is_an_error_a_user_can_read(small, monkeypatch):
    data, manual, _ = small("iris")
    break_off(monkeypatch, OSError(28, "No space left on device"))
    with pytest.raises(UsageError, match=r"cannot prepare Iris in .*No space left"):
        prepare("iris", data, manual)
    assert prepared(data) == []


def test_a_wrong_file_stops_the_preparation(small):
    data, manual, _ = small("iris")
    (manual / "iris.data").write_bytes(b"5.1,3.5,1.4,0.2,Iris-setosa\n")
    with pytest.raises(UsageError, match="not the published file"):
        prepare("iris", data, manual)
    assert prepared(data) == []


def test_a_folder_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(UsageError, match="--manual_dir does not exist"):
        prepare("iris", tmp_path, tmp_path / "nowhere")


# Downloads, with a stand-in for the server.


@pytest.fixture
def server(monkeypatch):
    """Serves what `fill(path)` writes; returns the addresses that were asked for."""
    asked = []

    def serve(fill):
        def download(self, address):
            asked.append(address)
            path = self._download_dir / "archive"
            fill(path)
            Path(f"{path}.INFO").write_text("{}")
            return path

        monkeypatch.setattr(files, "check_reachable", lambda table: None)
        monkeypatch.setattr(tfds.download.DownloadManager, "download", download)
        return asked

    return serve


@pytest.mark.parametrize("name", ["iris", "arcene"])
def test_without_files_the_archive_is_downloaded(name, tmp_path, monkeypatch, server):
    table, contents, expected = miniature.make(name)
    monkeypatch.setitem(TABLES, name, table)
    asked = server(lambda path: pack(path, contents))
    got = prepare(name, tmp_path, None)
    np.testing.assert_array_equal(got.inputs, expected.inputs)
    assert asked == [table.address]


def test_a_download_that_is_no_archive_is_not_kept(tmp_path, server):
    server(lambda path: path.write_text("<html>under repair</html>"))
    with pytest.raises(UsageError, match="not a whole zip archive"):
        prepare("iris", tmp_path, None)
    assert [path for path in (tmp_path / "downloads").iterdir() if path.is_file()] == []
    assert prepared(tmp_path) == []


def test_a_download_that_fails_says_what_to_fetch(tmp_path, server):
    def fail(path):
        raise tfds.download.DownloadError("HTTP code: 503")

    server(fail)
    with pytest.raises(UsageError, match=r"cannot download Iris .*--manual_dir"):
        prepare("iris", tmp_path, None)
