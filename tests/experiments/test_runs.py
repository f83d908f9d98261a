import pytest

from experiments import (
    cifar,
    corrupted_labels,
    demo,
    imagenet,
    paper,
    speech_commands,
    toy,
)

RUNS = {
    **cifar.RUNS,
    **corrupted_labels.RUNS,
    **demo.METHODS,
    **imagenet.RUNS,
    **speech_commands.RUNS,
    **toy.RUNS,
}


@pytest.mark.parametrize("name", RUNS)
def test_every_named_run_is_valid(name):
    RUNS[name].validate()


def test_the_cifar_runs_are_the_papers():
    erm, mixup = cifar.RUNS["c10_preact18_erm"], cifar.RUNS["c100_preact18_mixup"]
    assert (erm.alpha, mixup.alpha) == (0.0, 1.0)
    assert (mixup.dataset, mixup.epochs, mixup.batch_size) == ("cifar100", 200, 128)
    assert (mixup.learning_rate, mixup.lr_drops) == (0.1, (100, 150))
    assert (mixup.weight_decay, mixup.nesterov) == (1e-4, False)


def test_figure_3_has_three_networks_on_two_data_sets():
    assert len(cifar.RUNS) == 12
    assert cifar.RUNS["c10_wrn28_10_erm"].lr_drops == (60, 120, 180)
    assert cifar.RUNS["c100_densenet190_mixup"].lr_drops == (100, 150)
    assert {config.alpha for config in cifar.RUNS.values()} == {0.0, 1.0}


def test_table_1_has_the_settings_of_goyal_et_al():
    long = imagenet.RUNS["resnext101_32x4d_mixup_200"]
    assert (long.alpha, long.epochs, long.lr_drops) == (0.4, 200, (60, 120, 180))
    short = imagenet.RUNS["resnet50_erm_90"]
    assert (short.alpha, short.epochs, short.lr_drops) == (0.0, 90, (30, 60, 80))
    for config in imagenet.RUNS.values():
        assert (config.batch_size, config.ghost_batch_norm) == (1024, 32)
        assert config.nesterov and not config.decay_norm
        rate = config.schedule(config.steps_per_epoch(1_281_167))
        rates = [float(rate(step)) for step in (0, 5 * 1251, 30 * 1251 - 1)]
        assert rates == pytest.approx([0.1, 0.4, 0.4])


def test_table_2_is_the_whole_grid():
    runs = corrupted_labels.RUNS
    assert len(runs) == 3 * (1 + 4 + 4 + 12 + 1)
    both = runs["c20_mixup_4_dropout_01"]
    assert (both.corruption, both.alpha, both.dropout) == (0.2, 4.0, 0.1)
    assert runs["c80_dropout_09"].vicinity == runs["c80_erm"].vicinity
    assert {config.corruption_rule for config in runs.values()} == {"uniform"}


def test_mixup_of_sounds_begins_after_five_epochs():
    run = speech_commands.RUNS["vgg11_mixup_02"]
    assert (run.alpha, run.mix_from_epoch, run.epochs) == (0.2, 5, 30)
    assert (run.learning_rate, run.lr_drops) == (3e-3, (10, 20))
    assert speech_commands.RUNS["lenet_erm"].mix_from_epoch == 0


def test_the_papers_table_2_has_its_12_rows():
    row = paper.table2(corruption=0.5, method="mixup")
    assert (row["alpha"], row["test_error_last"]) == (32, 12.7)
    assert paper.table2(corruption=0.8, method="erm")["test_error_best"] == 36.5
