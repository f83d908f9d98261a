r"""The paper's main effect in minutes: half of the training labels are wrong.

  make demo

Trains an MLP by ERM and by mixup on 5,000 MNIST digits that come inside a Python
package, several seeds each, through the code that the paper's experiments use
(compare table 2), and draws the toy of figure 1b. A stand-in for table 2 and never
more: other data, other network, fewer epochs.
"""

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from absl import flags

from experiments import common, markdown, paper, toy
from mixup_jax import runtime
from mixup_jax.errors import UsageError
from mixup_jax.runs import RunConfig, Session, run
from mixup_jax.runs.directory import Row, RunDirectory
from mixup_jax.runs.statistics import mean_interval

_ERM = RunConfig(
    dataset="mnist5k",
    corruption=0.5,
    crop_pad=0,
    flip=False,
    model="mlp",
    width=512,
    epochs=40,
    batch_size=100,
    optimizer="adam",
    learning_rate=1e-3,
    lr_drops=(30,),  # epochs; divides the rate by 10
    weight_decay=0.0,
    train_error_every=1,
)
# alpha is the paper's best for half of the labels corrupted (table 2).
METHODS = {"ERM": _ERM, "mixup": dataclasses.replace(_ERM, alpha=32.0)}

# Column of the table to field of result.json and of the paper's table 2.
MEASURES = {
    "best test error": "test_error_best",
    "last test error": "test_error_last",
    "train error, real labels": "train_error_real",
    "train error, corrupted labels": "train_error_corrupted",
}


def main(argv: Sequence[str]) -> None:
    values = flags.FlagValues()
    here = {"flag_values": values}
    text = "directory for the files; go on there"
    flags.DEFINE_string("workdir", "runs/demo", text, **here)
    flags.DEFINE_integer("seeds", 4, "runs of each method, at least 2", **here)
    flags.DEFINE_integer("epochs", 40, "of each run on digits", **here)
    if common.parse(values, __doc__ or "", argv):
        return
    common.workdir_of(values)
    if values.seeds < 2:
        raise UsageError(f"seeds must be at least 2, got {values.seeds}")
    common.need_pictures()
    runtime.start()
    workdir = Path(values.workdir)
    results = train_all(workdir, values.seeds, values.epochs)
    table = demo_table(results)
    draw(workdir, values.seeds)
    print(f"\n{table}\n\n{sentence(results)}\n")
    (workdir / "table.md").write_text(f"{table}\n")
    for name in ("table.md", "curves.png", "figure1b.png"):
        print(f"  {workdir.resolve() / name}")
    print(
        "Next: look at the pictures, or at another run: "
        ".venv/bin/python -m experiments.cifar --list"
    )


def train_all(workdir: Path, seeds: int, epochs: int) -> dict[str, list[Row]]:
    """Runs every method with every seed; finished runs are not run again."""
    session = Session(
        checkpoint_every=10, report=lambda line: print(line, file=sys.stderr)
    )
    results: dict[str, list[Row]] = {name: [] for name in METHODS}
    for seed in range(seeds):
        # ERM and mixup share a seed: the same start, order and wrong labels.
        for name, config in METHODS.items():
            config = dataclasses.replace(config, seed=seed, epochs=epochs)
            results[name].append(run(config, _run_path(workdir, name, seed), session))
    for name, config in toy.RUNS.items():
        run(config, workdir / name, session)
    return results


def demo_table(results: dict[str, list[Row]]) -> str:
    """Returns our errors over seeds beside the paper's on its own data."""
    data_name = next(iter(results.values()))[0]["data"]
    rows = []
    for method, runs in results.items():
        ours = [
            mean_interval([100 * row[field] for row in runs])
            for field in MEASURES.values()
        ]
        label = f"{method}: {data_name}, MLP, {len(runs)} seeds"
        rows.append([label, *(f"{mean:.1f} ± {half:.1f}" for mean, half in ours)])
    for method in results:
        numbers = paper.table2(corruption=0.5, method=method.lower())
        cells = [f"{numbers[field]:g}" for field in MEASURES.values()]
        rows.append([f"{method}: paper, CIFAR-10, PreAct ResNet-18", *cells])
    header = ["half of the training labels random", *MEASURES]
    note = "Per cent; mean ± 95 % interval over seeds. Different data: compare methods."
    return f"{markdown.table(header, rows)}\n\n{note}"


def sentence(results: dict[str, list[Row]]) -> str:
    """Says in one sentence what these runs show, whichever way they came out."""
    erm, mixup = (
        [100 * row["test_error_last"] for row in results[name]] for name in METHODS
    )
    mean, half = mean_interval([a - b for a, b in zip(erm, mixup, strict=True)])
    memorised = 100 * np.mean([row["train_error_corrupted"] for row in results["ERM"]])
    if abs(mean) <= half:
        verdict = f"makes no clear difference ({mean:+.1f} ± {half:.1f} points)"
    else:
        better = "lower" if mean > 0 else "higher"
        verdict = f"ends {abs(mean):.1f} ± {half:.1f} points {better} in test error"
    return (
        f"ERM errs on {memorised:.0f} % of the wrong labels, having learned the rest "
        f"by heart; mixup {verdict}."
    )


def draw(workdir: Path, seeds: int) -> None:
    """Draws the curves of the digits and figure 1b."""
    from experiments import figures  # matplotlib

    rows = {
        name: [
            RunDirectory(_run_path(workdir, name, seed)).rows() for seed in range(seeds)
        ]
        for name in METHODS
    }

    def curves(field: str) -> dict[str, np.ndarray]:
        return {
            name: 100 * np.array([[row[field] for row in run] for run in runs])
            for name, runs in rows.items()
        }

    figures.error_curves(
        {
            "test": curves("test_error"),
            "training, real labels": curves("train_error_real"),
            "training, corrupted labels": curves("train_error_corrupted"),
        },
        workdir / "curves.png",
        title="5,000 MNIST digits, half of the training labels random, MLP",
        note=f"mean of {seeds} seeds and its 95 % interval",
    )
    toy.draw(workdir / "toy_erm", workdir / "toy_mixup", workdir / "figure1b.png")


def _run_path(workdir: Path, method: str, seed: int) -> Path:
    return workdir / f"{method.lower()}_seed{seed}"


if __name__ == "__main__":
    common.main(main)
