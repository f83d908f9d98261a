import dataclasses
import json

import pytest

from mixup_jax.errors import UsageError
from mixup_jax.runs.config import RunConfig, config_from_json


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("alpha", -0.5, "alpha must be a finite number of at least 0, got -0.5"),
        ("alpha", float("nan"), "alpha must be a finite number"),
        ("epochs", 0, "epochs must be a finite number of at least 1, got 0"),
        ("batch_size", 0, "batch_size must be"),
        (
            "corruption",
            1.5,
            "corruption must be .* of at least 0 and at most 1, got 1.5",
        ),
        ("momentum", 1.0, "momentum must be from 0 to below 1, got 1.0"),
        ("seed", -1, "seed must be from 0"),
        ("model", "preact_resnet81", "Did you mean 'preact_resnet18'"),
        ("optimizer", "sdg", "Did you mean 'sgd'"),
        ("init", "torch2018", "Did you mean 'torch2017'"),
        ("width", -3, "width must be"),
        ("dropout", 1.0, "dropout must be from 0 to below 1, got 1.0"),
        ("ghost_batch_norm", -1, "ghost_batch_norm must be"),
        ("dtype", "float16", "unknown dtype 'float16'"),
        ("depth", 12, "depth must be 10, 18, 26"),
        ("lr_drops", (150, 100), "lr_drops must be increasing"),
        ("learning_rate", float("inf"), "learning_rate must be a finite number"),
    ],
)
def test_a_bad_value_is_refused_by_name(field, value, message):
    with pytest.raises(UsageError, match=message):
        dataclasses.replace(RunConfig(), **{field: value}).validate()


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("momentum", "a", "momentum must be from 0 to below 1, got 'a'"),
        ("lr_drops", 5, "lr_drops must be epochs, got 5"),
        ("lr_drops", ("a",), "lr_drops must be epochs, got ('a',)"),
        ("learning_rate", "a", "learning_rate must be a number, got 'a'"),
        ("seed", "a", "seed must be from 0 to 2**32 - 1, got 'a'"),
    ],
)
def test_a_value_of_another_kind_is_refused_by_name(field, value, message):
    config = RunConfig()
    # Past the tests' own check of types, which programs do not have.
    object.__setattr__(config, field, value)
    assert config._wrong_run_numbers() == [message]


def test_all_problems_are_listed_together():
    config = RunConfig(alpha=-1.0, epochs=0, optimizer="none", depth=5)
    with pytest.raises(UsageError) as error:
        config.validate()
    assert len(str(error.value).split("\n")) == 4
    config = RunConfig(dtype="bf16", lr_drops=(9, 3), ema=2.0)
    with pytest.raises(UsageError) as error:
        config.validate()
    assert str(error.value).split("\n") == [
        "ema must be from 0 to below 1, got 2.0",
        "lr_drops must be increasing epochs from 1, got (9, 3)",
        "unknown dtype 'bf16'. Did you mean 'bfloat16'? Known: bfloat16, float32",
    ]


def test_options_that_exclude_each_other_are_refused():
    with pytest.raises(UsageError, match="choose one"):
        RunConfig(sync_batch_norm=True, ghost_batch_norm=32).validate()


def test_the_defaults_are_valid_and_the_papers():
    config = RunConfig()
    config.validate()
    assert config.steps_per_epoch(50_000) == 391
    assert dataclasses.replace(config, drop_last=True).steps_per_epoch(50_000) == 390


def test_a_config_survives_json():
    config = RunConfig(lr_drops=(60, 120, 180), alpha=0.4)
    content = json.loads(json.dumps(dataclasses.asdict(config)))
    assert config_from_json(content) == config
    with pytest.raises(UsageError, match="unknown fields: mixture"):
        config_from_json(content | {"mixture": 1})


def test_every_field_says_what_it_is():
    for field in dataclasses.fields(RunConfig):
        assert len(field.metadata["help"]) > 5, field.name
