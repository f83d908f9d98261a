"""Whole runs on sounds: splits, spectrograms, and where they are mixed."""

import dataclasses

import numpy as np
import pytest

from mixup_jax.data import SOURCES
from mixup_jax.data.builders.speech_files import WORDS
from mixup_jax.data.dataset import Split
from mixup_jax.data.speech import dataset_of
from mixup_jax.errors import UsageError
from mixup_jax.runs import load_predictor, run
from mixup_jax.runs.directory import RunDirectory


def beeps(count, seed):
    """Noisy tones of a second, each word its own pitch; 8 of the 30 words."""
    rng = np.random.default_rng(seed)
    labels = (np.arange(count) % 8).astype(np.int32)
    time = np.arange(16_000) / 16_000
    tones = np.sin(2 * np.pi * (300 + 400 * labels[:, None]) * time)
    sounds = 4000 * tones + rng.normal(0, 12_000, (count, 16_000))
    return Split(sounds.clip(-32_768, 32_767).astype(np.int16)[..., None], labels)


@pytest.fixture
def config(config, monkeypatch):
    splits = {"train": beeps(32, 0), "validation": beeps(16, 1), "test": beeps(24, 2)}
    dataset = dataset_of("speech_commands", "beeps", splits)
    source = SOURCES["speech_commands"]._replace(load=lambda **_: dataset)
    monkeypatch.setitem(SOURCES, "speech_commands", source)
    return dataclasses.replace(
        config,
        dataset="speech_commands",
        train_examples=0,
        test_examples=0,
        corruption=0.0,
        alpha=0.2,
        width=32,
        optimizer="adam",
        learning_rate=1e-3,
        epochs=8,
        lr_drops=(6,),
    )


def test_validation_is_reported_beside_the_test_and_chooses_the_epoch(
    tmp_path, config, session
):
    result = run(config, tmp_path, session)
    rows = RunDirectory(tmp_path).rows()
    validation = [row["validation_error"] for row in rows]
    assert result["validation_error_last"] == validation[-1]
    assert result["validation_error_best"] == min(validation)
    best = validation.index(min(validation))
    assert result["test_error_at_best_validation"] == rows[best]["test_error"]
    (kept,) = (row for row in rows if row["step"] == result["best_checkpoint_step"])
    assert kept["validation_error"] == min(validation)
    assert len(WORDS) == 30
    # Pitches apart are told apart: it has learned.
    assert result["test_error_last"] < 0.3
    predict = load_predictor(tmp_path, session=session)
    test = beeps(24, 2)
    wrong = np.asarray(predict(test.inputs)).argmax(axis=1) != test.labels
    assert wrong.mean() == pytest.approx(result["test_error_last"])


def test_mixing_waveforms_is_another_run_than_mixing_spectrograms(
    tmp_path, config, session
):
    def trained(name, **changes):
        changed = dataclasses.replace(config, epochs=1, lr_drops=(), **changes)
        return run(changed, tmp_path / name, session)["params_sha256"]

    late, early = trained("late"), trained("early", mix_at="waveforms")
    assert late != early
    erm = trained("erm", alpha=0.0)
    # Without mixing there is nothing to do early or late.
    assert erm not in (late, early)


def test_the_papers_160_bins_can_be_asked_for(tmp_path, config, session):
    changed = dataclasses.replace(config, epochs=1, lr_drops=(), spectrogram_bins=160)
    run(changed, tmp_path / "run", session)
    predict = load_predictor(tmp_path / "run", session=session)
    assert predict(beeps(2, 0).inputs).shape == (2, 30)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"flip": True}, r"is a set of sounds.*flip to False \(it is True\)"),
        ({"pairing": "neighbours", "neighbours": 3}, "says nothing of sounds"),
        ({"image_size": 32, "shorter_side": 32}, "image_size is for images"),
        (
            {"mix_at": "waveforms", "cutmix_probability": 0.5},
            "cutmix_probability does not go with mix_at waveforms",
        ),
    ],
)
def test_what_does_not_go_with_sounds_is_refused(
    tmp_path, config, session, fields, message
):
    with pytest.raises(UsageError, match=message):
        run(dataclasses.replace(config, **fields), tmp_path / "run", session)
    assert not (tmp_path / "run").exists()
