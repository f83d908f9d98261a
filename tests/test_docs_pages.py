"""The code and the commands of the pages under docs/ do what the pages say."""

import csv
import functools
import importlib
import re
import shlex

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mixup_jax
from experiments import cifar, in_between, reproduction, run_flags
from mixup_jax import data, testing
from mixup_jax.data import mnist5k
from mixup_jax.runs import RunConfig, Session, run
from tests.blocks import ROOT, blocks_of
from tests.blocks import run as run_blocks

PAGES = sorted(ROOT.glob("docs/*.md"))
QUIET = Session(report=lambda line: None, quiet=True)


def blocks(page):
    return blocks_of((ROOT / "docs" / page).read_text())


def names_after(page):
    return run_blocks(*blocks(page), names={})


def commands(page):
    """The experiments that a page starts: module and flags, as a shell would."""
    lines = page.read_text().replace("\\\n", " ").splitlines()
    for line in lines:
        found = re.match(r" {4,}(?:\.venv/bin/)?python -m experiments\.(.*)", line)
        if found:
            name, *flags = shlex.split(found[1], comments=True)
            ends = [i for i, flag in enumerate(flags) if flag[0] in ">|&"]
            yield name, flags[: ends[0]] if ends else flags


COMMANDS = [
    pytest.param(*command, id=f"{page.stem}-{command[0]}-{number}")
    for page in PAGES
    for number, command in enumerate(commands(page))
]


@pytest.mark.parametrize(("name", "flags"), COMMANDS)
def test_commands_are_understood(name, flags, capsys):
    module = importlib.import_module(f"experiments.{name}")
    made = getattr(module, "REPRODUCTION", None)
    main = functools.partial(reproduction.main, made, "") if made else module.main
    # Help is shown after all flags are read: an unknown one is an error before it.
    main([name, *flags, "--help"])
    assert capsys.readouterr().out
    if any(flag.startswith("--run=") for flag in flags):
        values = run_flags.define_run_flags(module.RUNS)
        values([name, *(f for f in flags if not f.startswith("--scale"))])
        run_flags.chosen_config(values, module.RUNS).validate()


def test_the_front_page_mixes_a_batch():
    names = names_after("README.md")
    assert names["x"].shape == (32, 8)
    np.testing.assert_allclose(names["y"].sum(axis=1), 1, rtol=1e-6)
    assert (names["y"].max(axis=1) < 1).any()


