import jax
import numpy as np

from experiments import benchmark, timing
from mixup_jax.training.placement import Placement
from mixup_jax.vicinity.vicinity import Vicinity


def test_sides_run_in_turns_and_the_first_call_does_not_count():
    calls = []
    sides = {name: lambda name=name: calls.append(name) for name in "ab"}
    times = timing.in_turns(sides, rounds=3)
    assert calls == ["a", "b", "b", "a", "a", "b", "b", "a"]
    assert all(0 <= t.best <= t.median for t in times.values())


def test_a_streamed_batch_is_mixed_across_devices():
    placement = Placement("shard_map", tuple(jax.devices()[:2]))
    bench = benchmark.Bench(4, 16, placement)
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
    text = benchmark.table({"erm": row})
    assert "| erm | 1.50 | 0.25 | batch | +0.10% |" in text


def test_the_cost_of_one_vicinity_beside_erm():
    bench = benchmark.Bench(4, 8, Placement("shard_map", tuple(jax.devices()[:1])))
    rows = benchmark.measure(bench, {"erm", "noise_01"}, 6)
    assert list(rows) == ["erm", "noise_01", "erm, whole step"]
    assert rows["erm"]["over_erm"] == 0
    step = rows["erm, whole step"]["milliseconds"]
    expected = (rows["noise_01"]["milliseconds"] - rows["erm"]["milliseconds"]) / step
    assert abs(rows["noise_01"]["over_erm"] - expected) < 1e-9
