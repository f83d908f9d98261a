import jax
import jax.numpy as jnp
import numpy as np
import pytest
from training_case import Case


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
