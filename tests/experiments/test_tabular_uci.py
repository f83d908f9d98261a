"""Table 4 by its program, on small files of the published format."""

import jax
import numpy as np
import pytest

from experiments import paper, reproduction, tabular_uci
from experiments.reproduction import with_seed
from mixup_jax.data.builders.tables import TABLES
from mixup_jax.data.preprocessing import preprocessing
from mixup_jax.errors import UsageError
from mixup_jax.evaluation.classification import error_rate
from mixup_jax.runs import Session
from mixup_jax.runs.parts import Parts
from mixup_jax.runs.records import read_records
from mixup_jax.runs.runner import load_dataset
from mixup_jax.training.placement import Placement
from tests.data import miniature

SMALL = ("--scale=small", "--seeds=2", "--rows=iris_*")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Where miniatures of all six sets are, and where they are prepared."""
    root = tmp_path_factory.mktemp("uci")
    (root / "manual").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        for name in miniature.NAMES:
            table, contents, _ = miniature.make(name)
            patch.setitem(TABLES, name, table)
            miniature.put(root / "manual", contents)
        yield {"data_dir": str(root / "data"), "manual_dir": str(root / "manual")}


@pytest.fixture(scope="module")
def run(folders):
    where = [f"--{name}={path}" for name, path in folders.items()]

    def main(*arguments):
        argv = ["tabular_uci", *where, *arguments]
        reproduction.main(tabular_uci.REPRODUCTION, tabular_uci.__doc__, argv)

    return main


@pytest.fixture(scope="module")
def finished(run, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("table4")
    run(*SMALL, f"--workdir={workdir}")
    return workdir


def test_every_method_scaling_and_seed_is_recorded(finished):
    records = read_records(finished / "records.csv")
    chosen = [r for r in records if r.measure == "test_error_last"]
    assert sorted((r.row, r.seed) for r in chosen) == sorted(
        (f"iris_{scaling}_{method}", seed)
        for scaling in ("standardised", "raw")
        for method in ("erm", "mixup_0.1", "mixup_0.2", "mixup_0.4", "mixup_1")
        for seed in (0, 1)
    )
    assert {(r.experiment, r.scale) for r in records} == {("tabular_uci", "small")}
    raw = {r.data for r in records if "_raw_" in r.row}
    assert raw == {
        "Iris (UCI 53), 44 rows split 29 + 15, split seed = seed, not standardised"
    }
    errors = [15 * r.value for r in chosen]
    np.testing.assert_allclose(errors, np.round(errors), atol=1e-5)  # of 15 rows


def test_a_recorded_number_is_that_of_an_ordinary_run(finished, folders):
    row = "iris_raw_mixup_0.2"
    config = with_seed(tabular_uci.RUNS[row], 1)
    assert (config.seed, config.split_seed) == (1, 1)
    dataset = load_dataset(config, Session(**folders))
    device = Placement("pmap", tuple(jax.devices()[:1]))
    parts = Parts(config, dataset, preprocessing(dataset, config.data), device)
    state = parts.placement.replicate(parts.initial_state())
    for _, after in parts.steps(state):
        state = after
    error = error_rate(parts.evaluators()["test"](state.variables))
    found = {
        (r.row, r.measure, r.seed): r.value
        for r in read_records(finished / "records.csv")
    }
    assert found[row, "test_error_last", 1] == pytest.approx(error, abs=1e-6)
    loss = float(state.loss_sum) / int(state.seen)
    assert found[row, "train_loss_last", 1] == pytest.approx(loss, rel=1e-4)


def test_the_rows_have_the_papers_settings():
    paper_says = {"epochs": 10, "batch_size": 16, "optimizer": "adam", "model": "mlp"}
    assert len(tabular_uci.RUNS) == 6 * 2 * 5
    for config in tabular_uci.RUNS.values():
        config.validate()
        assert {name: getattr(config, name) for name in paper_says} == paper_says
    network = tabular_uci.RUNS["iris_raw_erm"].network(3)
    assert (network.depth, network.width) == (2, 128)  # pyrefly: ignore


def test_finished_parts_are_not_measured_again(run, finished, monkeypatch):
    before = read_records(finished / "records.csv")

    def unexpected(*args, **options):
        raise AssertionError("measured again")

    monkeypatch.setattr(reproduction, "run_together", unexpected)
    run(*SMALL, f"--workdir={finished}")
    assert read_records(finished / "records.csv") == before


def test_only_the_part_that_was_cut_off_is_measured_again(
    run, finished, tmp_path, monkeypatch
):
    trained = []

    def cut_off(configs, session, *, report):
        trained.append((configs[0].dataset, configs[0].standardise))
        if len(trained) == 2:
            raise KeyboardInterrupt
        return real(configs, session, report=report)

    real = reproduction.run_together
    monkeypatch.setattr(reproduction, "run_together", cut_off)
    with pytest.raises(KeyboardInterrupt):
        run(*SMALL, f"--workdir={tmp_path}")
    run(*SMALL, f"--workdir={tmp_path}")
    assert trained == [("iris", True), ("iris", False), ("iris", False)]
    again = read_records(tmp_path / "records.csv")
    assert again == read_records(finished / "records.csv")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ("--seeds=3", "seeds: 2 there, 3 asked for"),
        ("--rows=iris_*,phishing_*", "rows, phishing_raw_erm: nothing there"),
        ("--train_share=0.5", "rows, iris_raw_erm, train_share: 0.0 there, 0.5"),
        ("--scale=paper", "scale: 'small' there, 'paper' asked for"),
    ],
)
def test_other_settings_in_the_same_directory_are_refused(change, field, run, finished):
    with pytest.raises(UsageError, match=field):
        run(*SMALL, change, f"--workdir={finished}")


def test_all_six_sets_load_both_ways(folders):
    assert {config.dataset for config in tabular_uci.RUNS.values()} == set(TABLES)
    for row, config in tabular_uci.RUNS.items():
        if row.endswith("_erm"):
            dataset = load_dataset(config, Session(**folders))
            assert (set(dataset.std) == {1.0}) == ("_raw_" in row)


def test_the_papers_numbers_are_those_of_table_4():
    rows = paper.rows("table4")
    said = {name: measures["test_error_last"] for name, measures in rows.items()}
    assert said == {
        **{"abalone_erm": 74.0, "abalone_mixup": 73.6},
        **{"arcene_erm": 57.6, "arcene_mixup": 48.0},
        **{"arrhythmia_erm": 56.6, "arrhythmia_mixup": 46.3},
        **{"htru2_erm": 2.0, "htru2_mixup": 2.0},
        **{"iris_erm": 21.3, "iris_mixup": 17.3},
        **{"phishing_erm": 16.3, "phishing_mixup": 15.2},
    }
    beside = tabular_uci.REPRODUCTION.paper
    assert beside["arcene_raw_mixup_0.4"] == {"test_error_last": 48.0}
    assert beside["arcene_standardised_erm"] == {"test_error_last": 57.6}
    assert tabular_uci.REPRODUCTION.baseline("iris_raw_mixup_1") == "iris_raw_erm"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--rows=irises",), "unknown row 'irises'. Did you mean 'iris_raw_erm'"),
        (("--train_share=1.5",), "train_share must be"),
        (("--scale=tiny",), "scale"),
        (("iris",), "do not know what to do with 'iris'"),
        (("--manual_dir=/nowhere", "--data_dir={tmp}/none"), "does not exist"),
    ],
)
def test_wrong_usage_is_refused_before_anything_is_written(
    arguments, message, run, tmp_path
):
    given = [each.replace("{tmp}", str(tmp_path)) for each in arguments]
    with pytest.raises(UsageError, match=message):
        run(*SMALL, f"--workdir={tmp_path / 'new'}", *given)
    assert not (tmp_path / "new").exists()


def test_help_says_section_and_numbers(run, capsys):
    run("--help")
    out = capsys.readouterr().out
    for words in ("section 3.6, table 4", "21.3, 17.3", "--train_share", "two thirds"):
        assert words in out
