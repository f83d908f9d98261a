r"""The data sets: what there is, what is ready, and what examples look like.

  python -m experiments.data                      lists all sets
  python -m experiments.data --prepare=cifar10    gets one ready, showing progress
  python -m experiments.data --show=mnist5k       draws examples, mixed and not
  python -m experiments.data --show=folder:pets --image_size=224 --lam_per=example

Preparing looks at every image once: those that cannot be read are counted and named.
A picture shows the examples of the first step of a run with the same flags. Each field
of a run is a flag, as in the other experiments.
"""

import dataclasses
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from absl import flags

from experiments import common, markdown, run_flags
from mixup_jax import data, runtime
from mixup_jax.errors import UsageError
from mixup_jax.runs import RunConfig, Session
from mixup_jax.runs.runner import build, load_dataset

# What the kinds of data do not take is off; the network only has to exist.
_PLAIN = RunConfig(
    alpha=1.0, model="mlp", crop_pad=0, flip=False, batch_size=16, seed=1
)
_SMALL_IMAGES = ("cifar10", "cifar100", "cifar10_jpeg")


def main(argv: Sequence[str]) -> None:
    values = run_flags.define_run_flags({})
    section = "What to do; with neither flag, list the sets"
    here: Any = {"flag_values": values, "module_name": section}
    flags.DEFINE_string("prepare", None, "name of the set to get ready", **here)
    flags.DEFINE_string("show", None, "name of the set to draw examples of", **here)
    flags.DEFINE_string("out", "examples.png", "file for that picture, PNG", **here)
    flags.DEFINE_bool("markdown", False, "list as the README's table", **here)
    if common.parse(values, __doc__ or "", argv):
        return
    session = run_flags.session_of(values)
    if values.prepare and values.show:
        raise UsageError("choose one of --prepare and --show")
    if values.prepare:
        prepare(values.prepare, session)
    elif values.show:
        if Path(values.out).suffix != ".png":
            raise UsageError(f"--out must end in .png, got {values.out}")
        show(_config(values), Path(values.out), session)
    elif values.markdown:
        print(readme_table())
    else:
        print(listing(session))


def listing(session: Session) -> str:
    """Returns the named sets, and whether each would load at once."""
    rows = []
    for name, source in data.SOURCES.items():
        ready = data.is_ready(
            name, data_dir=session.data_dir, manual_dir=session.manual_dir
        )
        rows.append([name, "ready" if ready else "", source.size, _plain(source.what)])
    rows += [[name, "", "", _plain(kind.what)] for name, kind in data.KINDS.items()]
    table = markdown.table(["--dataset", "", "examples", "what"], rows)
    return (
        f"{table}\n\nWhere each comes from and what to put where: README, Data. Next: "
        ".venv/bin/python -m experiments.data --prepare=NAME, or --show=NAME"
    )


def _plain(markdown: str) -> str:
    """Returns the text without its links and quotes of code."""
    return re.sub(r"\[(.*?)\]\(.*?\)", r"\1", markdown).replace("`", "")


def readme_table() -> str:
    """Returns the table of the README."""
    lines = ["| `--dataset` | what | size | where it comes from |", "|---|---|---|---|"]
    for name, source in (data.SOURCES | data.KINDS).items():
        lines.append(f"| `{name}` | {source.what} | {source.size} | {source.origin} |")
    return "\n".join(lines)


def prepare(name: str, session: Session) -> None:
    """Loads a set, which gets it ready, and says what it holds."""
    dataset = data.load(name, data_dir=session.data_dir, manual_dir=session.manual_dir)
    splits = {
        "train": dataset.train,
        "validation": dataset.validation,
        "test": dataset.test,
    }
    print(f"{name} is ready: {dataset.title}, {dataset.num_classes} classes")
    for split, examples in splits.items():
        if examples is not None:
            print(f"  {split:<10} {len(examples.labels):>9,} examples")
    print(
        f"Next: .venv/bin/python -m experiments.data --show={name}, or "
        f"--dataset={name} in a run"
    )


def show(config: RunConfig, out: Path, session: Session) -> None:
    """Draws examples of a run's first step."""
    from experiments import contact_sheet  # matplotlib, which the rest does without

    print(runtime.start(), file=sys.stderr)
    dataset = load_dataset(config, session)
    rows = min(config.batch_size, len(dataset.train.labels))
    parts = build(dataclasses.replace(config, batch_size=rows, drop_last=True), session)
    contact_sheet.draw(parts, out)
    print(f"{out.resolve()}: {rows} examples of {parts.dataset.title}")


def _config(values: flags.FlagValues) -> RunConfig:
    plain = dataclasses.replace(_PLAIN, dataset=values.show)
    if values.show in _SMALL_IMAGES:
        plain = dataclasses.replace(plain, crop_pad=4, flip=True)
    if values.show == "imagenet2012":
        plain = dataclasses.replace(plain, image_size=224, flip=True)
    return run_flags.overridden(values, plain)


if __name__ == "__main__":
    common.main(main)
