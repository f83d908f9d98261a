"""The paper's own numbers, as data with their source (paper_tables.json)."""

import json
from pathlib import Path
from typing import Any

_TABLES = json.loads(Path(__file__).with_name("paper_tables.json").read_text())


def table5(row: str) -> dict[str, Any]:
    """Returns the paper's test errors in a row of table 5, for both weight decays.

    Args:
      row: As `experiments.ablation.VICINITIES` names it.
    """
    (found,) = (entry for entry in _TABLES["table5"] if entry["row"] == row)
    return found


def table2(*, corruption: float, method: str) -> dict[str, Any]:
    """Returns the paper's best row of table 2 for a share of wrong labels.

    Args:
      corruption: 0.2, 0.5 or 0.8.
      method: "erm", "erm_dropout", "mixup" or "mixup_dropout".
    """
    (row,) = (
        row
        for row in _TABLES["table2"]
        if row["corruption"] == corruption and row["method"] == method
    )
    return row
