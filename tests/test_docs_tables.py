"""The tables of docs/vicinities.md say what runs do, and what is refused how."""

import re

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest

import mixup_jax
from experiments import ablation
from mixup_jax.errors import UsageError
from mixup_jax.runs import RunConfig
from mixup_jax.training import vicinal
from mixup_jax.training.placement import AXIS
from mixup_jax.training.step_data import TrainData
from mixup_jax.types import Batch
from tests.blocks import sections_of

SECTIONS = sections_of("docs/vicinities.md")


def rows_of(title):
    """The cells of a section's table, without its head."""
    lines = [each for each in SECTIONS[title].splitlines() if each.startswith("|")]
    return [[cell.strip() for cell in each.split("|")[1:-1]] for each in lines[2:]]


def table5():
    """Run, cells of inputs and targets, epsilon or sigma, and flags: 22 of them."""
    for row, run_name, inputs, targets, flags in rows_of("The paper's Table 5"):
        numbers = re.findall(r"0\.\d+", row) if "{e}" in run_name else [""]
        numbers = range(1, 6) if "{k}" in run_name else numbers
        for number in map(str, numbers):
            short = number.replace(".", "")  # 0.05 is 005 in names
            name = run_name.replace("{k}", number).replace("{e}", short)
            given = flags.replace("{k}", number).replace("{e}", number)
            cells = [cell.strip("`") for cell in (name, inputs, targets, given)]
            yield (*cells, number)


TABLE5 = list(table5())


def test_table_5_lists_the_runs_of_the_ablation_with_their_flags():
    assert [name for name, *_ in TABLE5] == list(ablation.VICINITIES)
    kinds = RunConfig.__dataclass_fields__
    for name, _, _, flags, _ in TABLE5:
        given = dict(flag.removeprefix("--").split("=") for flag in flags.split())
        typed = {key: kinds[key].type(value) for key, value in given.items()}
        assert typed == ablation.VICINITIES[name], name


def virtual(name, near):
    """The batch of a run's step; inputs are unit vectors, which show the shares."""
    vicinity = ablation.RUNS[f"{name}_wd1e4"].vicinity
    rows, ids = jnp.arange(8), jnp.arange(8) % 2

    def load(rows):
        return Batch(jnp.eye(8)[rows], jax.nn.one_hot(ids[rows], 2))

    data = TrainData(None, ids, rows, jax.random.key(3), None, near)
    place = vicinal.Place(jnp.int32(0), jnp.float32(0), rows, rows)
    batch, before_stage = vicinal.vicinal_batch(
        vicinity,
        vicinal.by_index(load, place),
        data,
        place,
        jnp.float32(vicinity.alpha),
    )
    if before_stage is None:
        return batch
    # As the only device of an axis.
    mixed = jax.vmap(lambda h: before_stage(vicinity.stage, h), axis_name=AXIS)(
        batch.inputs[None]
    )
    return batch._replace(inputs=mixed[0])


@pytest.mark.parametrize("cells", TABLE5, ids=lambda each: each[0])
def test_table_5_composes_what_a_run_trains_on(cells):
    name, inputs, targets, flags, number = cells
    x, ids = jnp.eye(8), jnp.arange(8) % 2
    y = jax.nn.one_hot(ids, 2)
    near = mixup_jax.nearest_neighbours(
        np.arange(8, dtype=np.float32)[:, None],
        3,
        labels=np.asarray(ids) if "same_class" in flags else None,
    )
    made = virtual(name, near)
    own = jnp.diagonal(made.inputs)
    partner = jnp.argmax(made.inputs - jnp.diag(own), axis=1)
    partner = jnp.where(own > 1 - 1e-6, jnp.arange(8), partner)
    lam = own.min()
    if "alpha" in flags:
        assert lam < 0.5  # else "closer" would be one's own
    draw = mixup_jax.Mixing(lam, partner)
    names = {
        **vars(mixup_jax),
        **{"x": x, "h": x, "y": y, "draw": draw, "lam": lam, "mate": partner},
        **{"near_x": x[partner], "near_y": y[partner], "key": jax.random.key(0)},
        "e": float(number) if "." in number else None,
    }
    if "sigma" in inputs:
        assert eval(inputs, names).shape == x.shape
        np.testing.assert_allclose((made.inputs - x).std(), names["e"], rtol=0.4)
    else:
        np.testing.assert_allclose(eval(inputs, names), made.inputs, atol=1e-6)
    np.testing.assert_allclose(eval(targets, names), made.targets, atol=1e-6)
    if "same_class" in flags or "mate" in inputs:
        np.testing.assert_array_equal(ids[partner], ids)
    if "near_x" in inputs:
        assert (np.asarray(near.indices) == np.asarray(partner)[:, None]).any(1).all()


@pytest.mark.parametrize("row", rows_of("What is refused"), ids=lambda row: row[0][:40])
def test_mistakes_are_refused_in_these_words(row, monkeypatch):
    # The tests' own checks of types would come first; a reader has none.
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    code, message = row
    x = jax.random.normal(jax.random.key(0), (100, 2))
    ids = jnp.arange(100) % 2
    names = {
        **vars(mixup_jax),
        **{"key": jax.random.key(0), "x": x, "logits": x, "lam": jnp.float32(0.3)},
        **{"ids": ids, "y": jax.nn.one_hot(ids, 2), "RunConfig": RunConfig},
        "pixels": jnp.zeros((100, 8, 8, 3), jnp.uint8),
    }
    with pytest.raises((ValueError, UsageError)) as caught:
        eval(code.strip("`"), names)
    assert str(caught.value) == message
