import dataclasses
import shutil

import numpy as np
import pytest

from mixup_jax.errors import RunError, UsageError
from mixup_jax.runs import load_predictor, run
from mixup_jax.runs.runner import load_dataset


def errors_of(predict, split):
    return float((np.argmax(predict(split.inputs), axis=-1) != split.labels).mean())


def test_the_predictor_of_the_last_and_best_checkpoint_errs_as_the_run_said(
    tmp_path, config, session
):
    # Learning wrong labels by heart: the error rises again, so best is not last.
    changed = dataclasses.replace(
        config,
        train_examples=400,
        test_examples=200,
        batch_size=40,
        optimizer="adam",
        learning_rate=0.01,
        weight_decay=0.0,
        width=32,
        alpha=0.0,
        epochs=8,
        lr_drops=(),
    )
    result = run(changed, tmp_path, session)
    assert result["test_error_best"] < result["test_error_last"]
    test = load_dataset(changed, session).test
    last, best = (load_predictor(tmp_path, best=best) for best in (False, True))
    assert errors_of(last, test) == pytest.approx(result["test_error_last"])
    assert errors_of(best, test) == pytest.approx(result["test_error_best"])
    with pytest.raises(UsageError, match=r"\[B, 28, 28, 1\], .* got \[2, 28, 28\]"):
        last(test.inputs[:2, ..., 0])


def test_a_directory_without_a_run_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"no config\.json"):
        load_predictor(tmp_path)


def test_what_is_wrong_with_a_runs_files_is_said_by_name(tmp_path, config, session):
    made = tmp_path / "made"
    run(dataclasses.replace(config, epochs=1, lr_drops=()), made, session)

    def copied(name, file, change):
        path = shutil.copytree(made, tmp_path / name) / file
        path.write_text(change(path.read_text()))
        return tmp_path / name

    wide = copied(
        "wide", "config.json", lambda t: t.replace('"width": 8', '"width": 9')
    )
    with pytest.raises(UsageError, match=r"another network .* \(8, 10\) there"):
        load_predictor(wide)
    cut = copied("cut", "config.json", lambda text: text[:20])
    with pytest.raises(UsageError, match=r"config\.json is damaged or not ours"):
        load_predictor(cut)
    for file in (made / "checkpoints").rglob("_METADATA"):
        file.write_bytes(file.read_bytes()[:20])
    with pytest.raises(RunError, match=r"checkpoint to read in .* is damaged; remove"):
        load_predictor(made)
