"""Figure 5 by its program: small GANs, whole runs, stops and starts."""

import dataclasses
import io
import json
import os
import shutil
import signal
import time

import numpy as np
import pytest
from PIL import Image

from experiments import common, figures_gan, gan, gan_panels
from experiments.gan_config import DATA, GanConfig, Member
from mixup_jax.errors import RunError, UsageError
from mixup_jax.runs.interrupt import Interrupted
from mixup_jax.runs.records import read_records

# 3 snapshots: 10, 24, 48.
TINY = ["--width=8", "--iterations=48", "--seeds=1"]
STOPS = (10, 24, 48)


def run(workdir, *arguments):
    gan.main(["gan", f"--workdir={workdir}", *TINY, *arguments])


def samples(workdir):
    files = sorted((workdir / "panels").glob("*.npz"))
    return {file.stem: np.load(file)["samples"] for file in files}


def assert_same_samples(first, second):
    assert samples(first).keys() == samples(second).keys()
    for name, points in samples(first).items():
        np.testing.assert_array_equal(points, samples(second)[name])


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("figure5")
    run(workdir)
    return workdir


def test_every_panel_is_kept_with_its_snapshots(finished):
    kept = samples(finished)
    assert sorted(kept) == [
        "grid_alpha0.2_seed0",
        "grid_alpha0_seed0",
        "ring_alpha0.2_seed0",
        "ring_alpha0_seed0",
    ]
    for points in kept.values():
        assert points.shape == (1, 3, 1000, 2)
        assert np.isfinite(points).all()
        moves = np.abs(np.diff(points[0], axis=0)).max(axis=(1, 2))
        assert (moves > 1e-3).all()
    # Methods share a start and part; data sets have points of their own.
    panels = list(kept.values())
    for other in panels[1:]:
        assert np.abs(panels[0][0, -1] - other[0, -1]).max() > 1e-3


def test_records_are_the_measures_of_the_kept_samples(finished):
    records = read_records(finished / "records.csv")
    assert len(records) == 2 * 2 * 3 * 3
    assert {r.row for r in records} == {
        "grid_erm",
        "grid_mixup_a0.2",
        "ring_erm",
        "ring_mixup_a0.2",
    }
    assert {(r.experiment, r.scale, r.seed) for r in records} == {("gan", "small", 0)}
    found = {(r.row, r.measure): r for r in records}
    for data, title in (
        ("grid", "25 Gaussians on a grid"),
        ("ring", "8 Gaussians on a ring"),
    ):
        points = samples(finished)[f"{data}_alpha0.2_seed0"][0]
        for stop, drawn in zip(STOPS, points, strict=True):
            ways = np.linalg.norm(drawn[:, None] - DATA[data].centres[None], axis=-1)
            near = ways.min(axis=1) <= 0.03  # 3 std of .01
            modes = len(set(ways.argmin(axis=1)[near]))
            outside = (np.abs(drawn).max(axis=1) > 1.6).mean()
            row = f"{data}_mixup_a0.2"
            when = "last" if stop == STOPS[-1] else f"at_{stop}"
            assert found[row, f"modes_{when}"].value == modes
            assert found[row, f"modes_{when}"].data == title
            for measure, value in (("high_quality", near.mean()), ("outside", outside)):
                got = found[row, f"{measure}_{when}"].value
                np.testing.assert_allclose(got, value, atol=1e-6)


def test_one_point_near_a_gaussian_covers_it():
    # 3 of 5 are within .03 of two of the ring's Gaussians, at (0, 1) and (1, 0).
    points = np.array([[0, 1.0], [1, 0.02], [1.01, 0], [0.9, 0], [0, -3]], np.float32)
    got = gan._measures(Member("ring", 0.0, 0), points)
    assert got == pytest.approx({"modes": 2, "high_quality": 0.6, "outside": 0.2})


def test_config_and_environment_are_kept(finished):
    config = json.loads((finished / "config.json").read_text())
    assert (config["width"], config["alphas"], config["form"]) == (
        8,
        [0, 0.2],
        "script",
    )
    environment = json.loads((finished / "environment.json").read_text())
    assert "jax" in environment["versions"]


