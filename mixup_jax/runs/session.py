"""How a run is carried out, as opposed to what it is."""

import dataclasses
from collections.abc import Callable


@dataclasses.dataclass(frozen=True)
class Session:
    """How and where a run is carried out; nothing here can change its result.

    Attributes:
      parallel: "pmap" or "shard_map".
      data_dir: Of prepared tensorflow-datasets; None for their default.
      manual_dir: Where archives that a person has downloaded lie; None for none.
      checkpoint_every: Epochs between checkpoints, beside the best and the last.
      workers: Threads that decode images where they are streamed; 0 for one per
        processor.
      report: Called with each line for the person at the screen.
      profile: Steps to trace into the run's directory; 0 for none.
      wandb: Project of Weights & Biases that gets the curves too; empty for none.
      quiet: Whether the line that shows an epoch's progress is left out.
    """

    parallel: str = "pmap"
    data_dir: str | None = None
    manual_dir: str | None = None
    checkpoint_every: int = 1
    workers: int = 0
    report: Callable[[str], None] = print
    profile: int = 0
    wandb: str = ""
    quiet: bool = False
