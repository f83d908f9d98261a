import dataclasses
import json
import os
import signal

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mixup_jax import data as datasets
from mixup_jax.errors import RunError, UsageError
from mixup_jax.runs import Session, execution, load_predictor, run, runner
from mixup_jax.runs.directory import RunDirectory
from mixup_jax.runs.interrupt import Interrupted

# The read that fails leaves Orbax futures that answer to a closed event loop.
ORBAX = pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning",
    "ignore::pytest.PytestUnhandledThreadExceptionWarning",
)


def rows_without_times(workdir):
    timed = ("time", "examples_per_second", "seconds_per_step", "input_wait")
    return [
        {name: value for name, value in row.items() if name not in timed}
        for row in RunDirectory(workdir).rows()
    ]


@pytest.mark.parametrize("quiet", [False, True])
def test_progress_is_shown_unless_it_is_to_be_quiet(
    quiet, tmp_path, config, session, capsys
):
    run(config, tmp_path, dataclasses.replace(session, quiet=quiet))
    assert ("examples/s" in capsys.readouterr().err) == (not quiet)


def test_averaged_parameters_are_evaluated_kept_and_loaded(tmp_path, config, session):
    averaged = dataclasses.replace(config, ema=0.9)
    result = run(averaged, tmp_path / "ema", session)
    plain = run(config, tmp_path / "plain", session)
    # Training is the same, what is measured is not.
    assert result["params_sha256"] == plain["params_sha256"]
    losses = [
        RunDirectory(tmp_path / name).rows()[-1]["test_loss"]
        for name in ("ema", "plain")
    ]
    assert losses[0] != losses[1]
    predict = load_predictor(tmp_path / "ema")
    test = datasets.load("mnist5k").test
    logits = predict(test.inputs[:30])
    own = jnp.take_along_axis(logits, test.labels[:30, None], axis=1)[:, 0]
    loss = jnp.mean(jax.nn.logsumexp(logits, axis=1) - own)
    assert float(loss) == pytest.approx(losses[0], rel=1e-5)


def test_a_batch_in_parts_is_the_same_run_up_to_rounding(tmp_path, config, session):
    config = dataclasses.replace(config, batch_size=40)
    whole = run(config, tmp_path / "whole", session)
    changed = dataclasses.replace(config, accumulate=5)
    parts = run(changed, tmp_path / "parts", session)
    assert parts["train_loss_last"] == pytest.approx(whole["train_loss_last"], rel=1e-5)


def test_parts_that_do_not_divide_a_devices_share_are_refused(
    tmp_path, config, session
):
    config = dataclasses.replace(config, accumulate=3, batch_size=40)
    with pytest.raises(UsageError, match="accumulate 3 does not divide the 5 examples"):
        run(config, tmp_path, session)
    assert list(tmp_path.iterdir()) == []


def test_a_run_leaves_files_that_a_person_can_open(tmp_path, config, session):
    result = run(dataclasses.replace(config, train_error_every=2), tmp_path, session)
    rows = RunDirectory(tmp_path).rows()
    assert [row["step"] for row in rows] == [3, 6, 9]
    assert [row["learning_rate"] for row in rows] == pytest.approx([0.1, 0.1, 0.01])
    measured = ["train_error_corrupted" in row for row in rows]
    assert measured == [False, True, True]
    errors = [row["test_error"] for row in rows]
    assert result["test_error_last"] == errors[-1]
    assert result["test_error_best"] == min(errors)
    assert result["test_error_median_of_last_10"] == np.median(errors)
    assert "MNIST, 5,000 digits" in result["data"]
    assert json.loads((tmp_path / "result.json").read_text()) == result
    environment = json.loads((tmp_path / "config.json").read_text())["environment"]
    assert environment["versions"]["jax"] == jax.__version__
    assert environment["device"].endswith("(cpu)")
    assert list(tmp_path.glob("events.out.tfevents.*"))
    assert {"3", "6", "9"} >= {
        path.name for path in (tmp_path / "checkpoints").iterdir()
    }


def test_finishing_twice_does_nothing_and_says_so(tmp_path, config, session, lines):
    first = run(config, tmp_path, session)
    before = sorted((p, p.stat().st_mtime_ns) for p in tmp_path.rglob("*"))
    assert run(config, tmp_path, session) == first
    assert "already finished" in lines[-1]
    assert sorted((p, p.stat().st_mtime_ns) for p in tmp_path.rglob("*")) == before


