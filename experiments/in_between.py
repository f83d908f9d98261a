r"""Between training examples, ERM against mixup (paper, figure 2).

  python -m experiments.in_between --scale=small --workdir=runs/in_between
  python -m experiments.in_between --workdir=runs/between --erm=runs/a --mixup=runs/b

On the line between two training examples, at lambda in steps of 0.05: how often the
prediction is neither one's class (a miss), and the norm of the loss's gradient with
respect to the input. Paper, CIFAR-10, at lambda 0.5: 16.4 per cent misses (ERM) and 6.0
(mixup), norms 0.177 and 0.038.

The paper says neither how pairs are drawn nor what loss and norm it takes: here random
pairs of different training examples without augmentation, the cross-entropy of the
mixed labels, the L2 norm, per unit of the normalised input.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags

from experiments import adversarial, cifar, common, paper, run_flags, tables
from experiments.workspace import Workspace
from mixup_jax.data.dataset import Dataset
from mixup_jax.errors import UsageError
from mixup_jax.evaluation.in_between import GRID, in_between, sample_pairs
from mixup_jax.runs import RunConfig, Session, load_trained, run
from mixup_jax.runs.records import Record
from mixup_jax.runs.trained import Trained, run_directory

METHODS = ("erm", "mixup")


def _paper() -> dict[str, dict[str, float]]:
    """The paper's numbers at lambda 0 and 0.5."""
    return {
        method: {
            f"{measure}_{lam:.2f}": curve[name][round(20 * lam)]
            for measure, name in (("miss", "miss"), ("gradient", "gradient_norm"))
            for lam in (0.0, 0.5)
        }
        for method, curve in paper.figure2().items()
    }


DESCRIPTION = tables.Description(
    name="in_between",
    title="Figure 2: between training examples",
    measures={
        "miss_0.00": "misses at lambda 0, %",
        "miss_0.50": "misses at lambda 0.5, %",
        "gradient_0.00": "norm of the gradient at lambda 0",
        "gradient_0.50": "norm of the gradient at lambda 0.5",
    },
    factors={"gradient_0.00": 1, "gradient_0.50": 1},
    paper=_paper(),
    baseline=lambda row: "erm" if row == "mixup" else None,
    small_is="MNIST digits, an MLP of 2 x 256 units",
    note="The paper has curves; its numbers here are read off them.",
    headline=(("mixup", "miss_0.50"),),
)


def main(argv: Sequence[str]) -> None:
    values = flags.FlagValues()
    here = {"flag_values": values}
    run_flags.define_table_flags(values)
    flags.DEFINE_integer("pairs", 2000, "how many pairs of training examples", **here)
    for method in METHODS:
        text = "directory of a finished run, instead of training one"
        flags.DEFINE_string(method, None, text, **here)
    if common.parse(values, __doc__ or "", argv):
        return
    workdir = common.workdir_of(values)
    if values.pairs < 1:
        raise UsageError(f"pairs must be at least 1, got {values.pairs}")
    given = {method: values[method].value for method in METHODS}
    if any(given.values()) and not all(given.values()):
        raise UsageError("name both --erm and --mixup, or neither")
    for path in filter(None, given.values()):
        run_directory(path)
    common.need_pictures()
    common.start(values, alone=True)
    single = values.scale == "paper" or any(given.values())
    seeds = values.seeds or (1 if single else 3)
    asked = {"scale": values.scale, "seeds": seeds, "pairs": values.pairs, **given}
    space = Workspace(workdir, asked)
    session = run_flags.session_of(values)
    for seed in range(seeds):
        if not all(space.has(method, [seed]) for method in METHODS):
            paths: Any = (
                given
                if all(given.values())
                else _train(space, seed, values.scale, session)
            )
            for method, path in paths.items():
                network = load_trained(path, session=session)
                records = _records(method, network, values.pairs, seed, values.scale)
                space.add(list(records))
                session.report(f"{method}, seed {seed}: done")
    draw(space)
    print(tables.of_records(DESCRIPTION, space.records))
    common.next_report(space.path)


def configs(scale: str) -> dict[str, RunConfig]:
    """Returns the runs whose networks are looked at, by method."""
    if scale == "paper":
        return {method: cifar.RUNS[f"c10_preact18_{method}"] for method in METHODS}
    erm = adversarial.SMALL
    return {"erm": erm, "mixup": dataclasses.replace(erm, alpha=1.0)}


def _train(
    space: Workspace, seed: int, scale: str, session: Session
) -> dict[str, Path]:
    paths = {method: space.path / "runs" / f"{method}_{seed}" for method in METHODS}
    for method, config in configs(scale).items():
        run(dataclasses.replace(config, seed=seed), paths[method], session)
    return paths


def _records(
    method: str, network: Trained, count: int, seed: int, scale: str
) -> Iterator[Record]:
    dataset = network.dataset
    if not isinstance(dataset, Dataset):
        raise UsageError("images that are streamed are not looked at in between")
    # The same pairs for every network and seed.
    pairs = np.asarray(
        sample_pairs(jax.random.key(0), len(dataset.train.labels), count)
    )
    rows, places = np.unique(pairs, return_inverse=True)
    inputs = np.asarray(
        network.inputs.evaluate(jnp.asarray(dataset.train.inputs[rows]))
    )
    found = in_between(
        network.predict, inputs, dataset.train.labels[rows], places.reshape(pairs.shape)
    )
    data = f"{dataset.title}, {count:,} pairs of training examples"
    for measure, curve in (("miss", found.misses), ("gradient", found.gradients)):
        for lam, value in zip(found.lam, curve, strict=True):
            yield Record(
                *(DESCRIPTION.name, method, f"{measure}_{lam:.2f}", seed),
                *(float(value), data, scale),
            )


def draw(space: Workspace) -> None:
    """Draws both panels from the records, the paper's curves dashed beside ours."""
    from experiments import figures_between  # matplotlib

    curves = {
        measure: {
            method: np.array(
                [
                    [
                        record.value
                        for lam in GRID
                        for record in space.records
                        if (record.row, record.measure, record.seed)
                        == (method, f"{measure}_{lam:.2f}", seed)
                    ]
                    for seed in sorted({r.seed for r in space.records})
                ]
            )
            for method in METHODS
        }
        for measure in ("miss", "gradient")
    }
    figures_between.figure2(
        curves, paper.figure2(), GRID, space.path / "figure2.png", space.records[0].data
    )


if __name__ == "__main__":
    common.main(main)
