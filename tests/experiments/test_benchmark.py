"""The benchmark: sides in turns, ratios the right way round, every suite at work."""

import json
import types

import jax
import numpy as np
import pytest

from experiments import benchmark, timing
from experiments.benchmarks import (
    accelerator,
    growth,
    kernels,
    layers,
    mixing,
    our_side,
    starting,
    steps,
    suite,
    vicinities,
)
from mixup_jax import models
from mixup_jax.errors import UsageError
from mixup_jax.training.placement import Placement
from mixup_jax.vicinity.vicinity import Vicinity

OPTIONS = suite.Options(rounds=2, quick=True, threads=1)


def test_sides_run_in_turns_and_the_first_calls_do_not_count():
    calls = []
    sides = {name: lambda name=name: calls.append(name) for name in "ab"}
    times = timing.in_turns(sides, rounds=3, least=0)
    assert calls == [*"aabb", "b", "a", "a", "b", "b", "a"]
    assert all(0 <= t.best <= t.median for t in times.values())


def test_what_is_short_is_called_several_times_a_turn_and_turns_are_apart(monkeypatch):
    now, pauses, calls = [0.0], [], []

    def side(name, seconds):
        def run():
            calls.append(name)
            now[0] += seconds

        return run

    clock = types.SimpleNamespace(perf_counter=lambda: now[0], sleep=pauses.append)
    monkeypatch.setattr(timing, "time", clock)
    sides = {"short": side("short", 0.25), "long": side("long", 4.0)}
    found = timing.in_turns(sides, rounds=2, least=1.0)
    assert calls.count("short") == 2 + 2 * 4 and calls.count("long") == 2 + 2
    assert (found["short"].median, found["long"].median) == (0.25, 4.0)  # of one call
    assert pauses == [timing._PAUSE] * 4


def took(seconds):
    return timing.Timing(seconds, 0.1 * seconds, 0.9 * seconds)


def test_a_ratio_over_1_says_that_ours_is_faster():
    sides = {"ours": took(2.0), "PyTorch": took(3.0)}
    found = suite.Comparison("work", 10, "images", sides)
    assert found.ratio("PyTorch") == 1.5
    assert found.content()["sides"]["ours"]["per_second"] == 5.0
    lines = suite.table([found]).split("\n")[2:]
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    assert cells == [
        ["work (images)", "ours", "2,000", "200", "5", "1.00"],
        ["", "PyTorch", "3,000", "300", "3.33", "1.50"],
    ]


def test_the_headlines_are_those_of_the_tables():
    sides = {
        "ours": took(2.0),
        "PyTorch": took(3.0),
        "PyTorch, channels last": took(1.0),
        "plain Flax": took(4.0),
    }
    step = suite.Comparison("step, PreAct ResNet-18, batch 8", 8, "examples", sides)
    grid = suite.Comparison("table 4's MLP, 20 seeds x 3 alphas", 1, "steps", sides)
    alone = suite.Comparison("table 4's MLP, 1 seeds x 1 alphas", 1, "steps", sides)
    assert benchmark.headlines([step, grid, alone]) == {
        "cpu_step_ratio_vs_pytorch": 1.5,
        "cpu_step_ratio_vs_pytorch_channels_last": 0.5,
        "cpu_step_ratio_vs_plain_flax": 2.0,
        "seeds_in_one_program_ratio": 1.5,
    }


@pytest.mark.parametrize("name", steps.FAMILIES)
def test_both_sides_of_a_family_are_the_same_network(name):
    torch = pytest.importorskip("torch", reason="needs the extra bench")
    from experiments.benchmarks import torch_networks

    family = steps.FAMILIES[name]
    network = models.create(family.model, family.classes, **family.overrides)
    ours = models.shapes(network, family.inputs)["params"]
    kind, arguments = family.torch
    classes = () if kind == "Perceptron" else (family.classes,)
    with torch.device("meta"):
        theirs = getattr(torch_networks, kind)(*classes, **arguments)
    assert sum(leaf.size for leaf in jax.tree.leaves(ours)) == sum(
        parameter.numel() for parameter in theirs.parameters()
    )


