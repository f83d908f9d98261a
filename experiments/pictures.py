r"""The pictures of the documentation, drawn by the library from real data.

  python -m experiments.pictures                      all of them, into docs/pictures
  python -m experiments.pictures --out=DIR --only=mixup,cutmix

Each picture of a vicinity is made by the code above it in docs/gallery.md, so that a
reader sees what made it. Those of docs/idea.md are made here; one of them trains two
small networks on digits. That of docs/reproduce.md is drawn from kept results.
"""

import dataclasses
import json
import re
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags

import mixup_jax
from experiments import common, in_between
from mixup_jax import runtime
from mixup_jax.data import Dataset, mnist5k, toy
from mixup_jax.errors import UsageError, unknown
from mixup_jax.evaluation.in_between import sample_pairs
from mixup_jax.runs import Session, load_trained, run
from mixup_jax.types import Batch, Key

DOCS = Path(__file__).parents[1] / "docs"
_RESULTS = Path(__file__).with_name("results")
_BATCHES, _SIZE = 8, 50
_LAMS = (1.0, 0.8, 0.6, 0.4, 0.2, 0.0)
_ALPHAS = (0.1, 0.4, 1.0, 8.0)
# Those of figure 2's grid, fine enough for a curve.
_GRID = np.linspace(0, 1, 21, dtype=np.float32)


class Section(NamedTuple):
    """A vicinity of the page: the name of its picture, and the code that makes it."""

    picture: str
    code: str

    @property
    def points(self) -> bool:
        """Whether it makes sense of points, which have no rectangles to cut."""
        return "cutmix" not in self.code

    @property
    def images(self) -> bool:
        """Whether its targets are classes, as those of digits are."""
        return "fake" not in self.code


class Sides(NamedTuple):
    """A batch before and after."""

    before: Batch
    after: Batch


def sections() -> list[Section]:
    """Returns the vicinities of docs/gallery.md that have a picture, in order."""
    found = []
    for part in (DOCS / "gallery.md").read_text().split("\n## ")[1:]:
        code = re.search(r"```python\n(.*?)```", part, re.DOTALL)
        picture = re.search(r"\]\(pictures/(\w+)\.png\)", part)
        if code and picture:
            found.append(Section(picture[1], code[1]))
    return found


def virtual(section: Section, dataset: Dataset, key: Key, rows: np.ndarray) -> Sides:
    """Runs a section's code on a batch of a data set.

    Args:
      section: Of the page.
      dataset: Of points, or of images in bytes.
      key: What the code calls `key`.
      rows: Of the batch.
    """
    inputs = dataset.train.inputs
    scaled = inputs.astype(np.float32) / (255 if inputs.dtype == np.uint8 else 1)
    ids = jnp.asarray(dataset.train.labels)
    everything = Batch(jnp.asarray(scaled), jax.nn.one_hot(ids, dataset.num_classes))
    before = jax.tree.map(lambda leaf: leaf[rows], everything)
    names: dict[str, Any] = {
        **{"jax": jax, "mixup_jax": mixup_jax, "everything": everything},
        **{"x": before.inputs, "y": before.targets, "ids": ids[rows]},
        **{"rows": jnp.asarray(rows), "key": key},
    }
    exec(compile(section.code, "docs/gallery.md", "exec"), names)
    return Sides(before, Batch(names["x"], names["y"]))


def main(argv: Sequence[str]) -> None:
    values = flags.FlagValues()
    here = {"flag_values": values}
    flags.DEFINE_string("out", str(DOCS / "pictures"), "folder of the pictures", **here)
    flags.DEFINE_list("only", [], "names of pictures; all", **here)
    if common.parse(values, __doc__ or "", argv):
        return
    todo = _drawers()
    for name in values.only:
        if name not in todo:
            raise unknown("picture", name, todo)
    print(runtime.start(), file=sys.stderr)
    out = Path(values.out)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot make the folder {out}: {error}") from error
    for name in values.only or todo:
        path = out / f"{name}.png"
        todo[name](path)
        print(f"{path}: {path.stat().st_size:,} bytes")


def _drawers() -> dict[str, Callable[[Path], None]]:
    """What draws each picture."""
    vicinities: dict[str, Callable[[Path], None]] = {
        section.picture: lambda path, section=section: draw_vicinity(section, path)
        for section in sections()
    }
    return {
        "pairs": draw_pairs,
        "lambda": draw_lambda,
        "between": draw_between,
        "cifar10_jpeg": draw_epochs,
        **vicinities,
    }