def test_the_picture_has_two_rows_of_blue_and_orange_points(finished):
    pixels = np.asarray(Image.open(finished / "figure5_seed0.png").convert("RGB"))
    height, width = pixels.shape[:2]
    assert width > 2 * height
    for colour in ((0, 114, 178), (230, 159, 0)):
        near = np.abs(pixels.astype(int) - colour).max(axis=-1) < 40
        for half in (near[:, : width // 2], near[:, width // 2 :]):
            for row in (half[: height // 2], half[height // 2 :]):
                assert row.sum() > 50


def test_the_film_has_a_frame_for_each_snapshot_and_each_is_another(finished):
    frames = []
    with Image.open(finished / "figure5_seed0.gif") as film:
        for place in range(film.n_frames):
            film.seek(place)
            frames.append(np.asarray(film.convert("RGB")).tobytes())
    assert len(set(frames)) == len(frames) == len(STOPS)
    assert (finished / "figure5_seed0.gif").stat().st_size < 300_000


def test_what_is_smaller_than_the_papers_is_said(finished, capsys):
    run(finished)
    out, err = capsys.readouterr()
    note = "8 units in a layer instead of 512, 48 iterations instead of 20,000"
    table = (finished / "table.md").read_text()
    assert note in err
    assert note in table
    assert table.strip() in out
    assert str(finished / "figure5_seed0.png") in out


def test_what_is_finished_is_not_trained_again(finished, tmp_path, monkeypatch):
    workdir = tmp_path / "copy"
    shutil.copytree(finished, workdir)
    (workdir / "panels" / "ring_alpha0_seed0.npz").unlink()
    trained = []

    def watched(recipe, *args, train=gan_panels.train, **options):
        trained.append((recipe.sample, options["alpha"].tolist()))
        return train(recipe, *args, **options)

    monkeypatch.setattr(gan_panels, "train", watched)
    run(workdir)
    assert trained == [(DATA["ring"].sample, [0.0])]
    assert_same_samples(workdir, finished)
    assert read_records(workdir / "records.csv") == read_records(
        finished / "records.csv"
    )


def watch_starts(monkeypatch):
    """Iterations from which panels are trained, as they come."""
    started = []

    def watched(recipe, state, *args, train=gan_panels.train, **options):
        started.append(int(state.step))
        return train(recipe, state, *args, **options)

    monkeypatch.setattr(gan_panels, "train", watched)
    return started


def test_a_stop_signal_saves_and_the_same_command_continues(
    finished, tmp_path, monkeypatch
):
    handler = signal.getsignal(signal.SIGTERM)

    def add(self, count, add=gan_panels.Progress.add):
        add(self, count)
        # In the second of the chunks 10, 14, 20, 4, past a snapshot.
        if self.done == 24:
            os.kill(os.getpid(), signal.SIGTERM)
            # Seen by the main thread, which then leaves a second one to the shell.
            end = time.monotonic() + 60
            while signal.getsignal(signal.SIGTERM) != handler:
                assert time.monotonic() < end
                time.sleep(0.01)

    with monkeypatch.context() as patch:
        patch.setattr(gan_panels.Progress, "add", add)
        with pytest.raises(Interrupted, match="SIGTERM: saved at step") as stop:
            run(tmp_path, "--workers=1")
    assert stop.value.signum == signal.SIGTERM
    left = samples(tmp_path)
    assert list(left) == ["grid_alpha0_seed0_unfinished"]
    (points,) = left.values()
    assert np.isfinite(points[0, 0]).all()
    assert np.isnan(points[0, -1]).all()
    assert not (tmp_path / "records.csv").exists()
    started = watch_starts(monkeypatch)
    run(tmp_path)
    assert sorted(started) == [0, 0, 0, 24]
    assert_same_samples(tmp_path, finished)


def test_killed_outright_a_panel_continues_from_its_last_snapshot(
    finished, tmp_path, monkeypatch
):
    calls = []

    def dies(*args, snapshot=gan_panels.snapshot, **options):
        calls.append(int(args[1].step))
        if len(calls) > 1:
            raise MemoryError("killed")
        return snapshot(*args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(gan_panels, "snapshot", dies)
        with pytest.raises(MemoryError):
            run(tmp_path, "--workers=1")
    assert calls == [10, 24]
    assert list(samples(tmp_path)) == ["grid_alpha0_seed0_unfinished"]
    started = watch_starts(monkeypatch)
    run(tmp_path)
    assert sorted(started) == [0, 0, 0, 10]
    assert_same_samples(tmp_path, finished)


def test_a_damaged_panel_is_made_anew(finished, tmp_path):
    workdir = tmp_path / "copy"
    shutil.copytree(finished, workdir)
    file = workdir / "panels" / "grid_alpha0_seed0.npz"
    file.write_bytes(file.read_bytes()[:-3000])
    run(workdir)
    assert_same_samples(workdir, finished)


def test_a_full_disk_is_said_plainly(tmp_path, monkeypatch):
    def full(path, content, arrays):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(gan_panels.array_cache, "write", full)
    with pytest.raises(RunError, match=r"cannot write .*: No space left"):
        run(tmp_path, "--workers=1")


def test_another_config_in_the_same_directory_is_refused_by_field(finished):
    before = sorted(finished.rglob("*"))
    with pytest.raises(UsageError, match=r"z: 2 there, 5 asked for"):
        run(finished, "--z=5")
    with pytest.raises(UsageError, match=r"form: 'script' there, 'formula' asked"):
        run(finished, "--form=formula")
    assert sorted(finished.rglob("*")) == before


def test_together_seeds_and_alphas_are_one_program(finished, tmp_path, monkeypatch):
    monkeypatch.delitem(DATA, "ring")
    run(tmp_path, "--together")
    (name,), alone = samples(tmp_path), samples(finished)
    assert name == "grid"
    points = samples(tmp_path)[name]
    assert points.shape == (2, 3, 1000, 2)
    for place, name in enumerate(("grid_alpha0_seed0", "grid_alpha0.2_seed0")):
        # Rounding differs and grows; after 10 iterations it is small.
        assert np.abs(points[place, 0] - alone[name][0, 0]).max() < 1e-3
    rows = read_records(tmp_path / "records.csv")
    assert {row.row for row in rows} == {"grid_erm", "grid_mixup_a0.2"}


def test_the_paper_scale_is_the_papers():
    config = chosen("--scale=paper")
    assert (config.width, config.iterations) == (512, 20_000)
    assert config.stops == (10, 100, 1000, 10_000, 20_000)
    assert (config.alphas, config.form, config.z) == ((0.0, 0.2), "script", 2)
    assert config.scale == "paper"
    assert config.differs == "Paper's size."
    recipe = config.recipe("ring")
    assert (recipe.generator.width, recipe.batch_size) == (512, 128)
    assert recipe.sample is DATA["ring"].sample


def chosen(*arguments):
    values = gan._flags()
    assert not common.parse(values, "", ["gan", *arguments])
    return gan.chosen_config(values)


def test_the_small_scale_and_anything_between_are_called_small():
    small = chosen()
    assert small.stops == (10, 100, 1000, 2500, 5000)
    assert small.scale == "small"
    assert "128 units in a layer instead of 512, 5,000 iterations" in small.differs
    wide = chosen("--scale=paper", "--iterations=10000")
    assert (wide.width, wide.scale) == (512, "small")
    assert wide.differs == (
        "Not the paper's size: 10,000 iterations instead of 20,000."
    )
    assert chosen("--iterations=1").stops == (1,)


def test_form_noise_and_alphas_reach_the_recipe_and_the_names():
    config = chosen("--form=formula", "--z=5", "--alphas=0,1.5", "--seeds=3")
    recipe = config.recipe("grid")
    assert (recipe.form, recipe.latent) == ("formula", 5)
    assert len(config.pieces()) == 2 * 2 * 3
    assert config.pieces()["ring_alpha1.5_seed2"] == [Member("ring", 1.5, 2)]
    assert config.row("grid", 1.5) == "grid_mixup_a1.5_formula_z5"
    assert config.row("grid", 0.0) == "grid_erm_z5"


def test_points_outside_of_the_picture_are_counted():
    points = np.array(
        [[0, 0], [1.6, -1.6], [1.61, 0], [0, -2], [np.nan, 0], [0, np.inf]]
    )
    assert figures_gan.outside(points).tolist() == [False] * 2 + [True] * 4


def test_progress_tells_the_time_left_without_that_of_compiling():
    now, out = [100.0], io.StringIO()
    progress = gan_panels.Progress(2, 500, out=out, clock=lambda: now[0])
    progress.skip(200)
    progress.add(100)  # compiled
    for _ in range(3):
        now[0] += 10
        progress.add(100)
    # 300 in 30 s, and 400 are left.
    last = out.getvalue().splitlines()[-1]
    assert last == "2 GANs  iteration 600/1,000 of all  10/s  40 s left"
    assert len(out.getvalue().splitlines()) == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--scale=papers"], "should be one of <paper|small>"),
        (["--form=formulas"], "Did you mean 'formula'"),
        (["--alphas=0,2"], "alphas must be from 0 to 1.0 with form script"),
        (["--alphas=nan"], "alphas must be from 0"),
        (["--alphas=a"], "alphas takes numbers separated by commas"),
        (["--alphas=0,0"], "each once"),
        (["--alphas="], "alphas"),
        (["--seeds=-1"], "seeds"),
        (["--z=0"], "z must be at least 1, got 0"),
        (["--width=0"], "width must be at least 1, got 0"),
        (["--iterations=-5"], "iterations must be at least 1, got -5"),
        (["--workers=-1"], "workers must be at least 0, got -1"),
        (["--alpha=1"], "alpha"),
    ],
)
def test_wrong_usage_is_refused_before_anything_is_written(
    arguments, message, tmp_path
):
    with pytest.raises(UsageError, match=message):
        gan.main(["gan", f"--workdir={tmp_path / 'w'}", *arguments])
    assert list(tmp_path.iterdir()) == []


def test_a_missing_workdir_is_asked_for():
    with pytest.raises(UsageError, match="--workdir=DIR is missing"):
        gan.main(["gan"])


def test_help_names_the_papers_section_and_the_flags(capsys):
    gan.main(["gan", "--help"])
    out = capsys.readouterr().out
    assert "section 3.7 and figure 5" in out
    for name in ("scale", "workdir", "seeds", "alphas", "form", "z"):
        assert f"--{name}" in out or f"--[no]{name}" in out


def test_the_sizes_of_the_scales_are_fields_of_the_config():
    fields = {field.name for field in dataclasses.fields(GanConfig)}
    assert set(gan.Size._fields) <= fields
