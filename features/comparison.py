"""Forecasters beside each other: scores on the matches that each shares with one of them, and paired differences."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.backtest import Forecasts

MIN_SHARED = 2
"""A standard error needs two matches."""

COLUMNS = (
    "forecaster", "n", "rps", "rps_se", "log_loss", "brier", "accuracy", "ece", "difference", "difference_se",
)  # fmt: skip


def known(p: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return a mask (n,) of the matches with probabilities (n, 3)."""
    return np.asarray(~np.isnan(p).any(axis=1))


def comparison(forecasts: Forecasts, subject: str) -> pd.DataFrame:
    """Compare a forecaster with every other one.

    Parameters
    ----------
    forecasts : probabilities by forecaster, NaN where it has none.
    subject : the forecaster that is compared with the others.

    Returns
    -------
    DataFrame with `COLUMNS`, one row for each forecaster, the subject first. Scores are means over the n matches that
    both the forecaster and the subject forecast. `difference` is the mean RPS of the subject minus that of the
    forecaster, negative if the subject is better; `rps_se` and `difference_se` are standard errors. Forecasters that
    share fewer than `MIN_SHARED` matches with the subject are left out.
    """
    mine = known(forecasts.probabilities[subject])
    names = [subject, *(name for name in forecasts.probabilities if name != subject)]
    shared = [name for name in names if (mine & known(forecasts.probabilities[name])).sum() >= MIN_SHARED]
    rows = []
    for name in shared:
        line = forecasts.line(name, subject)
        n, difference = int(float(line["n"])), 0.0 - float(line["difference"])
        rows.append({**line, "n": n, "difference": np.nan if name == subject else difference})
        if name == subject:
            rows[-1]["difference_se"] = np.nan
    return pd.DataFrame(rows, columns=list(COLUMNS))


def markdown(table: pd.DataFrame, subject: str) -> str:
    """Format a comparison as a Markdown table that is aligned in a terminal, too; other columns come first."""
    names = [str(name) for name in table.columns if name not in COLUMNS]
    header = [*names, "forecaster", "N", "RPS ± s.e.", "log loss", "Brier", "accuracy", "ECE"]
    rows = [
        [
            *(str(row[name]) for name in names),
            str(row["forecaster"]),
            f"{row['n']:,}",
            f"{row['rps']:.4f} ± {row['rps_se']:.4f}",
            *(f"{row[name]:.4f}" for name in ("log_loss", "brier")),
            *(f"{row[name]:.3f}" for name in ("accuracy", "ece")),
            "" if pd.isna(row["difference"]) else f"{row['difference']:+.4f} ± {row['difference_se']:.4f}",
        ]
        for row in table.to_dict("records")
    ]
    return _aligned([*header, f"RPS of '{subject}' minus this"], rows, left=len(names) + 1)


def _aligned(header: Sequence[str], rows: Sequence[Sequence[str]], left: int) -> str:
    """Build a Markdown table; the first `left` columns are aligned to the left."""
    cells = [[cell.replace("|", "\\|") for cell in row] for row in (header, *rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    rule = ["-" * width if at < left else "-" * (width - 1) + ":" for at, width in enumerate(widths)]
    lines = [
        [
            cell.ljust(width) if at < left else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        for row in cells
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in [lines[0], rule, *lines[1:]])
