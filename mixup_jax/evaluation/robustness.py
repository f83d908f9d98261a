"""Attacks on whole data sets: several on one network, and one's examples on several.

The standard attacks are those of AutoAttack but FAB.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float, Int, Shaped

from mixup_jax.evaluation.apgd import apgd, apgd_targeted
from mixup_jax.evaluation.attack import Attack, check_counts, region
from mixup_jax.evaluation.classification import Sums, add, error_sums, top_k_wrong
from mixup_jax.evaluation.objectives import dlr
from mixup_jax.evaluation.predict import (
    AnyArray,
    Predict,
    check_labels,
    count_classes,
    in_chunks,
    logits_of,
    wide_dtype,
    widen,
)
from mixup_jax.evaluation.square import square
from mixup_jax.types import Key


class WorstCase(NamedTuple):
    """What several attacks left.

    Attributes:
      accuracy: Share of all examples still predicted right: "clean", and after each
        attack and all before it. An attack without gradients that takes much from what
        those with gradients left says that gradients are hidden.
      robust: Which examples those are at the end.
      inputs: A point that is predicted wrong for each of the others; else the example.
    """

    accuracy: dict[str, float]
    robust: Bool[np.ndarray, " N"]
    inputs: Float[np.ndarray, "N ..."]


def transfer(
    attack: Attack,
    targets: Mapping[str, Predict],
    inputs: Shaped[AnyArray, "N ..."],
    labels: Int[AnyArray, " N"],
    *,
    chunk_size: int = 256,
) -> dict[str, Sums]:
    """Makes adversarial examples once and tries them on several networks.

    Args:
      attack: Such as `lambda x, y, i: fgsm(source, x, y, epsilon=8 / 255, ...)`.
      targets: Networks by name. White box is the source's own row, black box is that of
        any other.
      inputs: Unperturbed, floating-point.
      labels: The true ones.
      chunk_size: Examples that are attacked together.

    Returns:
      Top-1 and top-5 errors of each network, of all examples, those counted too that
      are wrong without an attack; see `error_rate`.

    Source: paper, section 3.5 (table 3).
    """

    def run(inputs, labels, indices):
        points = attack(inputs, labels, indices)
        return {name: logits_of(predict, points) for name, predict in targets.items()}

    arrays = inputs, labels, np.arange(len(labels))
    outputs = in_chunks(run, *arrays, chunk_size=min(chunk_size, len(labels)))
    weights = np.ones((len(labels), 1), np.float32)
    sums = jax.jit(error_sums)
    return {
        name: add(None, sums(logits, labels, weights))
        for name, logits in outputs.items()
    }


def worst_case(
    predict: Predict,
    attacks: Mapping[str, Attack],
    inputs: Shaped[AnyArray, "N ..."],
    labels: Int[AnyArray, " N"],
    *,
    chunk_size: int = 256,
) -> WorstCase:
    """Runs each attack on the examples that all before it left.

    Args:
      predict: The attacked network, from inputs to logits.
      attacks: By name, in order; cheap ones first. See `standard_attacks`.
      inputs: Unperturbed, floating-point.
      labels: The true ones.
      chunk_size: Examples that are attacked together.

    Raises:
      ValueError: If there are no examples, labels are not class ids, or an attack
        returns what is no number or of another shape.

    Source: Croce and Hein (2020), section 5, arXiv:2003.01690.
    """
    check_labels(labels, count_classes(predict, inputs), len(inputs))
    size, places = min(chunk_size, len(labels)), np.arange(len(labels))
    labels, points = np.asarray(labels), np.array(inputs, wide_dtype(inputs))
    right = partial(_right, predict)
    robust = in_chunks(right, points, labels, chunk_size=size)
    accuracy = {"clean": float(robust.mean())}
    for name, attack in attacks.items():
        if robust.any():
            left = places[robust]
            run = partial(_try, predict, name, attack)
            arrays = points[left], labels[left], left
            found, still = in_chunks(run, *arrays, chunk_size=size)
            if not np.isfinite(found).all():
                raise ValueError(f"attack {name!r} returned values that are no numbers")
            points[left[~still]], robust[left] = found[~still], still
        accuracy[name] = float(robust.mean())
    return WorstCase(accuracy, robust, points)


def standard_attacks(
    key: Key,
    predict: Predict,
    inputs: Shaped[AnyArray, "N ..."],
    *,
    epsilon: ArrayLike,
    low: ArrayLike,
    high: ArrayLike,
    steps: int = 100,
    queries: int = 5000,
    scan: bool = False,
) -> dict[str, Attack]:
    """Returns AutoAttack's attacks but FAB: APGD-CE, APGD-T or APGD-DLR, Square.

    Args:
      key: Consumed here.
      predict, epsilon, low, high: As `adversarial.ifgsm`.
      inputs: Any of the inputs; says how many classes there are and whether they are
        images.
      steps: Of each ascent.
      queries: Of the square attack.
      scan: As `adversarial.pgd`.

    Returns:
      "apgd-ce"; "apgd-t" with 4 classes or more, "apgd-dlr" with 3; "square" of images.

    Raises:
      ValueError: If steps or queries is below 1, or for what `region` refuses.
    """
    # Now, not after the attacks that come first.
    check_counts(steps=steps, queries=queries)
    region(inputs[:1], epsilon=epsilon, low=low, high=high)
    keys = jax.random.split(key, 3)
    limits = {"epsilon": epsilon, "low": low, "high": high, "scan": scan}
    classes = count_classes(predict, inputs)

    def use(attack: Callable, key: Key, **options: Any) -> Attack:
        def run(inputs, labels, indices):
            given = {**limits, **options, "indices": indices}
            return attack(key, predict, inputs, labels, **given)

        return run

    attacks = {"apgd-ce": use(apgd, keys[0], steps=steps)}
    if classes >= 4:
        attacks["apgd-t"] = use(apgd_targeted, keys[1], steps=steps)
    elif classes == 3:
        attacks["apgd-dlr"] = use(apgd, keys[1], steps=steps, loss=dlr)
    if inputs.ndim == 4:
        attacks["square"] = use(square, keys[2], queries=queries)
    return attacks


@partial(jax.jit, static_argnames="predict")
def _right(predict: Predict, points: Array, labels: Array) -> Bool[Array, " B"]:
    return ~top_k_wrong(widen(predict(points)), labels, 1)


def _try(
    predict: Predict,
    name: str,
    attack: Attack,
    points: AnyArray,
    labels: AnyArray,
    places: AnyArray,
) -> tuple[Array, Array]:
    found = attack(points, labels, places)
    if found.shape != points.shape:
        raise ValueError(
            f"attack {name!r} must return points of the inputs' shape, {points.shape}, "
            f"got {found.shape}"
        )
    return found, _right(predict, found, labels)