def test_several_steps_in_a_call_are_the_same_run_up_to_rounding(
    tmp_path, config, session
):
    alone = run(config, tmp_path / "alone", session)
    # Three steps an epoch: two, and the short one.
    config = dataclasses.replace(config, steps_per_call=8)
    together = run(config, tmp_path / "together", session)
    assert together["train_loss_last"] == pytest.approx(alone["train_loss_last"], 1e-5)
    assert [row["step"] for row in RunDirectory(tmp_path / "together").rows()] == [
        *(3, 6, 9)
    ]


def test_drops_of_the_learning_rate_that_never_come_are_said(
    tmp_path, config, session, lines
):
    run(dataclasses.replace(config, epochs=2), tmp_path, session)
    assert "lr_drops [2] come after the last epoch, 2" in lines


@pytest.mark.parametrize(
    ("stop", "per_call", "signum"),
    [
        (1, 1, signal.SIGTERM),
        (3, 1, signal.SIGHUP),
        (5, 1, signal.SIGTERM),
        (2, 2, signal.SIGTERM),
        (5, 2, signal.SIGTERM),
    ],
)
def test_a_signal_saves_and_the_same_call_ends_as_if_nothing_had_happened(
    tmp_path, config, session, lines, stop, per_call, signum, monkeypatch
):
    config = dataclasses.replace(config, steps_per_call=per_call)
    whole = run(config, tmp_path / "whole", session)

    def step_then_signal(self, step, *_):
        if step == stop:
            os.kill(os.getpid(), signum)

    with monkeypatch.context() as patch:
        patch.setattr(execution.Progress, "step", step_then_signal)
        with pytest.raises(Interrupted, match=f"{signum.name}: saved at step {stop}"):
            run(config, tmp_path / "cut", session)
    # The wrapper may change in between: both keep the same state.
    other = dataclasses.replace(session, parallel="pmap")
    resumed = run(config, tmp_path / "cut", other)
    assert f"continuing from step {stop}" in lines
    assert resumed["params_sha256"] == whole["params_sha256"]
    assert rows_without_times(tmp_path / "cut") == rows_without_times(
        tmp_path / "whole"
    )


def test_the_result_depends_on_the_seed_and_on_alpha_alone(tmp_path, config, session):
    def params(name, **changes):
        changed = dataclasses.replace(config, **changes)
        return run(changed, tmp_path / name, session)["params_sha256"]

    first = params("first")
    assert params("again") == first
    assert params("seed", seed=1) != first
    assert params("erm", alpha=0.0) != first
    assert params("weak", alpha=0.2) != first
    assert params("evaluated_often", train_error_every=1) == first


def test_labels_are_corrupted_in_training_and_never_in_the_test_set(
    tmp_path, config, session
):
    config = dataclasses.replace(config, corruption=1.0, train_error_every=1)
    result = run(config, tmp_path, session)
    assert result["train_error_real"] is None
    assert "NaN" not in (tmp_path / "metrics.jsonl").read_text()
    assert 0 <= result["train_error_corrupted"] <= 1
    dataset = runner.load_dataset(config, session)
    logits = load_predictor(tmp_path)(dataset.test.inputs)
    error = float((jnp.argmax(logits, axis=-1) != dataset.test.labels).mean())
    assert error == pytest.approx(result["test_error_last"])


def test_a_diverging_loss_stops_the_run_and_keeps_the_last_good_checkpoint(
    tmp_path, config, session
):
    config = dataclasses.replace(
        config, learning_rate=1e30, lr_drops=(), optimizer="sgd", epochs=4
    )
    with pytest.raises(RunError, match=r"not finite at step \d+, .*1e\+30") as error:
        run(config, tmp_path, session)
    step = int(str(error.value).split("at step ")[1].split(",")[0])
    assert "the first bad tensor is the " in str(error.value)
    saved = [int(path.name) for path in (tmp_path / "checkpoints").iterdir()]
    assert all(at <= step for at in saved)
    assert RunDirectory(tmp_path).result() is None


@pytest.mark.parametrize("mode", ["pmap", "shard_map"])
def test_a_batch_that_does_not_divide_is_refused_before_anything_is_written(
    tmp_path, config, mode
):
    session = Session(parallel=mode, report=print)
    workdir = tmp_path / "run"
    with pytest.raises(UsageError, match="batch_size of 12 examples"):
        run(dataclasses.replace(config, batch_size=12), workdir, session)
    with pytest.raises(UsageError, match=r"last batch .* of 4 .*drop_last"):
        run(dataclasses.replace(config, train_examples=36), workdir, session)
    with pytest.raises(UsageError, match="drop_last leaves nothing: 8 training"):
        few = dataclasses.replace(config, train_examples=8, drop_last=True)
        run(few, workdir, session)
    assert not workdir.exists()
    changed = dataclasses.replace(config, train_examples=36, drop_last=True, epochs=1)
    run(changed, workdir, session)
    assert [row["step"] for row in RunDirectory(workdir).rows()] == [2]


