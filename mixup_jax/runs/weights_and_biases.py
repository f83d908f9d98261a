"""Curves of a run in Weights & Biases, for those who ask for it; the extra `wandb`.

Where they go is the package's own affair: `wandb login`, or WANDB_MODE=offline and
later `wandb sync WORKDIR/wandb`.
"""

import contextlib
import json
import secrets
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from mixup_jax.errors import UsageError, install

Log = Callable[[Mapping[str, float], int], None]


def check(project: str) -> None:
    """Raises UsageError if curves cannot be sent to a project; before a run starts."""
    wandb = _imported()
    try:
        if wandb.setup().settings.mode == "online":
            wandb.login()
    except (wandb.errors.Error, ValueError) as error:
        raise UsageError(
            f"--wandb={project}: {error} To keep the curves on this machine, set the "
            "variable WANDB_MODE=offline; or leave out --wandb"
        ) from error


@contextlib.contextmanager
def board(project: str, path: Path, config: Mapping[str, Any]) -> Iterator[Log]:
    """A function that sends values at a step; a run taken up again is the same there.

    Args:
      project: Of Weights & Biases.
      path: Of the run's directory, whose name the run has there too. The file
        wandb.json in it keeps which run that is.
      config: Content of config.json.

    Raises:
      UsageError: If the run cannot be begun there, or belongs to another project.
    """
    wandb = _imported()
    try:
        run = wandb.init(
            project=project,
            id=_identity(path / "wandb.json", project),
            name=path.name,
            dir=path,
            config=dict(config),
            resume="allow",
            # Our output is no curve, and has its own way past a closed terminal.
            settings=wandb.Settings(console="off", quiet=True),
        )
    except wandb.errors.Error as error:
        raise UsageError(f"--wandb={project}: {error}") from error

    def log(values: Mapping[str, float], step: int) -> None:
        # Exact resume makes some steps again, which are there already.
        if step >= run.step:
            run.log(dict(values), step=step)

    # The run's own context would print a traceback, after Ctrl-C too.
    failed = True
    try:
        yield log
        failed = False
    finally:
        run.finish(exit_code=int(failed))


def _identity(path: Path, project: str) -> str:
    if not path.exists():
        new = {"project": project, "id": secrets.token_hex(4)}
        path.write_text(json.dumps(new) + "\n")
    kept = json.loads(path.read_text())
    if kept["project"] != project:
        raise UsageError(
            f"{path.parent} sends its curves to --wandb={kept['project']}, not to "
            f"{project}; name the same project, or leave out --wandb"
        )
    return kept["id"]


def _imported() -> Any:
    try:
        import wandb  # pyrefly: ignore  # an extra
    except ImportError as error:
        raise UsageError(
            f"--wandb needs its package: {install('wandb')} ({error})"
        ) from error
    return wandb
