import dataclasses

import pytest

from mixup_jax.data.options import DataOptions


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"split_seed": -1},
            "split_seed must be a finite number of at least 0 and at most 4294967295",
        ),
        (
            {"train_share": 1.5},
            "train_share must be a finite number of at least 0 and at most 1, got 1.5",
        ),
        ({"train_examples": -3}, "train_examples must be a finite number of at least"),
        ({"corruption": float("nan")}, "corruption must be a finite number"),
        ({"corruption_rule": "others"}, "unknown corruption_rule 'others'"),
        ({"image_size": -1}, "image_size must be"),
        ({"lighting": float("inf")}, "lighting must be a finite number"),
        (
            {"spectrogram_bins": 162},
            "spectrogram_bins must be a finite number of at least 1 and at most 161",
        ),
        (
            {"spectrogram_bins": 0},
            "spectrogram_bins must be a finite number of at least 1 and at most 161",
        ),
        ({"image_size": 32}, "set crop_pad to 0 (it is 4)"),
        (
            {"image_size": 300, "crop_pad": 0},
            "shorter_side 256 must not be below image_size 300",
        ),
        ({"crop_area": 0.5}, "while image_size is 0, crop_area would have no effect"),
        (
            {"crop_area": 0.5, "shorter_side": 9},
            "while image_size is 0, crop_area, shorter_side would have no effect",
        ),
    ],
)
def test_what_is_wrong_is_said_by_name_and_value(fields, message):
    (found,) = DataOptions(**fields).problems()
    assert message in found


def test_the_defaults_and_imagenets_options_are_right():
    assert DataOptions().problems() == []
    assert DataOptions(image_size=224, crop_pad=0).problems() == []


def test_a_source_is_given_only_what_was_chosen():
    assert DataOptions().source_options == {}
    chosen = DataOptions(split_seed=3, standardise=False, flip=False)
    assert chosen.source_options == {"split_seed": 3, "standardise": False}
    shared = dataclasses.replace(chosen, train_share=0.5)
    assert shared.source_options["train_share"] == 0.5
