import sys

import matplotlib.figure
import numpy as np
import pytest

from experiments import demo, figures, gan, in_between
from mixup_jax.errors import UsageError
from mixup_jax.runs.statistics import mean_interval

ROWS = np.array([[3.0, 1.0, 2.0], [5.0, 2.0, 2.0], [7.0, 6.0, 2.0]])


@pytest.fixture
def axis():
    return matplotlib.figure.Figure().subplots()


def test_a_curve_is_the_mean_over_seeds_with_its_95_per_cent_interval(axis):
    figures.curve(axis, [0, 1, 2], ROWS, colour=figures.BLUE, label="mixup")
    (line,), (shade,) = axis.lines, axis.collections
    np.testing.assert_allclose(line.get_ydata(), [5, 3, 2])
    (outline,) = shade.get_paths()
    for place, column in enumerate(ROWS.T):
        heights = outline.vertices[outline.vertices[:, 0] == place, 1]
        mean, half = mean_interval(column.tolist())
        assert heights.min() == pytest.approx(mean - half)
        assert heights.max() == pytest.approx(mean + half)


def test_one_seed_alone_has_no_interval(axis):
    figures.curve(axis, [0, 1, 2], ROWS[:1], colour=figures.BLUE, label="mixup")
    assert len(axis.lines) == 1 and not axis.collections


@pytest.mark.parametrize("program", [gan, in_between, demo])
def test_without_matplotlib_a_person_is_told_before_anything_is_trained(
    program, monkeypatch, tmp_path
):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.delitem(sys.modules, "experiments.figures")
    with pytest.raises(UsageError, match=r"pip install 'mixup-jax\[demo\]'"):
        program.main(["program", f"--workdir={tmp_path / 'w'}"])
    assert not (tmp_path / "w").exists()
