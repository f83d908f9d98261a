"""The paper's own numbers, as data with their source (paper_tables.json)."""

import json
from pathlib import Path
from typing import Any

_TABLES = json.loads(Path(__file__).with_name("paper_tables.json").read_text())


def rows(table: str) -> dict[str, dict[str, float]]:
    """Returns a table's numbers in per cent, by row and measure as records name them.

    Args:
      table: "table1", "table3", "table4", "figure3a" or "figure4". Figure 3a says
        neither epoch nor choice; by its authors' page it is the median of the last 10
        epochs. Table 4 says "average test error", read here as that of the last epoch.
    """
    return {
        entry["row"]: {k: v for k, v in entry.items() if isinstance(v, float)}
        for entry in _TABLES[table]
    }


def figure2() -> dict[str, dict[str, list[float]]]:
    """Returns the curves of figure 2 by method: `lambda`, `miss` (per cent) and
    `gradient_norm`, read off the printed picture to 0.3 and 0.004.
    """
    return {curve["method"]: curve for curve in _TABLES["figure2"]}


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
