import jax
import jax.numpy as jnp
import numpy as np
import pytest
from training_case import Case

from mixup_jax.training.loop import epoch_order


def test_an_epochs_order_is_a_permutation_fixed_by_seed_and_epoch():
    root = jax.random.key(0)
    first = epoch_order(root, 1000, 0)
    assert sorted(first.tolist()) == list(range(1000))
    np.testing.assert_array_equal(first, epoch_order(root, 1000, 0))
    # Two random orders of 1,000 agree in about one place.
    assert (first == epoch_order(root, 1000, 1)).sum() < 10
    assert (first == epoch_order(jax.random.key(1), 1000, 0)).sum() < 10


@pytest.mark.parametrize(("stop", "name"), [(1, "adam"), (3, "sgd"), (5, "adam")])
def test_continuing_from_a_kept_state_is_bitwise_the_uninterrupted_run(stop, name):
    case = Case(optimizer_name=name)
    whole = case.train()
    kept = case.train(steps=stop)
    resumed = case.train(jax.tree.map(jnp.asarray, kept))
    jax.tree.map(np.testing.assert_array_equal, whole, resumed)


def test_a_finished_state_takes_no_more_steps():
    case = Case()
    done = jax.tree.map(jnp.asarray, case.train())
    assert list(case.steps(done)) == []
