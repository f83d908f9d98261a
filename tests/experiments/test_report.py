import json
import re
import shutil
import subprocess

import numpy as np
import pytest

from experiments import catalogue, figures, report
from mixup_jax.errors import UsageError
from mixup_jax.runs.environment import environment
from mixup_jax.runs.records import Record, read_records, write_records

_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, _BROWSERS)), None)


@pytest.fixture
def runs(tmp_path):
    """Numbers of one table at the small scale, and its picture."""
    folder = tmp_path / "runs" / "in_between"
    folder.mkdir(parents=True)
    records = [
        Record("in_between", row, measure, seed, value + seed / 1000, "digits", "small")
        for row, measure, value in (
            ("erm", "miss_0.50", 0.2),
            ("mixup", "miss_0.50", 0.1),
            ("mixup", "miss_0.35", 0.1),
        )
        for seed in range(3)
    ]
    write_records(folder / "records.csv", records)
    (folder / "environment.json").write_text(json.dumps(environment()))
    curves = {"erm": {"ERM": np.ones((1, 3))}}
    path = folder / "figure2.png"
    figures.error_curves(curves, path, title="A picture", note="")
    return tmp_path / "runs"


@pytest.fixture
def results(tmp_path, monkeypatch):
    """No results are kept but what a test keeps."""
    monkeypatch.setattr(report, "RESULTS", tmp_path / "results")
    return tmp_path / "results"


def main(*arguments):
    report.main(["report", *arguments])


def test_every_table_and_figure_of_the_paper_is_there(runs, results):
    main(f"--runs={runs}")
    text = (runs / "report.md").read_text()
    titles = " ".join(line for line in text.splitlines() if line.startswith("## "))
    for name in ("Table 1", "Table 2", "Table 3", "Table 4", "Table 5"):
        assert name in titles
    for name in ("Figure 1b", "Figure 2", "Figures 3a and 3b", "Figure 4", "Figure 5"):
        assert name in titles
    assert text.count("Not run.") == len(catalogue.MODULES) - 1
    assert text.count("python -m experiments.") == len(catalogue.MODULES)


def test_numbers_stand_beside_the_papers_with_data_scale_and_verdict(runs, results):
    main(f"--runs={runs}")
    text = (runs / "report.md").read_text()
    line = next(x for x in text.splitlines() if re.match(r"\| mixup .*0\.5", x))
    cell = [part.strip() for part in line.split("|")[1:-1]]
    assert cell[2:4] == ["6", "10.10 ± 0.25"]
    assert cell[5].startswith("-10.00 ± 0.00 (paper -10.4")
    assert cell[7] == "same direction"
    assert "Data: digits." in text and "Other than in the paper: MNIST digits" in text
    assert "![figure2](in_between/figure2.png)" in text
    html = (runs / "report.html").read_text()
    assert "10.10 ± 0.25" in html and "same direction" in html
    # Nothing is fetched from anywhere.
    assert 'src="data:image/png;base64,' in html
    assert not re.search(r"(src|href)=\"(?!data:|#)", html)


def test_rows_that_the_paper_does_not_print_are_to_be_opened(runs, results):
    file = runs / "in_between" / "records.csv"
    records = read_records(file)
    others = [r._replace(row="mixup_2", value=0.25) for r in records]
    write_records(file, [*records, *others])
    main(f"--runs={runs}")
    for text in ((runs / name).read_text() for name in ("report.md", "report.html")):
        before, inside = text.split("Rows that the paper does not print: 1")
        assert "25.00 ± 0.00" in inside.split("</details>")[0]
        assert "25.00 ± 0.00" not in before and "10.10 ± 0.25" in before


