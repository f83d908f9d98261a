"""The documentation's pictures are what the code of its page makes of real data."""

import jax
import matplotlib.image
import numpy as np
import pytest

from experiments import pictures
from mixup_jax.data import Dataset, Split, toy
from mixup_jax.errors import UsageError

SECTIONS = {section.picture: section for section in pictures.sections()}
ROWS = np.arange(50)


def rings(name, seed=0):
    """Virtual points of a section, and those that they were made of."""
    with jax.numpy_rank_promotion("allow"):
        sides = pictures.virtual(SECTIONS[name], toy.load(), jax.random.key(seed), ROWS)
    return jax.tree.map(np.asarray, sides)


def radius(batch):
    return np.hypot(*batch.inputs.T)


def test_every_section_of_the_page_is_drawn():
    text = (pictures.DOCS / "gallery.md").read_text()
    assert text.count("![") == text.count("```python") == len(SECTIONS) == 13
    drawn = {path.stem for path in (pictures.DOCS / "pictures").glob("*.png")}
    assert drawn == {"pairs", "lambda", "between", "cifar10_jpeg", *SECTIONS}


@pytest.mark.parametrize("name", SECTIONS)
def test_the_code_of_the_page_makes_a_batch(name):
    if not SECTIONS[name].points:
        return
    before, after = rings(name)
    assert after.inputs.shape == before.inputs.shape == (50, 2)
    changed = np.abs(after.inputs - before.inputs).max() > 1e-3
    assert changed == (name not in ("erm", "smoothing"))
    assert 0 <= after.targets.min() and after.targets.max() <= 1


def test_what_the_page_says_of_the_pictures():
    _, erm = rings("erm")
    assert ((radius(erm) > 0.7) | (radius(erm) < 0.6)).all()
    mixed = [rings("mixup", seed).after for seed in range(8)]
    assert any(((0.4 < radius(b)) & (radius(b) < 0.6)).any() for b in mixed)
    assert np.ptp(rings("lam_per_example").after.targets[:, 1].round(3)) == 1
    # Chords of the outer ring cross the inner one, and keep their class.
    same = [rings("same_class", seed).after for seed in range(8)]
    assert any((radius(b)[b.targets[:, 0] > 0.99] < 0.3).any() for b in same)
    assert all(np.isin(b.targets.round(5), (0, 1)).all() for b in same)
    near = rings("neighbours")
    assert np.abs(near.after.inputs - near.before.inputs).max() < 0.5
    outside = [radius(rings("beyond", seed).after).max() for seed in range(4)]
    assert max(outside) > 1.3
    assert np.isin(rings("closer").after.targets, (0, 1)).all()
    smooth = rings("smoothing").after.targets
    np.testing.assert_allclose(np.unique(smooth), [0.05, 0.95], rtol=1e-5)
    gan = rings("gan").after
    # Of the fakes' Gaussian none is as far out as the inner ring's outside.
    far, close = radius(gan) > 0.6, radius(gan) < 0.15
    assert gan.targets[far].min() > 0.4 > gan.targets[close].mean()


def test_a_rectangle_is_the_share_of_the_target():
    rng = np.random.default_rng(0)
    pixels, labels = rng.integers(1, 256, (50, 12, 12, 1), np.uint8), ROWS % 2
    split = Split(pixels, labels.astype(np.int32))
    images = Dataset("", "", split, split, 2, (0.5,), (0.2,))
    key = jax.random.key(1)
    before, after = pictures.virtual(SECTIONS["cutmix"], images, key, ROWS)
    pasted = (before.inputs != after.inputs).mean(axis=(1, 2, 3)).max()
    assert 0.05 < pasted < 0.95
    shares = np.unique(np.asarray(after.targets).round(3))
    assert np.isclose(shares, pasted, atol=0.02).any()


def test_most_virtual_examples_of_a_small_alpha_are_close_to_a_real_one():
    lam = np.array([rings("small_alpha", seed).after.targets[0] for seed in range(60)])
    assert (np.maximum(lam[:, 0], lam[:, 1]) > 0.9).mean() > 0.5


def test_a_picture_is_written_and_seen(tmp_path, capsys):
    pictures.main(["pictures", f"--out={tmp_path}", "--only=lambda,gan"])
    assert "gan.png" in capsys.readouterr().out
    for name in ("lambda", "gan"):
        found = matplotlib.image.imread(tmp_path / f"{name}.png")
        kept = matplotlib.image.imread(pictures.DOCS / "pictures" / f"{name}.png")
        assert found.shape == kept.shape and found[..., :3].std() > 0.05


def test_unknown_pictures_are_refused(tmp_path):
    with pytest.raises(UsageError, match="picture"):
        pictures.main(["pictures", f"--out={tmp_path}", "--only=mixpu"])
    assert not list(tmp_path.iterdir())