def test_ghost_groups_that_do_not_divide_a_devices_batch_are_refused(
    tmp_path, config, session
):
    changed = dataclasses.replace(config, ghost_batch_norm=3)
    with pytest.raises(UsageError, match=r"ghost_batch_norm 3 .* 2 examples"):
        run(changed, tmp_path / "run", session)
    assert not (tmp_path / "run").exists()


def test_missing_data_leaves_no_run_behind(tmp_path, config, session, monkeypatch):
    def missing(**_):
        raise UsageError("put the file there")

    source = datasets.SOURCES["mnist5k"]._replace(load=missing)
    monkeypatch.setitem(datasets.SOURCES, "mnist5k", source)
    with pytest.raises(UsageError, match="put the file there"):
        run(config, tmp_path / "run", session)
    assert not (tmp_path / "run").exists()


@ORBAX
def test_a_run_survives_the_loss_of_all_its_checkpoints(
    tmp_path, config, session, lines
):
    whole = run(config, tmp_path, session)
    (tmp_path / "result.json").unlink()
    for path in (tmp_path / "checkpoints").rglob("d/*"):
        path.write_bytes(b"")
    again = run(config, tmp_path, session)
    assert again["params_sha256"] == whole["params_sha256"]
    assert any("damaged" in line for line in lines)
    assert "no checkpoint can be read: starting anew" in lines
    assert [row["step"] for row in RunDirectory(tmp_path).rows()] == [3, 6, 9]


def test_a_network_that_cannot_read_the_data_is_refused_before_anything_is_written(
    tmp_path, config, session
):
    changed = dataclasses.replace(
        config, model="preact_resnet18", width=4, dataset="two_rings", corruption=0.0
    )
    with pytest.raises(UsageError, match=r"preact_resnet18 cannot read .* \(2,\)"):
        run(changed, tmp_path / "run", session)
    assert not (tmp_path / "run").exists()


def test_which_labels_were_corrupted_is_kept_beside_the_run(tmp_path, config, session):
    run(config, tmp_path, session)
    with np.load(tmp_path / "corruption.npz") as kept:
        corrupted = {name: kept[name] for name in ("labels", "mask", "true_labels")}
    dataset = runner.load_dataset(config, session)
    expected = datasets.corrupt_labels(dataset.train.labels, 0.5, 10)
    for name, array in expected._asdict().items():
        np.testing.assert_array_equal(corrupted[name], array)
    clean = dataclasses.replace(config, corruption=0.0, epochs=1, lr_drops=())
    run(clean, tmp_path / "clean", session)
    assert not (tmp_path / "clean" / "corruption.npz").exists()


def test_wrong_labels_follow_the_runs_own_seed_and_rule(tmp_path, config, session):
    chosen = {"seed": 5, "rule": "other_class"}
    config = dataclasses.replace(
        config, corruption_seed=5, corruption_rule="other_class", epochs=1, lr_drops=()
    )
    run(config, tmp_path, session)
    labels = runner.load_dataset(config, session).train.labels
    expected = datasets.corrupt_labels(labels, 0.5, 10, **chosen).labels
    with np.load(tmp_path / "corruption.npz") as kept:
        np.testing.assert_array_equal(kept["labels"], expected)


def test_training_error_need_not_be_measured(tmp_path, config, session):
    result = run(dataclasses.replace(config, train_error_every=-1), tmp_path, session)
    assert result["train_error_real"] is None
    assert all("train_error_real" not in row for row in RunDirectory(tmp_path).rows())


def test_tables_are_split_and_standardised_as_asked(
    tmp_path, config, session, monkeypatch
):
    asked = []

    def load(**options):
        asked.append(options)
        return datasets.load("two_rings")

    source = datasets.SOURCES["iris"]._replace(load=load)
    monkeypatch.setitem(datasets.SOURCES, "iris", source)
    config = dataclasses.replace(
        config, dataset="iris", split_seed=7, train_share=0.25, standardise=False
    )
    run(dataclasses.replace(config, epochs=1, lr_drops=()), tmp_path, session)
    chosen = {"split_seed": 7, "train_share": 0.25, "standardise": False}
    assert chosen.items() <= asked[0].items()


def test_a_device_without_enough_memory_is_said_with_what_to_do(
    tmp_path, config, session, monkeypatch
):
    def full(*_):
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: 9 GB of 8\nmore")

    monkeypatch.setattr(execution.Progress, "step", full)
    with pytest.raises(RunError, match=r"batch_size 16; raise accumulate.* of 8$"):
        run(config, tmp_path, session)
