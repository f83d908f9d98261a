"""One run from the command line: listed, or carried out."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path

from absl import flags

from experiments import common, help_page, run_flags
from mixup_jax import hosts
from mixup_jax.runs import RunConfig, run


def carry_out(values: flags.FlagValues, runs: Mapping[str, RunConfig]) -> None:
    """Carries out the run that the flags name, or lists all."""
    if values.list:
        print(help_page.listing(runs))
        program = f".venv/bin/python -m experiments.{Path(sys.argv[0]).stem}"
        print(f"\nNext: {program} --run=NAME --workdir=runs/NAME")
        return
    config = run_flags.chosen_config(values, runs)
    workdir = common.workdir_of(values)
    config.validate()
    common.start(values)
    result = run(config, workdir, run_flags.session_of(values))
    if not hosts.is_main():
        return
    measures = {
        name: result[name]
        for name in ("data", "test_error_best", "test_error_last", "params_sha256")
    }
    print(json.dumps(measures, indent=2))
    print(f"Files: {Path(workdir).resolve()} (result.json holds all measures)")
    print(f'Next: predict = mixup_jax.runs.load_predictor("{workdir}") in Python')
