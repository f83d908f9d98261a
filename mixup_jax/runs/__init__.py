"""Whole runs: `run(config, workdir, session)` trains, saves, resumes, reports."""

from mixup_jax.runs.config import RunConfig
from mixup_jax.runs.runner import run
from mixup_jax.runs.session import Session
from mixup_jax.runs.trained import load_predictor, load_trained

__all__ = ["RunConfig", "Session", "load_predictor", "load_trained", "run"]
