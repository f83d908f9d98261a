"""Runs in one program are those that `run` makes one by one."""

import dataclasses

import jax
import numpy as np
import pytest

from mixup_jax.errors import RunError, UsageError
from mixup_jax.evaluation.classification import Sums
from mixup_jax.runs import run, together
from mixup_jax.runs.together import kind, run_together
from mixup_jax.training.population import Population


@pytest.fixture
def config(config):
    # 44 in batches of 16: the last has 12.
    return dataclasses.replace(
        config, train_examples=44, optimizer="adam", lr_drops=(2,)
    )


def test_members_are_the_runs_of_their_configs(tmp_path, config, session):
    configs = [
        dataclasses.replace(
            config, seed=seed, corruption_seed=seed, alpha=alpha, weight_decay=decay
        )
        for seed, alpha, decay in ((0, 0.0, 0.0), (1, 8.0, 0.0), (1, 0.0, 1e-2))
    ]
    assert len({kind(each) for each in configs}) == 1
    rows = run_together(configs, session)
    changed = dataclasses.replace(session, parallel="shard_map")
    for place, (each, row) in enumerate(zip(configs, rows, strict=True)):
        # One device, as the last batch does not divide over the tests' eight.
        single = run_on_one_device(each, tmp_path / str(place), changed)
        for name in (
            "data",
            "test_error_best",
            "test_error_last",
            "test_error_median_of_last_10",
            "train_error_real",
            "train_error_corrupted",
        ):
            assert row[name] == pytest.approx(single[name]), name
        assert row["train_loss_last"] == pytest.approx(single["train_loss_last"], 1e-4)


def run_on_one_device(config, workdir, session):
    one = jax.devices()[:1]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jax, "devices", lambda *backend: one)
        return run(config, workdir, session)


def test_with_a_validation_set_the_epoch_is_chosen_by_it(config):
    def counted(*errors):
        sums = Sums(*(np.zeros((1, 1, 3, 2)) for _ in range(3)))
        return sums._replace(
            errors=np.array(errors, float).reshape(1, 1, 3, 1) * np.ones(2),
            count=np.full((1, 1, 3, 2), 10.0),
        )

    population = Population(
        np.array([[[2.0, 1.0, 0.5]]]),
        {
            "test": counted(5, 4, 3),
            "validation": counted(6, 2, 3),
            "train": counted(1, 1, 1),
        },
        np.array([[-1]]),
    )
    row = together._measures(population, (0, 0), "digits", config)
    assert row["validation_error_best"] == pytest.approx(0.2)
    assert row["validation_error_last"] == pytest.approx(0.3)
    # The second epoch's, though the last has the lowest.
    assert row["test_error_at_best_validation"] == pytest.approx(0.4)
    assert row["test_error_best"] == pytest.approx(0.3)


def test_order_and_company_do_not_matter(config, session):
    configs = [
        dataclasses.replace(config, seed=s, alpha=a) for s in (3, 0) for a in (1.0, 0.0)
    ]
    forth, back = run_together(configs, session), run_together(configs[::-1], session)
    assert forth == back[::-1]
    assert run_together(configs[:1], session)[0] == pytest.approx(forth[0])


@pytest.mark.parametrize(
    "fields",
    [
        {"model": "preact_resnet18"},
        {"crop_pad": 4},
        {"flip": True},
        {"image_size": 12, "shorter_side": 14},
        {"mix_at": "waveforms"},
    ],
)
def test_what_cannot_be_scanned_or_prepared_once_is_run_alone(config, fields):
    assert kind(dataclasses.replace(config, **fields)) is None


def test_other_settings_are_another_kind(config):
    assert kind(config) != kind(dataclasses.replace(config, noise=0.1))
    assert kind(config) != kind(dataclasses.replace(config, corruption=0.2))
    assert kind(config) == kind(dataclasses.replace(config, seed=9, weight_decay=0.5))


def test_a_member_that_diverges_is_named(config, session):
    wild = dataclasses.replace(
        config, optimizer="sgd", learning_rate=1e30, lr_drops=(), seed=4
    )
    with pytest.raises(RunError, match=r"not finite at step \d+ \(seed 4, alpha 1"):
        run_together([wild], session)


def test_bad_configs_are_refused(config, session):
    with pytest.raises(UsageError, match="epochs must be"):
        run_together([dataclasses.replace(config, epochs=0)], session)
