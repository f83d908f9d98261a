import json

import pytest

from experiments.workspace import Workspace
from mixup_jax.errors import UsageError
from mixup_jax.runs.records import Record, read_records

CONFIG = {"scale": "small", "seeds": 2, "drops": (1, 2)}


def record(row, seed, value):
    return Record("cifar", row, "test_error_last", seed, value, "data", "small")


def test_it_is_left_and_taken_up_again(tmp_path):
    first = Workspace(tmp_path / "w", CONFIG)
    first.add([record("erm", 0, 0.5)])
    again = Workspace(tmp_path / "w", CONFIG)
    assert again.records == [record("erm", 0, 0.5)]
    assert again.has("erm", [0])
    assert not again.has("erm", [0, 1]) and not again.has("mixup", [0])
    again.add([record("erm", 1, 0.25)])
    assert again.has("erm", range(2))
    assert read_records(tmp_path / "w" / "records.csv") == again.records


def test_numbers_measured_anew_take_the_place_of_old_ones(tmp_path):
    space = Workspace(tmp_path, CONFIG)
    space.add([record("erm", 0, 0.5), record("erm", 1, 0.6)])
    space.add([record("erm", 1, 0.7)])
    assert space.records == [record("erm", 0, 0.5), record("erm", 1, 0.7)]


def test_what_was_asked_and_where_it_ran_is_kept(tmp_path):
    Workspace(tmp_path, CONFIG)
    assert json.loads((tmp_path / "config.json").read_text())["drops"] == [1, 2]
    assert "jax" in json.loads((tmp_path / "environment.json").read_text())["versions"]


def test_other_settings_are_refused_by_the_fields_names(tmp_path):
    Workspace(tmp_path, CONFIG)
    with pytest.raises(UsageError, match="seeds: 2 there, 3 asked for"):
        Workspace(tmp_path, CONFIG | {"seeds": 3})
    with pytest.raises(UsageError, match="more: nothing there, 1 asked for"):
        Workspace(tmp_path, CONFIG | {"more": 1})


def test_rows_of_an_earlier_version_go_on_where_new_fields_are_not_used(tmp_path):
    row = {"dataset": "mnist5k", "alpha": 1.0}
    Workspace(tmp_path, {"rows": {"erm": row}})
    Workspace(tmp_path, {"rows": {"erm": row | {"noise": 0.0}}})
    with pytest.raises(UsageError, match=r"erm, noise: 0\.0 there, 0\.1 asked for"):
        Workspace(tmp_path, {"rows": {"erm": row | {"noise": 0.1}}})


def test_changes_deep_inside_are_said_by_their_place_and_only_some_of_many(tmp_path):
    deep = {"rows": {"erm": {"alpha": 0, "epochs": 3}}}
    Workspace(tmp_path, deep)
    with pytest.raises(UsageError, match="rows, erm, epochs: 3 there, 4 asked for"):
        Workspace(tmp_path, {"rows": {"erm": {"alpha": 0, "epochs": 4}}})
    many = deep | {f"extra{i}": i for i in range(20)}
    with pytest.raises(UsageError) as error:
        Workspace(tmp_path, many)
    assert str(error.value).count("asked for") == 8
    assert str(error.value).endswith("and 12 more")


def test_a_directory_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(UsageError, match="holds files but no config"):
        Workspace(tmp_path, CONFIG)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
    with pytest.raises(UsageError, match="is a file; name a directory"):
        Workspace(tmp_path / "thesis.tex", CONFIG)
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(UsageError, match=r"config\.json is not ours"):
        Workspace(tmp_path, CONFIG)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(UsageError, match=r"config\.json is damaged or not ours"):
        Workspace(tmp_path, CONFIG)
    (tmp_path / "config.json").write_text('{"config": {}, "environment": {}}')
    with pytest.raises(UsageError, match="holds a single run, and no table"):
        Workspace(tmp_path, CONFIG)


def test_a_row_that_is_missing_is_said_in_a_word(tmp_path):
    Workspace(tmp_path, {"rows": {}})
    with pytest.raises(UsageError, match="rows, erm: nothing there, a row asked for"):
        Workspace(tmp_path, {"rows": {"erm": {"alpha": 0.0, "epochs": 3}}})
