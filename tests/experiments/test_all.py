import sys

import pytest

from experiments import all as everything
from experiments import catalogue, report
from mixup_jax.errors import RunError, UsageError

# Stands in for `python -m experiments.NAME`: leaves a mark, ends as its name says.
PROGRAM = """
import pathlib, sys
name, *options = sys.argv[1:]
workdir = next(o.split("=")[1] for o in options if o.startswith("--workdir="))
pathlib.Path(workdir).mkdir(exist_ok=True)
pathlib.Path(workdir, "options").write_text(" ".join(options))
sys.exit({"gan": 2, "toy": 1, "cifar": 130}.get(name, 0))
"""


@pytest.fixture
def programs(monkeypatch, tmp_path):
    monkeypatch.setattr(report, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(
        everything, "command", lambda name: [sys.executable, "-c", PROGRAM, name]
    )


def main(workdir, *arguments):
    everything.main(["all", f"--workdir={workdir}", *arguments])


def test_each_is_a_process_with_the_same_options_and_a_report_ends_it(
    programs, tmp_path, capsys
):
    main(tmp_path / "w", "--only=ablation,adversarial", "--seeds=3", "--manual_dir=m")
    for name in ("ablation", "adversarial"):
        options = (tmp_path / "w" / name / "options").read_text()
        workdir = tmp_path / "w" / name
        assert options == f"--workdir={workdir} --scale=small --seeds=3 --manual_dir=m"
    assert not (tmp_path / "w" / "cifar").exists()
    assert (tmp_path / "w" / "report.html").exists()
    err = capsys.readouterr().err
    assert "[1/2," in err and "[2/2," in err and catalogue.MODULES["ablation"] in err


def test_missing_data_leaves_one_out_and_the_others_go_on(programs, tmp_path, capsys):
    main(tmp_path, "--only=gan,ablation")
    assert "gan is left out" in capsys.readouterr().err
    assert (tmp_path / "ablation" / "options").exists()


def test_a_failure_is_said_at_the_end_and_the_others_go_on(programs, tmp_path):
    with pytest.raises(RunError, match="toy failed"):
        main(tmp_path, "--only=toy,ablation")
    assert (tmp_path / "ablation" / "options").exists()
    assert (tmp_path / "report.html").exists()


def test_a_person_who_stops_one_stops_all(programs, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        main(tmp_path, "--only=cifar,ablation")
    assert not (tmp_path / "ablation").exists()


def test_names_that_are_not_known_are_refused(programs, tmp_path):
    with pytest.raises(UsageError, match="Did you mean 'ablation'"):
        main(tmp_path / "w", "--only=ablations")
    assert not (tmp_path / "w").exists()


def test_it_runs_every_table_and_figure_as_a_module():
    for name in catalogue.MODULES:
        assert everything.command(name) == [sys.executable, "-m", f"experiments.{name}"]


def test_a_file_in_place_of_the_directory_is_refused(programs, tmp_path):
    (tmp_path / "w").touch()
    with pytest.raises(UsageError, match="w is a file; name a directory"):
        main(tmp_path / "w", "--only=ablation")
