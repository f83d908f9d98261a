"""Checks of single calls: dtypes, shapes, class ids, odd batches, what is refused."""

from collections.abc import Sequence

import ml_dtypes  # noqa: F401 (teaches NumPy the name bfloat16)
import numpy as np

from mixup_jax.testing import composition
from mixup_jax.testing.observation import (
    EXACT,
    IMAGE,
    ROUNDING,
    Labels,
    Mix,
    ShapeError,
    batch_size,
    call,
    call_often,
    make_batch,
    observe,
    read,
)
from mixup_jax.testing.report import Finding

CALLS = 20  # so that a draw of lambda near 0 or 1 hides nothing


def shapes(mix: Mix, *, num_classes: int = 8, labels: Labels = "one_hot") -> Finding:
    """Mixed inputs keep their shape and targets are weights of classes, [B, K]."""
    name = "shapes"
    inputs, given = make_batch(batch_size(num_classes), num_classes, labels=labels)
    mixed, targets = call(mix, inputs, given)
    if mixed.shape != inputs.shape:
        detail = f"inputs of shape {inputs.shape} become {mixed.shape}"
        return Finding(name, "fails", detail)
    expected = (len(inputs), num_classes)
    detail = f"labels of shape {given.shape} become targets of shape {targets.shape}"
    if targets.shape != expected:
        detail += ": class ids averaged?" if labels == "ids" else ""
        return Finding(name, "fails", f"{detail}, expected {expected}")
    return Finding(name, "holds", detail)


def arguments_kept(
    mix: Mix, *, num_classes: int = 8, labels: Labels = "one_hot"
) -> Finding:
    """The caller's arrays are not written to.

    A function that returns the very memory it was given works in place on purpose, and
    differs; one that returns something else and damages its arguments fails.
    """
    name = "arguments kept"
    for _ in range(CALLS):
        originals = make_batch(batch_size(num_classes), num_classes, labels=labels)
        given = [array.copy() for array in originals]
        results = [np.asarray(result) for result in mix(*given)]
        for kind, before, now in zip(("input", "label"), originals, given, strict=True):
            if np.array_equal(before, now):
                continue
            if any(np.shares_memory(now, result) for result in results):
                detail = f"in place: the result is written over the {kind} array"
                return Finding(name, "differs", detail)
            detail = f"the {kind} array was changed, and is not the result"
            return Finding(name, "fails", detail)
    return Finding(name, "holds", f"inputs and labels unchanged after {CALLS} calls")


def dtypes(
    mix: Mix,
    *,
    num_classes: int = 8,
    labels: Labels = "one_hot",
    kinds: Sequence[str] = ("float32", "float16", "bfloat16"),
) -> Finding:
    """Mixed inputs have the dtype of the inputs.

    bfloat16 is that of the package ml_dtypes; what cannot read it is not blamed.
    """
    inputs, given = make_batch(batch_size(num_classes), num_classes, labels=labels)
    kept, changed = [], []
    for kind in kinds:
        dtype = np.dtype(kind)
        try:
            mixed, _ = call(mix, inputs.astype(dtype), given)
        except Exception as error:
            if kind != "bfloat16":
                changed.append(f"{kind} refused ({short(error)})")
            continue
        same = mixed.dtype == dtype
        (kept if same else changed).append(kind if same else f"{kind} -> {mixed.dtype}")
    detail = "; ".join([*changed, f"kept: {', '.join(kept) or 'none'}"])
    return Finding("dtypes", "differs" if changed else "holds", detail)


def bytes_images(
    mix: Mix,
    *,
    num_classes: int = 8,
    labels: Labels = "one_hot",
    image: tuple[int, int] = IMAGE,
) -> Finding:
    """Images of bytes are refused or become floats, and are not rounded."""
    name = "images of bytes"
    inputs, given = make_batch(
        batch_size(num_classes), num_classes, labels=labels, image=image
    )
    inputs = (inputs * 255).astype(np.uint8)
    try:
        mixed, targets = call_often(mix, inputs, given, CALLS)
    except Exception as error:
        return Finding(name, "holds", f"refused ({short(error)})")
    # A function may scale them to [0, 1].
    draws = read(mixed / (255 if mixed.max() > 1 else 1), targets)
    worst, dtype = composition.weight_differences(draws).max(), mixed.dtype
    if worst <= EXACT:
        return Finding(name, "holds", f"become {dtype}, not rounded")
    detail = f"become {dtype}; weights differ from the targets' by up to {worst:.2g}"
    return Finding(name, "differs" if worst <= ROUNDING else "fails", detail)


def class_ids(mix: Mix, *, num_classes: int = 8, labels: Labels = "one_hot") -> Finding:
    """Class ids, [B] and [B, 1], are refused or one-hot encoded, and never averaged."""
    size = batch_size(num_classes)
    inputs, ids = make_batch(size, num_classes, labels="ids")
    forms = {"[B]": ids} if labels == "one_hot" else {}
    forms["[B, 1]"] = ids[:, None]
    said, averaged = [], []
    for form, given in forms.items():
        try:
            mixed, targets = call(mix, inputs, given)
        except Exception as error:
            said.append(f"{form} refused ({short(error)})")
            continue
        if _are_weights(mixed, targets):
            said.append(f"{form} one-hot encoded")
        else:
            averaged.append(
                f"{given.shape} become targets {targets.shape} from "
                f"{targets.min():.3g} to {targets.max():.3g}"
            )
    if averaged:
        detail = f"mixed as numbers: {given.dtype} ids {'; '.join(averaged)}"
        return Finding("class ids", "fails", detail)
    return Finding("class ids", "holds", "; ".join(said))


def batch_of(
    size: int,
    mix: Mix,
    *,
    num_classes: int = 8,
    labels: Labels = "one_hot",
    image: tuple[int, int] = IMAGE,
) -> Finding:
    """A batch of this size, odd or of one example, is mixed like any other."""
    name = f"batch of {size}"
    try:
        form = {"num_classes": num_classes, "labels": labels, "image": image}
        draws = observe(mix, **form, size=size, draws=CALLS)
    except ShapeError as error:
        return Finding(name, "fails", str(error))
    except Exception as error:
        return Finding(name, "differs", f"refused ({short(error)})")
    for check in (composition.weights, composition.agreement):
        found = check(draws)
        if found.status == "fails":
            return Finding(name, "fails", f"{found.check}: {found.detail}")
    return Finding(name, "holds", "inputs and targets mixed alike")


def _are_weights(mixed: np.ndarray, targets: np.ndarray) -> bool:
    """Whether targets made from class ids are the weights that the inputs show."""
    try:
        draws = read(mixed[None], targets[None])
    except ShapeError:
        return False
    return composition.agreement(draws).status != "fails"


def short(error: Exception) -> str:
    """Returns the kind of an error and the start of its message."""
    words = " ".join(str(error).split())
    return f"{type(error).__name__}: {words[:57] + '...' if len(words) > 60 else words}"
