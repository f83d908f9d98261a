"""The code of docs/vicinities.md is run, and does what the page says."""

import re
import textwrap

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import mixup_jax
from mixup_jax.data import toy
from tests.blocks import blocks_of, run, sections_of

SECTIONS = sections_of("docs/vicinities.md")
LOOP = blocks_of(SECTIONS["A plain JAX loop"])[0]
BEFORE, TRAINING = LOOP.split("def loss_of", 1)
TRAINING = f"def loss_of{TRAINING}"
# The sections that go on from the plain loop, in one namespace.
GOING_ON = ("Other kinds of data", "Inside the network", "Many devices", "GANs")


def line(of):
    """The line of the loop that a variation stands in for."""
    found = [each for each in LOOP.splitlines() if each.endswith(f"# the line of {of}")]
    assert len(found) == 1
    return found[0]


MIXING, LOSS = line("mixing"), line("the loss")


def blocks_under(title):
    """The blocks after a title in bold."""
    parts = re.split(r"\n(?=\*\*)", SECTIONS["Other vicinities"])
    found = [part for part in parts if part.startswith(f"**{title}")]
    assert len(found) == 1
    return blocks_of(found[0])


def test_the_variations_are_those_tested_below():
    titles = re.findall(r"^\*\*(.+?)\*\*", SECTIONS["Other vicinities"], re.MULTILINE)
    assert [title.rstrip(".") for title in titles] == [
        "A lambda per example",
        "Three examples in one",
        "Half of the batches only",
        "Beyond the two examples",
        "ERM in the first five epochs",
        "Same class",
        "Fixed pairs",
        "Nearest neighbours",
        "Inputs only",
        "Label smoothing",
        "Gaussian noise",
        "A loss on class ids",
        "Several alphas at once",
    ]


def with_lines(mixing, loss):
    """The training with other lines of mixing and of the loss."""
    code = TRAINING
    for old, new in ((MIXING, mixing), (LOSS, loss)):
        code = code.replace(old, textwrap.indent(textwrap.dedent(new), "    "))
    return code


def trained(mixing, loss=LOSS, before=""):
    """The loop's names after training with other lines in it."""
    return run(BEFORE, before, with_lines(mixing, loss), names={})


@pytest.fixture(scope="module")
def erm():
    return trained(mixing="")


@pytest.fixture(scope="module")
def after():
    """The names right after the first block with the given words in it."""
    blocks = [LOOP]
    blocks += [each for each in blocks_of(SECTIONS["Other vicinities"]) if "xs" in each]
    for title in GOING_ON:
        blocks += blocks_of(SECTIONS[title])
    names, ends = {}, []
    for block in blocks:
        ends.append((block, dict(run(block, names=names))))
    return lambda words: next(names for block, names in ends if words in block)


def test_the_plain_loop_learns(after):
    assert after("update")["accuracy"] > 0.95


def beyond_erm(names, erm, steps):
    """What the mixing of some steps adds to the loss, all with the same parameters."""
    with jax.numpy_rank_promotion("allow"):
        return [
            names["loss_of"](erm["params"], names["data"], step)
            - erm["loss_of"](erm["params"], names["data"], step)
            for step in steps
        ]


@pytest.mark.parametrize(
    "title",
    [
        "Three examples in one",
        "Fixed pairs",
        "Nearest neighbours",
        "Label smoothing",
        "Gaussian noise",
    ],
)
def test_the_loop_learns_with_other_lines(title, erm):
    *before, mixing = blocks_under(title)
    names = trained(mixing, before="\n".join(before))
    assert names["accuracy"] > 0.95
    assert np.abs(beyond_erm(names, erm, range(150, 153))).max() > 1e-4


def test_erm_in_the_first_five_epochs_without_a_second_program(erm):
    names = trained(*blocks_under("ERM in the first five epochs"))
    assert names["accuracy"] > 0.95
    assert names["update"]._cache_size() == 1
    np.testing.assert_allclose(beyond_erm(names, erm, [0, 49]), 0, atol=1e-6)
    assert np.abs(beyond_erm(names, erm, range(50, 53))).max() > 1e-3


def mixed_batch(block, key=0):
    """The names after a block that stands for the line of mixing."""
    data = toy.load().train
    x, ids = jnp.asarray(data.inputs[:100]), jnp.asarray(data.labels[:100])
    names = {"x": x, "ids": ids, "y": jax.nn.one_hot(ids, 2), "own_x": x}
    names |= {"key": jax.random.key(key), "jax": jax, "mixup_jax": mixup_jax}
    return run(block, names=names)


def mixed_by(draw, rows):
    """What apply_mixing should give for pairs with one lambda."""
    rows, lam = np.asarray(rows), np.asarray(draw.lam)
    return lam * rows + (1 - lam) * rows[np.asarray(draw.partner)]


