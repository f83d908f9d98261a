import logging
import os
import sys
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from mixup_jax import data
from mixup_jax.data import tabular
from mixup_jax.data.augment import normalise
from mixup_jax.data.builders.tables import TABLES
from mixup_jax.data.dataset import Split
from mixup_jax.errors import UsageError
from tests.data import miniature

REAL = os.environ.get("MIXUP_JAX_UCI_DIR")


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Loads a small set of the name; `rows` are all its rows, in the files' order."""

    def small(name, **options):
        table, contents, small.rows = miniature.make(name)
        monkeypatch.setitem(TABLES, name, table)
        manual = tmp_path / "manual"
        manual.mkdir(exist_ok=True)
        miniature.put(manual, contents)
        folders = {"data_dir": str(tmp_path / "data"), "manual_dir": str(manual)}
        return tabular.load(name, **folders, **options)

    return small


@pytest.fixture
def rows(monkeypatch):
    """Makes `load` see these rows of iris, and nothing of the disk."""

    def see(inputs, labels=None):
        inputs = np.asarray(inputs, np.float32)
        if labels is None:
            labels = np.arange(len(inputs)) % 3
        seen = Split(inputs, np.asarray(labels, np.int32))
        monkeypatch.setattr(tabular, "_rows", lambda *_: seen)
        monkeypatch.setitem(
            TABLES, "iris", TABLES["iris"]._replace(columns=inputs.shape[1])
        )

    return see


def standardised(dataset, split):
    """Returns a split's features as a network reads them."""
    return np.asarray(normalise(jnp.asarray(split.inputs), dataset.mean, dataset.std))


def as_rows(*splits):
    return sorted(
        (*np.nan_to_num(inputs, nan=-1).tolist(), int(label))
        for split in splits
        for inputs, label in zip(*split, strict=True)
    )


@pytest.mark.parametrize("name", miniature.NAMES)
def test_every_row_goes_with_its_label_into_one_of_the_parts(name, load):
    got = load(name)
    assert got.name == name
    assert len(got.train.labels) == 29  # two thirds of 44
    assert len(got.test.labels) == 15
    assert got.train.inputs.dtype == np.float32
    filled = np.concatenate([got.train.inputs, got.test.inputs])
    assert np.isfinite(filled).all()
    expected = load.rows
    if name == "arrhythmia":  # the cells that were missing have a value now
        gaps = np.isnan(expected.inputs).any(axis=0)
        assert gaps.sum() == 1
        expected = Split(expected.inputs[:, ~gaps], expected.labels)
        got = [Split(s.inputs[:, ~gaps], s.labels) for s in (got.train, got.test)]
        assert as_rows(*got) == as_rows(expected)
    else:
        assert as_rows(got.train, got.test) == as_rows(expected)


@pytest.mark.parametrize(
    ("name", "classes", "title"),
    [
        ("abalone", 28, "Abalone (UCI 1), 44 rows split 29 + 15, split seed 0"),
        ("arcene", 2, "Arcene (UCI 167), 44 rows split 29 + 15, split seed 0"),
        ("arrhythmia", 13, "Arrhythmia (UCI 5), 44 rows split 29 + 15, split seed 0"),
        ("htru2", 2, "HTRU2 (UCI 372), 44 rows split 29 + 15, split seed 0"),
        ("iris", 3, "Iris (UCI 53), 44 rows split 29 + 15, split seed 0"),
        ("phishing", 3, "Website Phishing (UCI 379), 44 rows split 29 + 15"),
    ],
)
def test_the_title_names_set_rows_and_split(name, classes, title, load):
    got = load(name)
    assert got.title.startswith(title)
    assert got.num_classes == classes


def test_splits_depend_on_the_seed_alone(load):
    first, again, other = load("iris"), load("iris"), load("iris", split_seed=1)
    np.testing.assert_array_equal(first.train.inputs, again.train.inputs)
    assert as_rows(first.train) != as_rows(other.train)
    assert "split seed 1" in other.title
    # The order is part of every result on these sets.
    order = np.random.RandomState(0).permutation(44)
    np.testing.assert_array_equal(first.train.labels, load.rows.labels[order[:29]])
    np.testing.assert_array_equal(first.test.labels, load.rows.labels[order[29:]])


@pytest.mark.parametrize(
    ("share", "train"), [(0.25, 11), (0.5, 22), (0.8, 35), (0.001, 1), (0.999, 43)]
)
def test_the_share_is_that_of_all_rows_and_neither_part_is_empty(share, train, load):
    got = load("iris", train_share=share)
    assert (len(got.train.labels), len(got.test.labels)) == (train, 44 - train)


