import io

import jax.numpy as jnp
import pytest

from mixup_jax.runs.progress import EpochLine, Progress, duration
from mixup_jax.training.state import initial_state


class Terminal(io.StringIO):
    def isatty(self):
        return True


def watch(out, epochs, steps_per_epoch=4):
    ticks = iter(range(10_000))
    state = initial_state({"params": {}}, ()).replace(
        loss_sum=jnp.float32(30.0), seen=jnp.int32(10)
    )
    progress = Progress(
        "run",
        epochs=epochs,
        steps_per_epoch=steps_per_epoch,
        first_step=0,
        out=out,
        clock=lambda: float(next(ticks)),
    )
    for step in range(1, epochs * steps_per_epoch + 1):
        progress.step(step, 100, state)
        if step % steps_per_epoch == 0:
            progress.epoch(step, "test error 10%")
    return out.getvalue()


def test_a_terminal_sees_epoch_step_loss_rate_and_time_left():
    text = watch(Terminal(), epochs=2)
    live = text.split("\r")[2]
    for part in ("epoch 1/2", "step 3/8", "loss 3.000", "examples/s", "left"):
        assert part in live


@pytest.mark.parametrize("epochs", [1, 7, 200])
def test_a_file_gets_about_ten_lines_and_always_the_last(epochs):
    text = watch(io.StringIO(), epochs)
    assert "\r" not in text
    lines = text.strip().split("\n")
    assert 1 <= len(lines) <= 10
    assert f"epoch {epochs}/{epochs}" in lines[-1]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59.0, "59 s"), (185.0, "3 min 05 s"), (7620.0, "2 h 07 min")],
)
def test_durations_are_readable(seconds, text):
    assert duration(seconds) == text


def test_the_line_of_many_runs_says_the_time_left_and_stays_at_the_end():
    out = Terminal()
    ticks = iter([0.0, 60.0, 120.0])
    line = EpochLine("table", out=out, clock=lambda: next(ticks))
    line(1, 3)
    assert out.getvalue() == "\rtable  epoch 1/3  2 min 00 s left\033[K"
    line(3, 3)
    assert out.getvalue().endswith("\rtable  epoch 3/3  in 2 min 00 s\033[K\n")


def test_a_file_gets_the_end_of_many_runs_alone():
    out = io.StringIO()
    ticks = iter([0.0, 120.0])
    line = EpochLine("table", out=out, clock=lambda: next(ticks))
    line(1, 3)
    line(3, 3)
    assert out.getvalue() == "table  epoch 3/3  in 2 min 00 s\n"
