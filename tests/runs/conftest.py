import pytest

from mixup_jax.runs import RunConfig, Session


@pytest.fixture
def config():
    """Three epochs of three steps, in about a second once compiled."""
    return RunConfig(
        dataset="mnist5k",
        train_examples=40,
        test_examples=30,
        corruption=0.5,
        crop_pad=0,
        flip=False,
        model="mlp",
        width=8,
        alpha=1.0,
        epochs=3,
        batch_size=16,
        lr_drops=(2,),
        eval_batch_size=16,
    )


@pytest.fixture
def lines():
    return []


@pytest.fixture
def session(lines):
    return Session(parallel="shard_map", report=lines.append)