def test_a_class_of_one_row_does_not_stop_a_split(rows):
    rows(np.arange(20.0).reshape(10, 2), [0] * 8 + [1, 2])
    for seed in range(5):
        got = tabular.load("iris", split_seed=seed)
        labels = [*got.train.labels, *got.test.labels]
        assert sorted(labels) == [0] * 8 + [1, 2]
        assert got.num_classes == 3


def test_standardisation_knows_nothing_of_the_test_rows(rows):
    inputs = np.random.RandomState(0).normal(3, 2, (30, 4)).astype(np.float32)
    rows(inputs)
    before = tabular.load("iris")
    held_out = np.random.RandomState(0).permutation(30)[20:]
    inputs[held_out] = 1e6
    rows(inputs)
    after = tabular.load("iris")
    assert (after.test.inputs == 1e6).all()
    assert before.mean == after.mean
    assert before.std == after.std
    np.testing.assert_array_equal(before.train.inputs, after.train.inputs)


@pytest.mark.parametrize("name", ["abalone", "arrhythmia"])
def test_standardised_features_are_scikit_learns(name, load):
    pytest.importorskip("sklearn")
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    got = load(name)
    order = np.random.RandomState(0).permutation(44)
    raw = load.rows.inputs.astype(np.float64)
    pipeline = make_pipeline(SimpleImputer(), StandardScaler()).fit(raw[order[:29]])
    for split, members in ((got.train, order[:29]), (got.test, order[29:])):
        ours = standardised(got, split)
        np.testing.assert_allclose(ours, pipeline.transform(raw[members]), atol=2e-6)


def test_a_missing_cell_is_at_zero_once_standardised(load):
    got = load("arrhythmia")
    order = np.random.RandomState(0).permutation(44)
    for split, members in ((got.train, order[:29]), (got.test, order[29:])):
        missing = np.isnan(load.rows.inputs[members])
        assert missing.any()
        ours = standardised(got, split)
        np.testing.assert_allclose(ours[missing], 0, atol=1e-6)


def test_a_missing_cell_is_the_mean_of_the_training_rows_that_have_it(rows):
    inputs = np.tile(np.arange(9.0)[:, None], (1, 2))
    inputs[:, 1] = np.nan
    order = np.random.RandomState(0).permutation(9)  # the first six are trained on
    inputs[order[:2], 1] = 2, 7
    inputs[order[6], 1] = 100  # held out, so of no account
    rows(inputs)
    got = tabular.load("iris", standardise=False)
    np.testing.assert_array_equal(got.train.inputs[:, 1], [2, 7, 4.5, 4.5, 4.5, 4.5])
    np.testing.assert_array_equal(got.test.inputs[:, 1], [100, 4.5, 4.5])


def test_a_column_that_no_training_row_has_is_filled_with_zeros(rows):
    inputs = np.ones((9, 2))
    inputs[np.random.RandomState(0).permutation(9)[:6], 1] = np.nan
    rows(inputs)
    got = tabular.load("iris")
    assert (got.train.inputs[:, 1] == 0).all()
    assert (got.test.inputs[:, 1] == 1).all()
    assert (got.mean[1], got.std[1]) == (0, 1)


@pytest.mark.parametrize("value", [0.0, 0.1, 1e-30, 3e7])
def test_constant_columns_are_harmless(value, rows):
    inputs = np.full((31, 1), value, np.float32)
    held_out = np.random.RandomState(0).permutation(31)[30]
    inputs[held_out] += 0.5
    rows(inputs)
    got = tabular.load("iris", train_share=0.97)
    assert got.std == (1.0,)
    assert abs(standardised(got, got.train)).max() < 4
    assert abs(standardised(got, got.test)).max() < 4


def test_features_can_be_left_as_they_are(load):
    got = load("iris", standardise=False)
    assert got.mean == (0.0,) * 4
    assert got.std == (1.0,) * 4
    assert got.title.endswith(", not standardised")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"split_seed": -1}, "split_seed must be from 0 .* got -1"),
        ({"split_seed": 2**32}, "split_seed .* got 4294967296"),
        ({"train_share": 0.0}, r"train_share must be between 0 and 1, got 0\.0"),
        ({"train_share": 1.0}, r"train_share .* got 1\.0"),
        ({"train_share": float("nan")}, "train_share .* got nan"),
    ],
)
def test_options_out_of_range_are_named(options, message, rows):
    rows(np.ones((9, 2)))
    with pytest.raises(UsageError, match=message):
        tabular.load("iris", **options)


