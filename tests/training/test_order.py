import jax
import numpy as np
import pytest

from mixup_jax.training.order import Order

ROOT = jax.random.key(0)


def requests(order, first, last, **host):
    return [(r.step, r.indices.tolist()) for r in order.requests(first, last, **host)]


def test_an_epochs_order_is_a_permutation_fixed_by_seed_and_epoch():
    order = Order(ROOT, 1000, 100, 10)
    first = order.epoch(0)
    assert sorted(first.tolist()) == list(range(1000))
    np.testing.assert_array_equal(first, order.epoch(0))
    # Two random orders of 1,000 agree in about one place.
    assert (first == order.epoch(1)).sum() < 10
    other = Order(jax.random.key(1), 1000, 100, 10)
    assert (first == other.epoch(0)).sum() < 10


def test_an_epoch_is_asked_for_once_and_its_last_batch_is_short():
    order = Order(ROOT, 22, 8, 3)
    asked = requests(order, 0, 6)
    assert [step for step, _ in asked] == list(range(6))
    assert [len(indices) for _, indices in asked] == [8, 8, 6, 8, 8, 6]
    assert [order.size(step) for step in range(6)] == [8, 8, 6, 8, 8, 6]
    for epoch in range(2):
        seen = [i for _, indices in asked[3 * epoch : 3 * epoch + 3] for i in indices]
        assert seen == order.epoch(epoch).tolist()


def test_a_short_last_batch_may_be_left_out():
    order = Order(ROOT, 22, 8, 2)
    asked = requests(order, 0, 3)
    assert [len(indices) for _, indices in asked] == [8, 8, 8]
    assert asked[2][1] == order.epoch(1)[:8].tolist()


@pytest.mark.parametrize("start", range(6))
def test_what_follows_a_step_does_not_depend_on_where_one_began(start):
    order = Order(ROOT, 22, 8, 3)
    assert requests(order, start, 6) == requests(order, 0, 6)[start:]


@pytest.mark.parametrize("hosts", [2, 4])
def test_hosts_ask_for_parts_that_together_are_the_batches_of_one(hosts):
    order = Order(ROOT, 20, 8, 3)  # batches of 8, 8 and 4
    parts = [requests(order, 0, 6, host=h, hosts=hosts) for h in range(hosts)]
    for whole, *shares in zip(requests(order, 0, 6), *parts, strict=True):
        assert whole[1] == [i for _, indices in shares for i in indices]