@pytest.mark.parametrize("adam", [False, True])
def test_our_side_trains(adam):
    step = our_side.step(
        "mlp", (4,), 3, batch_size=8, overrides={"width": 5}, adam=adam
    )
    before, after = step(), step()
    assert int(before.step) == int(after.step) == 1
    assert float(before.loss_sum) > 0


def test_pytorch_s_side_trains():
    torch = pytest.importorskip("torch", reason="needs the extra bench")
    from experiments.benchmarks import torch_networks, torch_side

    torch.manual_seed(0)
    network = torch_networks.Perceptron([4, 32, 3])
    step = torch_side.train_step(network, (4,), 3, batch_size=16, alpha=0.0, adam=True)
    losses = [step() for _ in range(400)]
    assert losses[-1] < 0.8 * losses[0]


def test_the_suite_for_a_gpu_runs_in_both_precisions_and_says_the_share(monkeypatch):
    pytest.importorskip("torch", reason="needs the extra bench")
    small = steps.FAMILIES["PreAct ResNet-18"]._replace(
        inputs=(8, 8, 3),
        torch=("PreActResNet", {"depth": 10, "width": 4, "official": False}),
        overrides={"depth": 10, "width": 4},
    )
    monkeypatch.setitem(steps.FAMILIES, "PreAct ResNet-18", small)
    found = accelerator.measure(OPTIONS, side=64)
    assert [each.precision for each in found] == ["bfloat16", "float32"]
    first = found[0]
    # Three times two operations for each of the multiply-adds of a direct convolution.
    rate = 8 / first.comparison.sides["ours"].median
    macs = accelerator._operations(small) / 6
    assert (
        macs
        == 8 * 8 * 9 * (3 * 4 + 2 * 4 * 4)
        + sum(
            size * size * (9 * c * 2 * c + 9 * 4 * c * c + c * 2 * c)
            for size, c in ((4, 4), (2, 8), (1, 16))
        )
        + 32 * 10
    )
    assert 0 < first.share and rate > 0
    assert "float32" in accelerator.table(found).split("\n")[-1]


def test_growth_is_of_what_it_says(monkeypatch):
    asked = []

    def step(*args, **options):
        asked.append(options)
        return lambda: None

    monkeypatch.setattr(our_side, "step", step)
    found = growth.measure(OPTIONS._replace(quick=False))
    assert [each.item for each in found[:2]] == [
        "growth, batch size 16",
        "growth, batch size 32",
    ]
    assert [options["batch_size"] for options in asked[:2]] == [16, 32]
    assert asked[-1]["examples"] == 50_000


def test_mixing_is_timed_against_a_copy(monkeypatch):
    pytest.importorskip("torch", reason="needs the extra bench")
    monkeypatch.setattr(mixing, "SHAPES", {"small": (4, 8, 8, 3)})
    (found,) = mixing.measure(OPTIONS)
    assert list(found.sides)[:4] == [
        "mixup",
        "mixup, lambda per example",
        "CutMix",
        "copy",
    ]
    assert found.amount == 4 * 8 * 8 * 3 * 4 / 1e6