def draw_vicinity(section: Section, path: Path) -> None:
    """Draws points of eight batches, and digits of one, before and after."""
    from experiments import figures_gallery  # matplotlib, which the rest does without

    key, points, digits = jax.random.key(4), [], None
    if section.points:
        rings = toy.load()
        for batch in range(_BATCHES):
            rows = np.arange(_SIZE) + batch * _SIZE
            made = virtual(section, rings, jax.random.fold_in(key, batch), rows)
            points.append(made.after)
    if section.images:
        digits = virtual(section, mnist5k.load(), key, np.arange(_SIZE))
    figures_gallery.vicinity(points, digits, path)


def draw_pairs(path: Path) -> None:
    """Draws pairs of digits, mixed with lambda from 1 to 0."""
    from experiments import figures_gallery

    train = mnist5k.load().train
    x = train.inputs.astype(np.float32) / 255
    places = [np.flatnonzero(train.labels == label)[0] for label in (3, 7, 0, 5)]
    rows = []
    for first, other in (places[:2], places[2:]):
        mixed = [mixup_jax.blend(x[first], x[other], jnp.float32(c)) for c in _LAMS]
        titles = [f"{lam:g} of {train.labels[first]}" for lam in _LAMS]
        rows.append((np.array(mixed), titles))
    figures_gallery.rows_of_images(rows, path)


def draw_lambda(path: Path) -> None:
    """Draws the distribution of lambda at some alphas, 20,000 draws of each."""
    from experiments import figures_gallery

    draws = {
        alpha: np.asarray(mixup_jax.sample_lambda(jax.random.key(0), alpha, (20_000,)))
        for alpha in _ALPHAS
    }
    figures_gallery.histograms(draws, path)


def draw_between(path: Path) -> None:
    """Trains figure 2's networks at small scale; draws what they say between digits."""
    from experiments import figures_gallery

    shares = {}
    with tempfile.TemporaryDirectory() as folder:
        for method, config in in_between.configs("small").items():
            workdir = Path(folder, method)
            run(dataclasses.replace(config, seed=0), workdir, Session(report=_say))
            trained = load_trained(workdir)
            shares[method] = between(trained.predict, trained.inputs, trained.dataset)
    figures_gallery.between(_GRID, shares, path)


def between(predict, inputs, dataset) -> np.ndarray:
    """Returns what a network believes in between two examples of different classes.

    Args:
      predict: From what it reads to logits.
      inputs: Its preprocessing.
      dataset: What it was trained on.

    Returns:
      Mean probability of the first one's class and of the other's, and the share of
      misses (neither is predicted), by lambda, [3, 21].
    """
    labels = dataset.train.labels
    pairs = np.asarray(sample_pairs(jax.random.key(0), len(labels), 2000))
    first, other = pairs[labels[pairs[:, 0]] != labels[pairs[:, 1]]].T
    ends = [
        inputs.evaluate(jnp.asarray(dataset.train.inputs[r])) for r in (first, other)
    ]

    @jax.jit
    def beliefs(lam):
        chance = jax.nn.softmax(predict(mixup_jax.blend(ends[0], ends[1], lam)))
        each = jnp.arange(len(first))
        guess = chance.argmax(axis=1)
        missed = (guess != labels[first]) & (guess != labels[other])
        sides = chance[each, labels[first]], chance[each, labels[other]]
        return jnp.stack([*sides, missed]).mean(axis=1)

    return np.stack([beliefs(lam) for lam in _GRID], axis=1)


def draw_epochs(path: Path) -> None:
    """Draws the test error over the epochs of the kept runs on CIFAR-10's JPEG copy."""
    from experiments import figures

    curves = {}
    for method in ("ERM", "mixup"):
        rows = (_RESULTS / f"cifar10_jpeg/{method.lower()}.jsonl").read_text()
        errors = [json.loads(row)["test_error"] for row in rows.splitlines()]
        curves[method] = 100 * np.array([errors])
    figures.error_curves(
        {"PreAct ResNet-18": curves},
        path,
        title="CIFAR-10, JPEG copy",
        note="Test error, seed 0",
        top=40,
    )


def _say(line: str) -> None:
    print(line, file=sys.stderr)


if __name__ == "__main__":
    common.main(main)
