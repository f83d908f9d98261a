"""The listing, the preparation and the pictures of data sets, by their program."""

import re

import numpy as np
import pytest
from PIL import Image

from experiments import data
from mixup_jax import data as datasets
from mixup_jax.errors import UsageError
from tests.data.pictures import folder


def run(*arguments):
    data.main(["data", *arguments])


def test_the_listing_names_every_set_and_says_which_are_ready(tmp_path, capsys):
    run(f"--data_dir={tmp_path}")
    lines = capsys.readouterr().out.splitlines()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[2:-2]]
    assert [row[0] for row in rows] == [*datasets.SOURCES, *datasets.KINDS]
    ready = {row[0] for row in rows if row[1]}
    assert ready == {"mnist5k", "two_rings"}
    assert not [row for row in rows if "](" in row[3] or "`" in row[3]]


def test_preparing_says_what_there_is_now(tmp_path, capsys):
    folder(tmp_path / "pets", {"cat": 5, "dog": 4})
    run(f"--prepare=folder:{tmp_path / 'pets'}", f"--data_dir={tmp_path / 'd'}")
    out = capsys.readouterr().out
    assert "images of pets, 9 split 6 + 3, split seed 0, 2 classes" in out
    assert re.search(r"train +6 examples\n +test +3 examples", out)


def test_preparing_counts_and_names_what_cannot_be_read(tmp_path):
    folder(tmp_path / "pets", {"cat": 5, "dog": 4})
    (tmp_path / "pets" / "dog" / "002.jpg").write_bytes(b"?")
    with pytest.raises(UsageError, match=r"1 of the 9 images [\s\S]*dog/002\.jpg"):
        run(f"--prepare=folder:{tmp_path / 'pets'}", f"--data_dir={tmp_path / 'd'}")


@pytest.mark.parametrize(
    "arguments",
    [
        ("mnist5k", "--alpha=0.5"),
        ("two_rings",),
        ("mnist5k", "--image_size=20", "--shorter_side=24", "--pairing=same_class"),
    ],
    ids=["images", "points", "streamed"],
)
def test_a_picture_is_drawn_of_what_the_first_step_sees(arguments, tmp_path, capsys):
    name, *options = arguments
    out = tmp_path / "sheet.png"
    run(f"--show={name}", f"--out={out}", *options)
    assert str(out) in capsys.readouterr().out
    pixels = np.asarray(Image.open(out).convert("RGB"))
    assert min(pixels.shape[:2]) > 300
    assert (pixels < 250).any(axis=-1).mean() > 0.05  # something is drawn


def test_a_picture_says_where_one_lambda_is_that_of_all(monkeypatch, tmp_path):
    from experiments import figures

    notes = []
    monkeypatch.setattr(figures, "save", lambda *arguments: notes.append(arguments[-1]))
    for options in ([], ["--lam_per=example"], ["--alpha=0"]):
        run("--show=two_rings", f"--out={tmp_path / 'sheet.png'}", *options)
    assert ["one lambda" in note for note in notes] == [True, False, False]


def test_the_targets_of_a_picture_are_the_shares(monkeypatch, tmp_path):
    from experiments import contact_sheet

    assert (
        contact_sheet.label_of(np.array([0.0, 0.25, 0.75])) == "0.75 of 2 + 0.25 of 1"
    )
    assert contact_sheet.label_of(np.array([0.0, 1.0, 0.0])) == "class 1"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--prepare=mnist5k", "--show=mnist5k"), "choose one of"),
        (("--prepare=mnist",), "Did you mean 'mnist5k'"),
        (("--show=mnist5k", "--alpha=-1"), "alpha must be"),
        (("mnist5k",), "do not know what to do with 'mnist5k'"),
    ],
)
def test_wrong_usage_is_refused(arguments, message):
    with pytest.raises(UsageError, match=message):
        run(*arguments)