def test_the_program_writes_what_it_measured(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(benchmark.runtime, "start", lambda **_: "")
    file = tmp_path / "speed.json"
    benchmark.main(
        [
            "benchmark",
            "--only=vicinities",
            "--width=4",
            "--batch_size=8",
            "--rounds=2",
            "--vicinities=mixup_ac_rp",
            f"--json={file}",
        ]
    )
    content = json.loads(file.read_text())
    rows = content["vicinities"]
    assert list(rows) == ["erm", "mixup_ac_rp", "erm, whole step"]
    assert content["mixup_overhead_over_erm"] == rows["mixup_ac_rp"]["over_erm"]
    assert "| mixup_ac_rp |" in capsys.readouterr().out


def test_every_layer_is_timed_in_both_forms(monkeypatch):
    small = {"1x1": ((2, 4, 4, 8), (1, 1, 8, 4), 1)}
    monkeypatch.setattr(layers, "_CONVOLUTIONS", small)
    monkeypatch.setattr(layers, "_NORMALISED", ((2, 4, 4, 8),))
    monkeypatch.setattr(layers, "_POOLED", (2, 4, 4, 8))
    found = layers.measure(suite.Options(2, False, 1))
    assert [each.item for each in found] == [
        "1x1, 2x4x4x8",
        "batch norm, 2x4x4x8",
        "max pooling 2x2, 2x4x4x8",
    ]
    assert all(list(each.sides) == ["ours", "XLA"] for each in found)
    assert layers.measure(suite.Options(2, True, 1)) == []


def traced(plane, line, events):
    """A trace as JAX's profiler gives it: (kernel, operation, ns) of each event."""
    fields = ("name", "stats", "duration_ns")
    found = [(name, [("hlo_op", op)], time) for name, op, time in events]
    events = [types.SimpleNamespace(**dict(zip(fields, e, strict=True))) for e in found]
    lines = [types.SimpleNamespace(name=line, events=events)]
    return types.SimpleNamespace(name=plane, lines=lines)


def test_a_kernel_s_time_is_that_of_all_its_launches_in_a_step():
    launches = [("gemm", "dot.1", 2e6), ("add", "add.1", 1e6), ("gemm", "dot.1", 4e6)]
    planes = [
        traced("/device:GPU:0", "Stream #1(compute)", launches),
        traced("/device:GPU:0", "XLA Ops", launches),  # the same once more
        traced("/host:CPU", "Stream", launches),
    ]
    found = kernels._kernels(types.SimpleNamespace(planes=planes), 2)
    assert found == [
        kernels.Kernel("gemm", "dot.1", 1.0, 3.0),
        kernels.Kernel("add", "add.1", 0.5, 0.5),
    ]
    rows = kernels.table([kernels.Profile("a step", found)]).splitlines()
    assert "85.7%" in rows[2] and "3.500" in rows[-1]


def test_steps_are_traced_and_on_a_cpu_have_no_kernels():
    assert kernels._traced(lambda: jax.numpy.ones(3) + 1, 1) == []


def test_the_demos_start_is_timed_to_its_first_step(tmp_path):
    row = starting._run(starting._DEMO.code(), str(tmp_path))
    parts = row["import_s"] + row["initialise_s"] + row["compile_s"] + row["step_s"]
    assert parts == pytest.approx(row["first_step_after_s"], rel=1e-3)
    assert list(tmp_path.glob("mixup-jax/xla-*/*"))  # programs kept for the next


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--only=stepz", "Did you mean .steps"),
        ("--rounds=1", "rounds must be at least 2"),
        ("--json=/no/such/folder/a.json", "--json=/no/such/folder/a.json: there is no"),
        ("--width=0", "width must be at least 1, got 0"),
    ],
)
def test_bad_flags_are_refused(flag, message):
    with pytest.raises(UsageError, match=message):
        benchmark.main(["benchmark", flag])


def test_a_streamed_batch_is_mixed_across_devices():
    placement = Placement("shard_map", tuple(jax.devices()[:2]))
    bench = vicinities.Bench(4, 16, placement)
    plain = bench.batches(Vicinity())()
    mixed = bench.batches(Vicinity(alpha=1.0), streamed=True)()
    assert mixed.inputs.shape == plain.inputs.shape == (8, 32, 32, 3)
    assert np.abs(mixed.inputs - plain.inputs).max() > 0.1


def test_the_table_says_what_was_measured():
    row = {
        "milliseconds": 1.5,
        "spread_milliseconds": 0.25,
        "over_erm": 0.001,
        "measured_on": "batch",
    }
    text = vicinities.table({"erm": row})
    assert "| erm | 1.50 | 0.25 | batch | +0.10% |" in text


def test_the_cost_of_one_vicinity_beside_erm():
    bench = vicinities.Bench(4, 8, Placement("shard_map", tuple(jax.devices()[:1])))
    rows = vicinities.measure(vicinities.Chosen(bench, {"erm", "noise_01"}), OPTIONS)
    assert list(rows) == ["erm", "noise_01", "erm, whole step"]
    assert rows["erm"]["over_erm"] == 0
    step = rows["erm, whole step"]["milliseconds"]
    expected = (rows["noise_01"]["milliseconds"] - rows["erm"]["milliseconds"]) / step
    assert abs(rows["noise_01"]["over_erm"] - expected) < 1e-9
