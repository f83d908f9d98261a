"""What one process can tell of hosts; several are in experiments/test_distributed."""

import jax
import numpy as np
import pytest

from mixup_jax import hosts
from mixup_jax.errors import UsageError

MANUAL = {"coordinator": "10.0.0.1:1234", "processes": 2, "process": 1}


@pytest.mark.parametrize(
    ("mode", "given", "message"),
    [
        ("of", {}, "Did you mean 'off'"),
        ("off", {"processes": 2}, "--processes would have no effect with"),
        ("off", {"process": 0}, "--process would have no effect"),
        ("auto", MANUAL, "--coordinator, --processes, --process would have no effect"),
        ("manual", {}, "needs --coordinator, --processes, --process too"),
        ("manual", MANUAL | {"process": -1}, "needs --process too"),
        ("manual", MANUAL | {"process": 2}, "from 0 to 1, as there are 2 processes"),
        ("manual", MANUAL | {"coordinator": "node1"}, "HOST:PORT.*got 'node1'"),
        ("manual", MANUAL | {"timeout": 0}, "timeout must be at least 1 second"),
    ],
)
def test_what_does_not_go_together_is_refused(mode, given, message):
    with pytest.raises(UsageError, match=message):
        hosts.join(mode, **given)


def test_off_joins_nothing():
    assert hosts.join("off") == ""
    assert (hosts.count(), hosts.index(), hosts.is_main()) == (1, 0, True)


def test_a_process_alone_just_does_what_it_is_told():
    assert hosts.on_main(lambda: {"rows": [1]}) == {"rows": [1]}
    assert hosts.main_first(lambda: "set") == "set"
    with pytest.raises(FileNotFoundError):
        hosts.on_main(lambda: open("/nowhere/at/all"))
    kept = hosts.arrays_from_main({"w": jax.numpy.array([-0.0, 1.0])})
    assert np.signbit(kept["w"][0])
    assert not hosts.told_to_stop(3)