def test_kept_results_are_shown_where_nothing_was_run_and_beside_another_scale(
    runs, results, tmp_path, capsys
):
    main(f"--runs={runs}", "--keep=in_between")
    assert f"Measured in {runs}: in_between; the rest" in capsys.readouterr().out
    kept = read_records(results / "in_between_small.csv")
    assert {r.measure for r in kept} == {"miss_0.50"}  # what the table shows
    assert (results / "in_between_small.figure2.png").exists()
    (tmp_path / "empty").mkdir()
    main(f"--runs={tmp_path / 'empty'}")
    assert "empty: nothing; the rest is what" in capsys.readouterr().out
    alone = (tmp_path / "empty" / "report.md").read_text()
    assert (
        alone.count("10.10 ± 0.25") == 1 and "results/in_between_small.figure2" in alone
    )
    # The same scale is there already; another one is shown too.
    main(f"--runs={runs}")
    assert (runs / "report.md").read_text().count("10.10 ± 0.25") == 1
    records = [r._replace(scale="paper") for r in kept]
    write_records(results / "in_between_paper.csv", records)
    main(f"--runs={runs}")
    both = (runs / "report.md").read_text()
    assert both.count("Measured here.") == both.count("Kept in ") == 1
    assert both.count("10.10 ± 0.25") == 2 and "--scale=paper" in both
    assert "differs" in both


def test_the_summary_has_the_headlines_of_what_was_run(runs, results, capsys):
    main(f"--runs={runs}", "--keep=in_between")
    capsys.readouterr()
    main("--summary")
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    cell = [part.strip() for part in lines[2].split("|")[1:-1]]
    assert cell[:2] == ["Figure 2", "mixup, misses at lambda 0.5, %"]
    assert cell[2:4] == ["16.4, 6", "20.10 ± 0.25, 10.10 ± 0.25"]
    assert cell[4:] == ["same direction", "small"]


@pytest.mark.parametrize("name", catalogue.MODULES)
def test_headlines_are_of_rows_and_measures_that_there_are(name):
    description = catalogue.description(name)
    for row, measure in description.headline:
        assert measure in description.measures
        if description.paper:
            assert row in description.paper


def test_text_of_records_cannot_break_the_page(runs, results):
    file = runs / "in_between" / "records.csv"
    records = read_records(file)
    write_records(file, [r._replace(data="<script>alert(1)</script>") for r in records])
    main(f"--runs={runs}")
    assert "<script>" not in (runs / "report.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--runs={}/none"], "there is no directory .*none"),
        (["--runs={}", "--keep=in_betwen"], "Did you mean 'in_between'"),
        (["--runs={}", "--keep=gan"], "holds no records.csv; run experiments.gan"),
        (["--runs={}", "--open"], "open"),
    ],
)
def test_wrong_usage_is_refused(arguments, message, runs, results):
    with pytest.raises(UsageError, match=message):
        main(*(each.format(runs) for each in arguments))
    assert not results.exists() and not (runs / "report.html").exists()


@pytest.mark.skipif(CHROMIUM is None, reason="needs the browser Chromium")
def test_a_browser_shows_it(runs, results, tmp_path):
    main(f"--runs={runs}")
    browser = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu"]
    where = f"--user-data-dir={tmp_path / 'profile'}"
    page = (runs / "report.html").as_uri()
    command = [*browser, where, "--dump-dom", page]
    dom = subprocess.run(command, capture_output=True, text=True, timeout=120).stdout
    assert dom.count("<section") == len(catalogue.MODULES)
    assert "10.10 ± 0.25" in dom
    shot = tmp_path / "page.png"
    command = [*browser, where, f"--screenshot={shot}", "--window-size=1200,2000", page]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    import matplotlib.image

    pixels = matplotlib.image.imread(shot)
    assert pixels.shape[:2] == (2000, 1200) and pixels.std() > 0.05


def test_a_table_without_a_number_is_not_kept(results, tmp_path):
    write_records(tmp_path / "records.csv", [])
    with pytest.raises(UsageError, match=r"records\.csv is empty; run experiments.gan"):
        report.keep("gan", tmp_path, results)