def test_the_first_run_gives_a_predictor(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # Its file is packed text, which takes seconds to read.
    monkeypatch.setattr(mnist5k, "_read", functools.cache(mnist5k._read))
    small = RunConfig(
        **{"dataset": "mnist5k", "model": "mlp", "crop_pad": 0, "flip": False},
        **{"epochs": 3, "batch_size": 80, "optimizer": "adam", "learning_rate": 3e-3},
        **{"lr_drops": (), "train_examples": 800, "test_examples": 80, "width": 64},
        train_error_every=-1,
    )
    run(small, "runs/first", QUIET)
    assert 0 < names_after("start.md")["error"] < 0.5
    for name in ("config.json", "metrics.jsonl", "checkpoints", "result.json"):
        assert (tmp_path / "runs" / "first" / name).exists()
        assert f"`{name}" in (ROOT / "docs" / "start.md").read_text()


def test_the_idea_is_the_formula():
    names = names_after("idea.md")
    np.testing.assert_allclose(names["x_mixed"], names["same"], atol=1e-6)
    assert 0 < names["draw"].lam < 1
    logits, ids = names["x"], jnp.argmax(names["y"], axis=1)
    draw = names["draw"]
    np.testing.assert_allclose(
        mixup_jax.two_target_cross_entropy(logits, ids, ids[draw.partner], draw.lam),
        mixup_jax.soft_cross_entropy(logits, names["y_mixed"]),
        rtol=1e-5,
    )


def test_the_statistics_are_those_of_the_page(monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    names = names_after("reproduce.md")
    page = (ROOT / "docs" / "reproduce.md").read_text()
    for mean, half, *_ in (names["erm"], names["gain"]):
        assert f"{100 * mean:.2f} ± {100 * half:.2f}" in page
    assert f"| {names['gain'].p_value:.3f} |" in page
    kept, again, last = capsys.readouterr().out.splitlines()
    assert last.startswith("ERM 36.5% ± 2.2%; mixup -18.4%")
    assert kept == "erm: 189 epochs, 8.67%" and again == "mixup: 200 epochs, 7.96%"
    assert "ERM 8.67 %, mixup 7.96 %" in page


def trained(prefix, **fields):
    """The error of a run as own_data.md starts it, shorter."""
    config = RunConfig(
        dataset=f"npz:{prefix}",
        **{"model": "mlp", "crop_pad": 0, "flip": False, "optimizer": "adam"},
        **{"learning_rate": 0.01, "epochs": 5, "lr_drops": (), "alpha": 0.2},
        **fields,
    )
    return run(config, f"runs/{prefix}", QUIET)["test_error_last"]


def test_own_arrays_and_tables_become_data_sets(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(1)
    with open("flowers.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["length", "width", "species"])
        for place in rng.permutation(90):
            width, species = place % 3, "abc"[place % 3]
            writer.writerow([5.5, width + rng.normal(0, 0.1), species])
    arrays, table = blocks("own_data.md")
    run_blocks(arrays, table, names={})
    mine, flowers = data.load("npz:mine"), data.load("npz:flowers")
    assert mine.train.inputs.shape == (200, 5) and mine.num_classes == 3
    assert (len(flowers.train.labels), len(flowers.test.labels)) == (60, 30)
    # Labels go with their rows.
    np.testing.assert_array_equal(
        flowers.train.inputs[:, 1].round(), flowers.train.labels
    )
    assert trained("mine", batch_size=40) < 0.3

    with open("flowers.csv", "a") as file:
        file.write("5.5,,a\n")
    with pytest.raises(ValueError, match="could not convert"):
        run_blocks(table, names={})


def test_own_models_learn_in_either_loop():
    names = names_after("own_model.md")
    assert names["accuracy"] > 0.95
    assert names["error"] < 0.05
    assert int(names["state"].step) == 100
    statistics = names["variables"]["batch_stats"]
    moved = jax.tree.map(
        lambda a, b: float(jnp.abs(a - b).max()),
        names["state"].batch_stats,
        statistics,
    )
    assert max(jax.tree.leaves(moved)) > 0.01  # those of training, not of the start


@pytest.fixture(scope="module")
def from_others():
    return names_after("coming_from.md")


def test_what_stands_for_timms_mixup_is_right(from_others):
    keys = iter(jax.random.split(jax.random.key(2), 100))
    like_timm = jax.jit(from_others["like_timm"])

    def mix(inputs, labels):
        with jax.numpy_rank_promotion("allow"):
            arrays = jnp.asarray(inputs), jnp.asarray(labels)
            mixed = like_timm(next(keys), *arrays)
        return tuple(map(np.asarray, mixed))

    draws = testing.observe(mix, draws=100)
    assert testing.agreement(draws).status == "holds"
    assert testing.smoothing(draws).status == "differs"  # 0.1, as in timm


def test_pairs_of_timm_and_torchvision(from_others):
    x = np.asarray(from_others["x"])
    assert (from_others["mirrored"].partner == np.arange(32)[::-1]).all()
    assert (from_others["rolled"].partner == (np.arange(32) - 1) % 32).all()
    lam = float(from_others["lam"])
    for mixed, other in (
        (from_others["timm_x"], x[::-1]),
        (from_others["vision_x"], np.roll(x, 1, axis=0)),
    ):
        np.testing.assert_allclose(mixed, lam * x + (1 - lam) * other, atol=1e-6)
    assert len(np.unique(from_others["draw"].lam)) > 20  # Keras: of each example


def test_flags_named_on_the_pages_are_flags():
    values = run_flags.define_run_flags(cifar.RUNS)
    texts = [(ROOT / "docs" / name).read_text() for name in ("faq.md", "own_data.md")]
    # The flags of others are in other columns.
    text = (ROOT / "docs" / "coming_from.md").read_text()
    rows = [line.split("|") for line in text.splitlines() if line.startswith("|")]
    texts += [row[2] if len(row) == 5 else row[3] for row in rows]
    named = set(re.findall(r"--([a-z][a-z_]+)", " ".join(texts)))
    assert len(named) > 20
    of_data = {"show"}
    assert {name for name in named if name.removeprefix("no") not in values} == of_data


def test_the_network_in_between_is_the_one_named():
    config = in_between.configs("small")["erm"]
    assert (config.model, config.dataset) == ("mlp", "mnist5k")
