import re

import numpy as np

from experiments import data as experiments_data
from experiments import report
from tests.blocks import ROOT, blocks_of, run

TEXT = (ROOT / "README.md").read_text()


def test_the_code_of_the_readme_runs_and_learns():
    names = run(*blocks_of(TEXT), names={})
    predicted = (names["x"] @ names["params"]).argmax(axis=1)
    assert float(np.mean(predicted == names["y"].argmax(axis=1))) > 0.9
    assert names["loss"].shape == (32,)


def test_files_and_folders_that_the_readme_names_exist():
    links = re.findall(r"\]\((?!http)([^)]+)\)", TEXT)
    assert len(links) >= 2
    modules = re.findall(r"-m (experiments\.\w+)", TEXT)
    paths = [*links, *(f"{name.replace('.', '/')}.py" for name in modules)]
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_the_table_of_data_sets_is_the_one_that_the_program_prints():
    assert experiments_data.readme_table() in TEXT


def test_the_table_of_results_is_the_one_that_the_report_prints():
    assert report.summary(report.kept_sections()) in TEXT