def test_one_lambda_per_example_or_pair():
    example, pair = blocks_under("A lambda per example")
    draw = mixed_batch(example)["draw"]
    assert len(np.unique(draw.lam)) > 90  # at alpha 0.2 some are 1 up to rounding
    draw = mixed_batch(pair)["draw"]
    np.testing.assert_array_equal(draw.partner[draw.partner], np.arange(100))
    np.testing.assert_array_equal(draw.lam[draw.partner], draw.lam)


def test_half_of_the_batches():
    (block,) = blocks_under("Half of the batches only")
    names = [mixed_batch(block, key) for key in range(40)]
    mixes = [bool((each["x"] != each["own_x"]).any()) for each in names]
    assert 8 <= sum(mixes) <= 32  # 20 and less than 4 sigma


def test_partners_of_the_same_class():
    names = mixed_batch(*blocks_under("Same class"))
    np.testing.assert_allclose(names["y"], jax.nn.one_hot(names["ids"], 2), atol=1e-6)
    assert np.abs(names["x"] - names["own_x"]).max() > 0.01


def test_targets_stay_within_0_and_1_where_inputs_do_not():
    (block,) = blocks_under("Beyond the two examples")
    names = [mixed_batch(block, key) for key in range(10)]
    lams = [each["lam"] for each in names]
    assert min(lams) < 0 and max(lams) > 1
    for each in names:
        share = np.clip(each["lam"], 0, 1)
        draw = each["draw"]._replace(lam=share)
        own = jax.nn.one_hot(each["ids"], 2)
        np.testing.assert_allclose(each["y"], mixed_by(draw, own), atol=1e-6)
        expected = mixed_by(each["draw"], each["own_x"])
        np.testing.assert_allclose(each["x"], expected, atol=1e-6)


def test_targets_of_the_closer_example():
    (block,) = blocks_under("Inputs only")
    sides = set()
    for key in range(8):
        names = mixed_batch(block, key)
        draw, ids = names["draw"], names["ids"]
        sides.add(bool(draw.lam < 0.5))
        chosen = ids[draw.partner] if draw.lam < 0.5 else ids
        np.testing.assert_array_equal(names["y"], jax.nn.one_hot(chosen, 2))
        expected = mixed_by(draw, names["own_x"])
        np.testing.assert_allclose(names["x"], expected, atol=1e-6)
    assert len(sides) == 2


def test_losses_on_class_ids_are_those_on_mixed_labels(after):
    mixing, *losses = blocks_under("A loss on class ids")
    assert len(losses) == 2
    params, data = after("update")["params"], after("update")["data"]
    with jax.numpy_rank_promotion("allow"):
        expected = after("update")["loss_of"](params, data, 7)
        for loss in losses:
            code = with_lines(mixing, loss).split("@jax.jit")[0]
            got = run(BEFORE, code, names={})["loss_of"](params, data, 7)
            np.testing.assert_allclose(got, expected, rtol=1e-5)


def test_several_alphas_at_once(after):
    names = after("xs, ys")
    xs, x = names["xs"], names["x"]
    assert xs.shape == (3, 100, 2) and names["ys"].shape == (3, 100, 2)
    np.testing.assert_array_equal(xs[0], x)
    assert np.abs(xs[1:] - x[None]).max() > 0.1


def test_regression_mixes_near_targets(after):
    names = after("by_distance")
    before, draw = np.sin(3 * np.asarray(names["x"][:, 0])), names["draw"]
    np.testing.assert_allclose(names["value"], mixed_by(draw, before), atol=1e-6)
    # Of any two, the mean distance is 0.72; the kernel's half-width is 0.2.
    assert np.abs(before - before[np.asarray(draw.partner)]).mean() < 0.2
    assert np.isfinite(names["loss"])


def test_several_labels_at_once(after):
    names = after("sigmoid_binary")
    shares = np.unique(names["labels"])
    # 0, lam, 1 - lam, 1
    assert len(shares) == 4 and shares[0] == 0 and shares[3] == 1
    assert names["losses"].shape == (100, 2) and np.isfinite(names["loss"])


def test_masks_are_mixed_or_chosen(after):
    names = after("closer_masks")
    draw, masks = names["draw"], np.asarray(names["masks"])
    one_hot = np.eye(2)[masks]
    np.testing.assert_allclose(names["mixed_masks"], mixed_by(draw, one_hot), atol=1e-6)
    assert draw.lam > 0.5
    np.testing.assert_array_equal(names["closer_masks"], masks)
    mirrored = mixup_jax.closer(draw._replace(lam=1 - draw.lam), names["masks"])
    np.testing.assert_array_equal(mirrored, masks[np.asarray(draw.partner)])
    assert np.isfinite(names["loss"])


