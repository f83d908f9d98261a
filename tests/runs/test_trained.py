import dataclasses

import numpy as np
import pytest

from mixup_jax.errors import UsageError
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
