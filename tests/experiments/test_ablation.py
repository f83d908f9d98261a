import dataclasses

import pytest

from experiments import ablation, common, paper, run_flags
from mixup_jax.errors import UsageError
from mixup_jax.runs import Session, run


def test_there_are_22_rows_and_two_weight_decays():
    assert len(ablation.VICINITIES) == 22
    assert len(ablation.RUNS) == 44
    decays = [config.weight_decay for config in ablation.RUNS.values()]
    assert decays == [1e-4, 5e-4] * 22
    # No two rows are the same.
    assert len({config.vicinity for config in ablation.RUNS.values()}) == 22


@pytest.mark.parametrize("name", ablation.RUNS)
def test_every_run_is_valid(name):
    ablation.RUNS[name].validate()


def test_the_papers_numbers_stand_beside_the_rows():
    rows = [paper.table5(name) for name in ablation.VICINITIES]
    assert [row["test_error_wd_1e-4"] for row in rows][:4] == [5.53, 4.24, 4.98, 4.44]
    assert rows[-1]["test_error_wd_5e-4"] == 7.24


def tiny(name):
    """The run as --smoke makes it, on a network that compiles in two seconds."""
    arguments = [f"--run={name}", "--smoke", "--model=mlp", "--depth=4", "--epochs=1"]
    arguments.append("--batch_size=32")  # no short last batch: one program less
    values = run_flags.define_run_flags(ablation.RUNS)
    assert not common.parse(values, "", ["program", *arguments])
    return run_flags.chosen_config(values, ablation.RUNS)


# Of rows that differ in a number, one.
DISTINCT = """
    erm mixup_ac_rp mixup_ac_knn layer1_ac_rp layer5_ac_rp inputs_sc_knn inputs_ac_knn
    inputs_sc_rp inputs_ac_rp smoothing_01 inputs_smoothing_01 noise_01
""".split()


def test_rows_train_and_no_two_alike(tmp_path):
    session, hashes = Session(report=lambda line: None), {}
    for row in DISTINCT:
        result = run(tiny(f"{row}_wd1e4"), tmp_path / row, session)
        assert 0 <= result["test_error_median_of_last_10"] <= 1
        hashes[result["params_sha256"]] = row
    assert len(hashes) == len(DISTINCT)


def test_the_weight_decay_reaches_the_parameters(tmp_path):
    session = Session(report=lambda line: None)
    results = [
        run(tiny(f"erm_{decay}"), tmp_path / decay, session)["params_sha256"]
        for decay in ("wd1e4", "wd5e4")
    ]
    assert results[0] != results[1]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"neighbours": 64}, "fewer than the 64 training examples, got 64"),
        (
            {
                "dataset": "two_rings",
                "pairing": "random",
                "cutmix_probability": 0.5,
                "crop_pad": 0,
                "flip": False,
                "train_examples": 0,
                "test_examples": 0,
                "drop_last": True,
            },
            "CutMix needs images",
        ),
        ({"pairing": "random", "mix_at": "stage6"}, "mlp has stages 1 to 5"),
    ],
)
def test_a_vicinity_that_does_not_fit_is_refused_before_anything_is_written(
    tmp_path, fields, message
):
    config = dataclasses.replace(tiny("mixup_ac_knn_wd1e4"), **fields)
    with pytest.raises(UsageError, match=message):
        run(config, tmp_path / "run", Session())
    assert not (tmp_path / "run").exists()
