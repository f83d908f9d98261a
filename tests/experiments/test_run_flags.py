"""Flags become the config that they describe."""

from experiments import cifar, common, run_flags, toy


def parsed(*arguments):
    values = run_flags.define_run_flags(cifar.RUNS)
    assert not common.parse(values, "", ["program", *arguments])
    return run_flags.chosen_config(values, cifar.RUNS)


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
    run_flags.define_run_flags(cifar.RUNS)
    run_flags.define_run_flags(toy.RUNS)
