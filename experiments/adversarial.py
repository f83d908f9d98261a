r"""Errors under attack, ERM against mixup (paper, table 3).

  python -m experiments.adversarial --scale=paper --workdir=runs/adversarial
  python -m experiments.adversarial --workdir=runs/adversarial \
      --erm_a=runs/erm0 --erm_b=runs/erm1 --mixup=runs/mixup0  # three finished runs

Examples are changed by at most epsilon in every pixel: by FGSM in one step, by I-FGSM
in ten equal ones, by the gradient of the network itself (white box) or of another ERM
network (black box), tried on a second ERM network and on mixup. Paper, ResNet-101 on
ImageNet, epsilon 4 of 255, top-1 error in per cent: white box 90.7 (ERM) and 75.2
(mixup) by FGSM, 99.9 and 99.6 by I-FGSM; black box 57.0 and 46.0, 57.3 and 40.9.

Beyond the paper, because what mixup gains against one step is mostly gone after many:
PGD with restarts, and the worst case of PGD, APGD and Square (white box).
"""

import dataclasses
import functools
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags

from experiments import common, imagenet, paper, run_flags, tables
from experiments.workspace import Workspace
from mixup_jax.data.dataset import Dataset
from mixup_jax.data.images.boxes import Crop
from mixup_jax.data.images.stream import ImageStream
from mixup_jax.errors import UsageError
from mixup_jax.evaluation import adversarial, robustness
from mixup_jax.evaluation.classification import error_rate, top5_error_rate
from mixup_jax.runs import RunConfig, Session, load_trained, run
from mixup_jax.runs.records import Record
from mixup_jax.runs.trained import Trained, run_directory
from mixup_jax.types import Request

DESCRIPTION = tables.Description(
    name="adversarial",
    title="Table 3: errors under attack",
    measures={
        "fgsm_error": "FGSM, top-1",
        "fgsm_top5_error": "FGSM, top-5",
        "ifgsm_error": "I-FGSM, top-1",
        "ifgsm_top5_error": "I-FGSM, top-5",
        "clean_error": "no attack (ours)",
        "pgd_error": "PGD with restarts (ours)",
        "worst_case_error": "worst of PGD, APGD, Square (ours)",
    },
    paper=paper.rows("table3"),
    baseline=lambda row: row.replace("mixup", "erm") if "mixup" in row else None,
    small_is="MNIST digits, an MLP of 2 x 256 units, epsilon 12 of 255",
    headline=(
        ("white_box_mixup", "fgsm_error"),
        ("white_box_mixup", "ifgsm_error"),
        ("black_box_mixup", "ifgsm_error"),
    ),
)
_ERM = imagenet.RUNS["resnet101_erm_90"]
SMALL = RunConfig(
    dataset="mnist5k",
    crop_pad=0,
    flip=False,
    model="mlp",
    width=256,
    epochs=30,
    batch_size=100,
    optimizer="adam",
    learning_rate=1e-3,
    lr_drops=(20,),
    weight_decay=0.0,
    train_error_every=-1,
)


class Setting(NamedTuple):
    """How strong the attacks are.

    Attributes:
      epsilon: Greatest change, of 255.
      examples: Of the test set that are attacked.
      steps: Of PGD and APGD.
      restarts: Of PGD.
      queries: Of Square.
      chunk: Examples that are attacked together.
    """

    epsilon: float
    examples: int
    steps: int
    restarts: int
    queries: int
    chunk: int


SETTINGS = {
    "paper": Setting(4.0, 50_000, 40, 5, 5000, 64),
    "small": Setting(12.0, 500, 40, 2, 500, 500),
}

_HELP = {
    "epsilon": "greatest change of a pixel, of 255",
    "examples": "of the test set that are attacked",
    "steps": "of PGD and APGD",
    "restarts": "of PGD",
    "queries": "of Square, for each example",
    "chunk": "examples that are attacked together; fewer need less memory",
}


def main(argv: Sequence[str]) -> None:
    values = flags.FlagValues()
    here = {"flag_values": values}
    run_flags.define_table_flags(values)
    for name in ("erm_a", "erm_b", "mixup"):
        text = "directory of a finished run, instead of training one"
        flags.DEFINE_string(name, None, text, **here)
    for field, kind in Setting.__annotations__.items():
        define = flags.DEFINE_float if kind is float else flags.DEFINE_integer
        values_by_scale = (f"{getattr(SETTINGS[s], field):g}" for s in run_flags.SCALES)
        define(field, None, f"{_HELP[field]} [{' or '.join(values_by_scale)}]", **here)
    if common.parse(values, __doc__ or "", argv):
        return
    workdir = common.workdir_of(values)
    setting = _setting(values)
    given = [values.erm_a, values.erm_b, values.mixup]
    if any(given) and not all(given):
        raise UsageError("name all of --erm_a, --erm_b and --mixup, or none")
    for path in filter(None, given):
        run_directory(path)
    common.start(values, alone=True)
    seeds = values.seeds or (1 if values.scale == "paper" or any(given) else 3)
    asked = {"scale": values.scale, "seeds": seeds, **setting._asdict()}
    space = Workspace(workdir, asked | {"networks": given})
    session = run_flags.session_of(values)
    for seed in range(seeds):
        if not space.has("white_box_mixup", [seed]):
            networks = (
                given if all(given) else _train(space, seed, values.scale, session)
            )
            loaded = [load_trained(path, session=session) for path in networks]
            space.add(list(_records(loaded, setting, seed, values.scale, session)))
    print(tables.of_records(DESCRIPTION, space.records))
    common.next_report(space.path)