def test_cutmix_pastes_images_and_masks_alike(after):
    names = after("cut_masks")
    np.testing.assert_array_equal(names["cut_masks"], names["cut_images"][..., 0] > 0.5)
    changed = (names["cut_images"] != names["images"]).any(axis=(0, 3)).mean()
    np.testing.assert_allclose(changed, 1 - names["cut"].lam, atol=1e-6)
    labels = mixed_by(names["cut"], names["labels"])
    np.testing.assert_allclose(names["cut_labels"], labels, atol=1e-6)


def test_mixup_or_cutmix(after):
    names = after("switch_key")
    either, images = names["either"], np.asarray(names["images"])
    mask = np.broadcast_to(either.mask, (32, 8, 8))[..., None]
    other = images[np.asarray(either.partner)]
    expected = mask * images + (1 - mask) * other
    np.testing.assert_allclose(names["either_images"], expected, atol=1e-6)
    np.testing.assert_allclose(mask.mean(), either.lam, atol=1e-6)
    labels = mixed_by(either, names["labels"])
    np.testing.assert_allclose(names["either_labels"], labels, atol=1e-6)


def test_sounds_mix_before_or_after_the_spectrogram(after):
    names = after("from_spectrograms")
    before, later = names["from_waveforms"], names["from_spectrograms"]
    assert before.shape == later.shape == (8, 161, 101, 1)
    np.testing.assert_allclose(names["mixed_words"].sum(axis=1), 1, rtol=1e-6)
    # The logarithm of magnitudes is not linear, so the two differ.
    assert np.abs(before - later).max() > 0.1


def test_sequences_are_as_long_as_the_longer_one(after):
    names = after("mixed_lengths")
    lengths, draw = np.asarray(names["lengths"]), names["draw"]
    longer = np.maximum(lengths, lengths[np.asarray(draw.partner)])
    np.testing.assert_array_equal(names["mixed_lengths"], longer)
    past = np.arange(12)[None] >= longer[:, None]
    assert (np.asarray(names["mixed"])[past] == 0).all()
    assert (np.abs(np.asarray(names["mixed"])[~past]).max(axis=1) > 0).all()


def test_the_loop_learns_with_its_hidden_units_mixed():
    loss_of = blocks_of(SECTIONS["Inside the network"])[0]
    rest = TRAINING[TRAINING.index("@jax.jit") :]
    assert run(BEFORE, loss_of, rest, names={})["accuracy"] > 0.95


def test_a_network_of_the_library_mixes_before_a_stage(after):
    names = after("before_stage")
    unmixed = names["draw"]._replace(lam=jnp.float32(1))
    plain, _ = names["logits_of"](names["variables"], names["images"], unmixed)
    assert np.abs(names["logits"] - plain).max() > 1e-3
    assert np.isfinite(names["loss"])


def test_many_devices_make_the_virtual_examples_of_one(after):
    names = after("mix_on_device")
    whole = mixup_jax.mixup(names["key"], (names["images"], names["labels"]), alpha=0.2)
    for got in (names["mixed"], names["mixed_across"]):
        assert len(got[0].sharding.device_set) == jax.device_count() == 8
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), got, whole
        )


def test_the_discriminators_batches(after):
    names = after("mix_real_with_fake")
    share = np.asarray(names["batch"].targets)
    between = share * names["real"] + (1 - share) * names["fake"]
    np.testing.assert_allclose(names["batch"].inputs, between, atol=1e-6)
    assert np.isfinite(names["loss"])
    batch = after("mix_shuffled")["batch"]
    assert batch.inputs.shape == (200, 2) and batch.targets.shape == (200, 1)
    # Half of the pairs are of one kind, up to chance (4 sigma: 0.15).
    of_one_kind = np.isin(np.round(batch.targets, 5), (0.0, 1.0)).mean()
    assert abs(of_one_kind - 0.5) < 0.15


def test_the_nnx_loop_learns_and_mixes():
    names = run(*blocks_of(SECTIONS["Flax NNX"]), names={})
    assert names["accuracy"] > 0.95
    copies = [nnx.clone(names["network"]) for _ in range(2)]
    batch = names["x"], nnx.one_hot(names["ids"], 2)
    # Of the same network and batch: only the mixing differs.
    losses = [
        names["update"](each, names["optimizer"], names["rngs"], *batch)
        for each in copies
    ]
    assert losses[0] != losses[1]


def test_the_equinox_loop_learns_and_mixes():
    names = run(*blocks_of(SECTIONS["Equinox"]), names={})
    assert names["accuracy"] > 0.95
    losses = [
        names["loss_of"](names["network"], jax.random.key(k), names["x"], names["y"])
        for k in (0, 1)
    ]
    assert losses[0] != losses[1]
