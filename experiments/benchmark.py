r"""How fast it is: ours beside PyTorch and plain Flax, in turns in one process.

  python -m experiments.benchmark --quick              under a minute, the main ratios
  python -m experiments.benchmark --json=speed.json    everything
  python -m experiments.benchmark --only=vicinities    what each vicinity costs
  python -m experiments.benchmark --only=accelerator   for a GPU, with torch.compile
  python -m experiments.benchmark --only=kernels       there: what a step consists of

Suites: steps (a training step of every network), layers (beside XLA's forms), mixing
(against a copy of the batch), populations (all seeds in one program), evaluation (with
attacks), growth (batch, width, data set), starting (import, compile, memory),
vicinities. Every side runs once in a round, in alternating order; medians, and half the
distance between the quartiles.
Beside it: experiments.benchmark_input (reading images), experiments.scaling (devices).

PyTorch needs the extra `bench`, and is eager; ours is what training runs. All sides run
under the XLA settings of our programs, plain Flax too.
"""

import importlib
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from absl import flags

from experiments import common, markdown
from experiments.benchmarks.suite import Comparison, Options, table
from mixup_jax import runtime
from mixup_jax.errors import UsageError, unknown
from mixup_jax.runs.environment import environment

COMPARED = ("steps", "layers", "mixing", "populations", "evaluation", "growth")
SUITES = (*COMPARED, "starting", "vicinities")
_ASKED_FOR = ("accelerator", "kernels")  # these only by name
_QUICK = ("steps", "mixing", "populations", "vicinities")


def main(argv: Sequence[str]) -> None:
    values = _flags()
    if common.parse(values, __doc__ or "", argv):
        return
    chosen = values.only or (_QUICK if values.quick else SUITES)
    for name in chosen:
        if name not in (*SUITES, *_ASKED_FOR):
            raise unknown("suite", name, (*SUITES, *_ASKED_FOR))
    rounds = values.rounds or (3 if values.quick else 7)
    if rounds < 2:
        raise UsageError(f"rounds must be at least 2, got {rounds}")
    common.check_file("json", values.json)
    if "vicinities" in chosen:
        importlib.import_module("experiments.benchmarks.vicinities").check(values)
    _need_torch(chosen)
    print(runtime.start(cpu_devices=values.cpu_devices), file=sys.stderr)
    options = Options(rounds, values.quick, os.cpu_count() or 1)
    content = run(chosen, options, values)
    if values.json:
        Path(values.json).write_text(json.dumps(content, indent=2) + "\n")
        print(f"\nAll figures: {values.json}")


def _flags() -> flags.FlagValues:
    values = flags.FlagValues()
    here = {"flag_values": values}
    flags.DEFINE_bool("quick", False, "the main ratios, in under a minute", **here)
    text = f"these suites of {', '.join((*SUITES, *_ASKED_FOR))}"
    flags.DEFINE_list("only", None, text, **here)
    flags.DEFINE_integer("rounds", 0, "of all sides; 0: 7, with --quick 3", **here)
    flags.DEFINE_string("json", None, "file for all figures", **here)
    flags.DEFINE_integer("cpu_devices", 0, "devices to simulate on a CPU", **here)
    flags.DEFINE_integer("batch_size", 128, "of the vicinities' suite", **here)
    flags.DEFINE_integer("width", 64, "of its first stage, in channels", **here)
    flags.DEFINE_list("vicinities", None, "these beside erm; default all", **here)
    return values


def _need_torch(chosen: Sequence[str]) -> None:
    try:
        importlib.import_module("torch")
    except ImportError as error:
        if set(chosen) - {"vicinities", "growth", "layers", "kernels"}:
            raise UsageError(
                "PyTorch, which ours is compared with, is missing: install "
                "'mixup-jax[bench]', or take --only=vicinities,growth,layers"
            ) from error


def run(
    chosen: Sequence[str], options: Options, values: flags.FlagValues
) -> dict[str, Any]:
    """Measures the chosen suites, prints their tables, and returns all figures."""
    content: dict[str, Any] = {"environment": environment(), "comparisons": []}
    for name in [suite for suite in (*SUITES, *_ASKED_FOR) if suite in chosen]:
        print(f"{name} ...", file=sys.stderr)
        module = importlib.import_module(f"experiments.benchmarks.{name}")
        if name == "starting":
            content[name] = module.measure(options.threads)
            print(f"{_starts(content[name])}\n")
        elif name == "accelerator":
            measured = module.measure(options)
            content[name] = [
                {**each.comparison.content(), "share": each.share} for each in measured
            ]
            print(f"\n{module.table(measured)}\n")
        elif name == "kernels":
            content[name] = [each.content() for each in module.measure(options)]
        elif name == "vicinities":
            content[name] = module.measure(module.chosen(values), options)
            print(f"{module.table(content[name])}\n")
        elif found := module.measure(options):
            content["comparisons"] += [each.content() for each in found]
            content |= headlines(found)
            print(f"{table(found)}\n")
    if rows := content.get("vicinities"):
        mixup = next((row for name, row in rows.items() if name == "mixup_ac_rp"), None)
        if mixup:
            content["mixup_overhead_over_erm"] = mixup["over_erm"]
    for name, value in content.items():
        if isinstance(value, float):
            print(f"{name}: {value:.3g}")
    return content


def headlines(found: Sequence[Comparison]) -> dict[str, float]:
    """Returns the ratios that are told first; over 1, ours is faster."""
    ratios: dict[str, float] = {}
    for each in found:
        if each.item.startswith("step, PreAct"):
            ratios["cpu_step_ratio_vs_pytorch"] = each.ratio("PyTorch")
            last = each.ratio("PyTorch, channels last")
            ratios["cpu_step_ratio_vs_pytorch_channels_last"] = last
            if "plain Flax" in each.sides:
                ratios["cpu_step_ratio_vs_plain_flax"] = each.ratio("plain Flax")
        if each.item.startswith("table 4") and " 1 seeds" not in each.item:
            ratios["seeds_in_one_program_ratio"] = each.ratio("PyTorch")
    return ratios


def _starts(rows: dict[str, dict[str, float]]) -> str:
    head = ["start", "import, s", "initialise", "compile", "step", "first step after"]
    cells = [
        [name, *(f"{value:.2f}" for value in row.values())]
        for name, row in rows.items()
    ]
    return markdown.table([*head, "peak memory, GB"], cells)


if __name__ == "__main__":
    common.main(main)