def _setting(values: flags.FlagValues) -> Setting:
    given: dict[str, Any] = {
        field: values[field].value
        for field in Setting._fields
        if values[field].value is not None
    }
    setting = SETTINGS[values.scale]._replace(**given)
    wrong = [
        f"{name} must be finite and above 0, got {value}"
        for name, value in setting._asdict().items()
        if not 0 < value < math.inf
    ]
    if wrong:
        raise UsageError("\n".join(wrong))
    return setting


def _train(space: Workspace, seed: int, scale: str, session: Session) -> list[Path]:
    """Trains ERM A, ERM B and mixup, of which A and mixup share the seed."""
    erm = _ERM if scale == "paper" else SMALL
    alpha = imagenet.RUNS["resnet101_mixup_90"].alpha if scale == "paper" else 1.0
    configs = {
        "erm_a": dataclasses.replace(erm, seed=seed),
        "erm_b": dataclasses.replace(erm, seed=1000 + seed),
        "mixup": dataclasses.replace(erm, seed=seed, alpha=alpha),
    }
    paths = {name: space.path / "runs" / f"{name}_{seed}" for name in configs}
    for name, config in configs.items():
        run(config, paths[name], session)
    return list(paths.values())


def _records(
    networks: Sequence[Trained],
    setting: Setting,
    seed: int,
    scale: str,
    session: Session,
) -> Iterator[Record]:
    erm_a, erm_b, mixup = networks
    inputs, labels = _examples(erm_a, setting, session)
    limits = adversarial.normalised_limits(
        erm_a.dataset.mean, erm_a.dataset.std, epsilon=setting.epsilon / 255
    )
    data = f"{erm_a.dataset.title}, {len(labels):,} test examples"

    def record(row: str, measure: str, value: float) -> Record:
        return Record(DESCRIPTION.name, row, measure, seed, value, data, scale)

    # Black box: made on ERM A, tried on ERM B and on mixup.
    boxes = {
        "white_box_erm": (erm_a, erm_a),
        "white_box_mixup": (mixup, mixup),
        "black_box_erm": (erm_a, erm_b),
        "black_box_mixup": (erm_a, mixup),
    }
    for row, (source, target) in boxes.items():
        for name in ("fgsm", "ifgsm"):
            attack = functools.partial(_attack, name, source.predict, limits)
            sums = robustness.transfer(
                attack, {row: target.predict}, inputs, labels, chunk_size=setting.chunk
            )[row]
            yield record(row, f"{name}_error", error_rate(sums))
            yield record(row, f"{name}_top5_error", top5_error_rate(sums))
        if source is target:
            for measure, value in _beyond(
                source, inputs, labels, limits, setting, seed
            ):
                yield record(row, measure, value)
        session.report(f"{row}, seed {seed}: done")


def _attack(name: str, predict: Any, limits: dict[str, Any], x, y, indices):
    del indices  # nothing is random
    return getattr(adversarial, name)(predict, x, y, **limits)


def _beyond(
    network: Trained,
    inputs: np.ndarray,
    labels: np.ndarray,
    limits: dict[str, Any],
    setting: Setting,
    seed: int,
) -> Iterator[tuple[str, float]]:
    key = jax.random.key(seed)

    def pgd(x, y, indices):
        return adversarial.pgd(
            key,
            network.predict,
            x,
            y,
            steps=setting.steps,
            restarts=setting.restarts,
            indices=indices,
            **limits,
        )

    attacks = {"pgd": pgd} | robustness.standard_attacks(
        jax.random.fold_in(key, 1),
        network.predict,
        inputs,
        steps=setting.steps,
        queries=setting.queries,
        **limits,
    )
    found = robustness.worst_case(
        network.predict, attacks, inputs, labels, chunk_size=setting.chunk
    )
    yield "clean_error", 1 - found.accuracy["clean"]
    yield "pgd_error", 1 - found.accuracy["pgd"]
    yield "worst_case_error", 1 - float(found.robust.mean())


def _examples(
    network: Trained, setting: Setting, session: Session
) -> tuple[np.ndarray, np.ndarray]:
    """The first test examples as the network reads them."""
    dataset, test = network.dataset, network.dataset.test
    count = min(setting.examples, len(test.labels))
    if isinstance(dataset, Dataset):
        stored = dataset.test.inputs[:count]
    else:
        crop = Crop(size=network.inputs.shape[0])
        stream = ImageStream(
            dataset.test.images, crop, seed=None, workers=session.workers
        )
        (stored,) = stream([Request(0, np.arange(count, dtype=np.int32))])
    inputs = np.asarray(network.inputs.evaluate(jnp.asarray(stored)))
    return inputs, np.asarray(test.labels[:count])


if __name__ == "__main__":
    common.main(main)
