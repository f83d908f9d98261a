import pytest

from experiments import cifar, common, demo, paper, toy
from mixup_jax.errors import UsageError

RUNS = {**cifar.RUNS, **toy.RUNS, **demo.METHODS}


@pytest.mark.parametrize("name", RUNS)
def test_every_named_run_is_valid(name):
    RUNS[name].validate()


def test_the_cifar_runs_are_the_papers():
    erm, mixup = cifar.RUNS["c10_preact18_erm"], cifar.RUNS["c100_preact18_mixup"]
    assert (erm.alpha, mixup.alpha) == (0.0, 1.0)
    assert (mixup.dataset, mixup.epochs, mixup.batch_size) == ("cifar100", 200, 128)
    assert (mixup.learning_rate, mixup.lr_drops) == (0.1, (100, 150))
    assert (mixup.weight_decay, mixup.nesterov) == (1e-4, False)


def parsed(*arguments):
    values = common.define_run_flags(cifar.RUNS)
    assert not common.parse(values, "", ["program", *arguments])
    return common.chosen_config(values, cifar.RUNS)


def test_flags_override_any_field():
    config = parsed(
        "--run=c10_preact18_erm",
        "--alpha=0.4",
        "--lr_drops=60,120,180",
        "--noflip",
        "--seed=7",
        "--dataset=fashion_mnist",
    )
    assert config.alpha == 0.4
    assert config.lr_drops == (60, 120, 180)
    assert (config.flip, config.seed) == (False, 7)
    assert config.dataset == "fashion_mnist"
    assert config.weight_decay == 1e-4
    assert parsed("--run=c10_preact18_erm", "--lr_drops=").lr_drops == ()


def test_flags_win_over_smoke():
    config = parsed("--run=c10_preact18_erm", "--smoke", "--epochs=1")
    assert (config.epochs, config.dataset) == (1, "mnist5k")


def test_flags_of_two_experiments_do_not_collide():
    common.define_run_flags(cifar.RUNS)
    common.define_run_flags(toy.RUNS)


def test_a_missing_run_lists_the_known_ones():
    with pytest.raises(UsageError, match="c10_preact18_mixup"):
        parsed()


def test_the_papers_table_2_has_its_12_rows():
    row = paper.table2(corruption=0.5, method="mixup")
    assert (row["alpha"], row["test_error_last"]) == (32, 12.7)
    assert paper.table2(corruption=0.8, method="erm")["test_error_best"] == 36.5
