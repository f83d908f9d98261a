import dataclasses
import json
import os

import pytest

from mixup_jax.errors import RunError, UsageError
from mixup_jax.runs.config import RunConfig
from mixup_jax.runs.directory import open_directory


def test_a_new_directory_gets_the_config_and_environment(tmp_path, config):
    directory = open_directory(tmp_path / "a" / "b", config, {"device": "one"})
    content = json.loads((directory.path / "config.json").read_text())
    assert content["config"]["alpha"] == 1.0
    assert content["environment"] == {"device": "one"}
    assert open_directory(directory.path, config, {}).config() == content["config"]


def test_an_empty_directory_is_taken_and_a_foreign_one_refused(tmp_path, config):
    open_directory(tmp_path, config, {})
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "thesis.tex").write_text("precious")
    with pytest.raises(UsageError, match=r"holds files but no config\.json"):
        open_directory(foreign, config, {})
    assert [path.name for path in foreign.iterdir()] == ["thesis.tex"]


def test_a_start_that_was_killed_while_writing_the_config_can_be_repeated(
    tmp_path, config
):
    (tmp_path / "config.json.tmp").write_text("{")
    assert open_directory(tmp_path, config, {}).config()["alpha"] == 1.0


def test_a_changed_config_is_refused_by_the_fields_name(tmp_path, config):
    open_directory(tmp_path, config, {})
    changed = dataclasses.replace(config, alpha=0.2, lr_drops=(1,))
    with pytest.raises(UsageError) as error:
        open_directory(tmp_path, changed, {})
    assert "alpha: 1.0 there, 0.2 asked for" in str(error.value)
    assert "lr_drops: [2] there, [1] asked for" in str(error.value)
    assert "epochs" not in str(error.value)


def test_a_run_of_an_earlier_version_goes_on_where_new_fields_are_not_used(
    tmp_path, config
):
    open_directory(tmp_path, config, {})
    file = tmp_path / "config.json"
    content = json.loads(file.read_text())
    del content["config"]["noise"], content["config"]["lr_drops"]
    file.write_text(json.dumps(content))
    usual = dataclasses.replace(config, lr_drops=RunConfig().lr_drops)
    open_directory(tmp_path, usual, {})
    with pytest.raises(UsageError, match=r"noise: 0\.0 there, 0\.1 asked for"):
        open_directory(tmp_path, dataclasses.replace(usual, noise=0.1), {})


def test_a_damaged_config_is_said_to_be_damaged(tmp_path, config):
    (tmp_path / "config.json").write_text('{"config": ')
    with pytest.raises(UsageError, match="damaged or not ours"):
        open_directory(tmp_path, config, {})


def test_an_empty_name_and_a_file_are_refused(tmp_path, config):
    with pytest.raises(UsageError, match="workdir is empty"):
        open_directory("", config, {})
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="is a file"):
        open_directory(tmp_path / "file", config, {})
    with pytest.raises(UsageError, match="is a file"):
        open_directory(tmp_path / "file" / "below", config, {})


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a place root cannot write")
def test_an_unwritable_place_is_a_failure_without_traceback(config):
    with pytest.raises(RunError, match="cannot write the workdir"):
        open_directory("/proc/run", config, {})


def test_rows_are_kept_in_order_and_a_cut_off_line_is_left_out(tmp_path, config):
    directory = open_directory(tmp_path, config, {})
    assert directory.rows() == []
    for step in (3, 6):
        directory.append({"step": step, "test_error": 0.5})
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 9, "test_er')
    assert [row["step"] for row in directory.rows()] == [3, 6]


def test_rewinding_drops_later_rows_and_the_cut_off_one(tmp_path, config):
    directory = open_directory(tmp_path, config, {})
    for step in (3, 6, 9):
        directory.append({"step": step})
    directory.rewind(6)
    directory.append({"step": 9, "again": True})
    assert directory.rows() == [{"step": 3}, {"step": 6}, {"step": 9, "again": True}]


def test_a_result_is_there_only_once_written(tmp_path, config):
    directory = open_directory(tmp_path, config, {})
    assert directory.result() is None
    directory.write_result({"a": 1})
    assert directory.result() == {"a": 1}
    assert not list(tmp_path.glob("*.tmp"))


def test_damaged_results_and_lines_are_named_with_what_to_do(tmp_path, config):
    directory = open_directory(tmp_path, config, {})
    (tmp_path / "result.json").write_text('{"run": ')
    with pytest.raises(RunError, match=r"result\.json is damaged .*; remove it, and"):
        directory.result()
    (tmp_path / "metrics.jsonl").write_text('{"step": 3}\n{"st\n')
    with pytest.raises(RunError, match=r"metrics\.jsonl, line 2 is damaged .*remove"):
        directory.rows()
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(UsageError, match=r"config\.json is damaged or not ours"):
        directory.config()