@pytest.mark.parametrize("loader", [tabular.load, data.load])
def test_an_unknown_name_is_answered_with_the_nearest_known_one(loader):
    with pytest.raises(UsageError, match="Did you mean 'arrhythmia'"):
        loader("arythmia")


def test_a_second_load_needs_no_files_and_no_tensorflow_datasets(
    load, tmp_path, monkeypatch
):
    want = load("phishing")
    # An import of the builders would now fail.
    monkeypatch.setitem(sys.modules, "mixup_jax.data.builders.uci", None)
    got = data.load("phishing", data_dir=str(tmp_path / "data"))
    np.testing.assert_array_equal(got.train.inputs, want.train.inputs)
    np.testing.assert_array_equal(got.test.labels, want.test.labels)


def test_a_truncated_cache_is_reported_and_rebuilt_from_the_prepared_set(
    load, tmp_path, caplog
):
    want = load("arrhythmia")
    cache = tmp_path / "data" / "uci_arrhythmia" / tabular.CACHE_NAME
    os.truncate(cache, cache.stat().st_size // 2)
    with caplog.at_level(logging.WARNING):
        got = tabular.load("arrhythmia", data_dir=str(tmp_path / "data"))
    assert "built anew" in caplog.text
    np.testing.assert_array_equal(got.train.inputs, want.train.inputs)
    assert cache.exists()


def test_a_wrong_file_is_refused_and_nothing_is_kept(load, tmp_path):
    with pytest.raises(UsageError, match=r"--manual_dir does not exist"):
        tabular.load("iris", data_dir=str(tmp_path), manual_dir=str(tmp_path / "none"))
    (tmp_path / "iris.data").write_bytes(b"5.1,3.5,1.4,0.2,Iris-setosa\n")
    with pytest.raises(UsageError, match=r"iris\.data is not the published file"):
        tabular.load("iris", data_dir=str(tmp_path), manual_dir=str(tmp_path))
    assert not list(tmp_path.glob("uci_iris/*.npz"))


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"cannot write to .*file.*--data_dir"):
        tabular.load("iris", data_dir=str(tmp_path / "file"))


# Real rows.


def test_the_irises_lie_about_the_centres_of_their_kinds(tmp_path):
    content = "\n".join(miniature.fishers_iris()).encode()
    miniature.put(tmp_path, {"iris.data": content})
    got = tabular.load("iris", data_dir=str(tmp_path), manual_dir=str(tmp_path))
    assert len(got.train.labels) == 100
    train, test = standardised(got, got.train), standardised(got, got.test)
    centres = np.stack([train[got.train.labels == k].mean(axis=0) for k in range(3)])
    nearest = np.linalg.norm(test[:, None] - centres, axis=2).argmin(axis=1)
    assert np.mean(nearest != got.test.labels) < 0.2  # chance is .67


@pytest.mark.skipif(not REAL, reason="set MIXUP_JAX_UCI_DIR to the six sets' files")
@pytest.mark.parametrize(
    ("name", "shape", "counts", "gaps"),
    [
        (
            "abalone",
            (4177, 8),
            "1 1 15 57 115 259 391 568 689 634 487 267 203 126 103 67 58 42 32 26 14 6 "
            "9 2 1 1 2 1",
            {},
        ),
        ("arcene", (200, 10_000), "112 88", {}),
        (
            "arrhythmia",
            (452, 279),
            "245 44 15 15 13 25 3 2 9 50 4 5 22",
            {10: 8, 11: 22, 12: 1, 13: 376, 14: 1},
        ),
        ("htru2", (17_898, 8), "16259 1639", {}),
        ("iris", (150, 4), "50 50 50", {}),
        ("phishing", (1353, 9), "702 103 548", {}),
    ],
)
def test_the_published_files_hold_what_their_pages_say(
    name, shape, counts, gaps, tmp_path
):
    table = TABLES[name]
    rows = tabular._rows(table, str(tmp_path), Path(REAL or ""))
    assert rows.inputs.shape == shape
    assert np.bincount(rows.labels).tolist() == [int(n) for n in counts.split()]
    missing = np.isnan(rows.inputs).sum(axis=0)
    assert {int(i): int(missing[i]) for i in np.flatnonzero(missing)} == gaps
    got = tabular.load(name, data_dir=str(tmp_path))
    assert len(got.train.labels) == round(shape[0] * 2 / 3)
