import dataclasses

import pytest

from mixup_jax.errors import UsageError
from mixup_jax.runs import run
from mixup_jax.runs.directory import RunDirectory
from mixup_jax.runs.telemetry import Telemetry
from mixup_jax.training.loop import Meter
from mixup_jax.training.placement import Placement


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def test_time_per_step_and_share_of_waiting_match_hand_computed_ones():
    clock = Clock()
    meter = Meter(clock)
    telemetry = Telemetry(meter, Placement(), clock=clock)

    def slow():
        for item in range(3):
            clock.now += 2.0  # made in two seconds
            yield item

    for _ in meter.timed(slow()):
        clock.now += 6.0  # used in six
        telemetry.step()
    row = telemetry.row()
    assert row["seconds_per_step"] == pytest.approx(8)
    assert row["input_wait"] == pytest.approx(0.25)
    assert "input_wait_of_hosts" not in row
    # Evaluation takes a minute, which is not the next epoch's.
    clock.now += 60
    telemetry.begin()
    clock.now += 1
    telemetry.step()
    assert telemetry.row() == {"seconds_per_step": 1.0, "input_wait": 0.0} | {
        name: value for name, value in row.items() if name == "device_memory_gb"
    }
    clock.now += 2
    telemetry.step(5)  # in one call
    assert telemetry.row()["seconds_per_step"] == pytest.approx(0.5)


def test_the_greatest_memory_of_a_device_is_kept_where_it_is_known():
    class Device:
        process_index = 0
        platform = "gpu"

        def __init__(self, peak):
            self.peak = peak

        def memory_stats(self):
            return None if self.peak is None else {"peak_bytes_in_use": self.peak}

    for peaks, want in (((2_000_000_000, 3_500_000_000), 3.5), ((None, None), None)):
        placement = Placement.__new__(Placement)
        object.__setattr__(placement, "devices", tuple(map(Device, peaks)))
        telemetry = Telemetry(Meter(), placement)
        assert telemetry.row().get("device_memory_gb") == want


def test_every_epoch_says_how_it_went(tmp_path, config, session):
    run(config, tmp_path, session)
    for row in RunDirectory(tmp_path).rows():
        assert row["seconds_per_step"] > 0
        assert row["input_wait"] == 0  # the set lies on the devices
    assert not (tmp_path / "profile").exists()


@pytest.mark.parametrize("epochs", [1, 3])
def test_a_trace_of_some_steps_is_written_even_of_a_short_run(
    epochs, tmp_path, config, session
):
    config = dataclasses.replace(config, epochs=epochs, lr_drops=())
    run(config, tmp_path, dataclasses.replace(session, profile=2))
    traces = list((tmp_path / "profile").rglob("*.xplane.pb"))
    assert len(traces) == 1 and traces[0].stat().st_size > 1000


def test_less_than_no_steps_cannot_be_traced(tmp_path, config, session):
    with pytest.raises(UsageError, match="profile must be at least 0, got -1"):
        run(config, tmp_path, dataclasses.replace(session, profile=-1))
    assert list(tmp_path.iterdir()) == []
