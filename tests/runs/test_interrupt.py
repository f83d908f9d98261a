"""Signals that ask a run to stop: which are caught, what a second one does."""

import os
import signal
import threading

import pytest

from mixup_jax import hosts
from mixup_jax.runs.interrupt import SIGNALS, stop_requests


@pytest.fixture
def arrived():
    """Signals that got past the block; the handlers are as before in the end."""
    got = []
    before = {signum: signal.getsignal(signum) for signum in SIGNALS}
    for signum in SIGNALS:
        signal.signal(signum, lambda signum, frame: got.append(signum))
    yield got
    for signum, handler in before.items():
        signal.signal(signum, handler)


@pytest.fixture
def asked(monkeypatch):
    """Makes this one of two processes; the steps at which the runtime was asked."""
    steps = []
    monkeypatch.setattr(hosts, "count", lambda: 2)
    monkeypatch.setattr(hosts, "told_to_stop", lambda step: steps.append(step) or True)
    return steps


def test_ctrl_c_sigterm_and_a_closed_terminal_ask_to_stop():
    assert set(SIGNALS) == {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}


@pytest.mark.parametrize("signum", SIGNALS)
def test_a_signal_is_answered_after_the_step_and_caught_inside_the_block_alone(
    signum, arrived
):
    with stop_requests() as request:
        assert request.at(1) is None
        os.kill(os.getpid(), signum)
        assert request.at(2) == signum
    assert arrived == []
    os.kill(os.getpid(), signum)
    assert arrived == [signum]


@pytest.mark.parametrize("signum", SIGNALS)
def test_a_second_one_goes_through_but_a_terminal_may_close_twice(signum, arrived):
    with stop_requests():
        os.kill(os.getpid(), signum)
        os.kill(os.getpid(), signum)
        assert arrived == ([] if signum == signal.SIGHUP else [signum])


def test_who_ignores_closed_terminals_goes_on(arrived):
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with stop_requests() as request:
        os.kill(os.getpid(), signal.SIGHUP)
        assert request.at(1) is None
    assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN


@pytest.mark.parametrize("signum", SIGNALS)
def test_of_several_processes_each_signal_to_one_stops_all_by_the_runtime(
    signum, arrived, asked
):
    handler = signal.getsignal(signal.SIGTERM)
    with stop_requests() as request:
        # The runtime's, by which it listens.
        assert signal.getsignal(signal.SIGTERM) is handler
        os.kill(os.getpid(), signum)
        assert arrived == [signal.SIGTERM]
        assert request.at(7) == signal.SIGTERM
    assert asked == [7]


@pytest.mark.parametrize("processes", [1, 2])
def test_outside_of_the_main_thread_handlers_stay_and_the_runtime_is_asked(
    processes, arrived, asked, monkeypatch
):
    monkeypatch.setattr(hosts, "count", lambda: processes)
    answers = []

    def work():
        before = [signal.getsignal(signum) for signum in SIGNALS]
        with stop_requests() as request:
            assert [signal.getsignal(signum) for signum in SIGNALS] == before
            answers.append(request.at(3))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert answers == [None if processes == 1 else signal.SIGTERM]
