"""Result of one data check, whoever evaluated it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from monitoring.checks.spec import CheckSpec, Severity
from monitoring.checks.suites import Suite

MAX_EXAMPLES = 5


@dataclass(frozen=True)
class CheckResult:
    """Result of one check.

    Attributes
    ----------
    name, severity, description : those of the check.
    passed : whether the claim holds.
    rows : number of rows in the table.
    failed_rows : number of rows that fail; 0 for a claim about the table as a whole.
    observed : observed value, in words or as a number.
    examples : up to `MAX_EXAMPLES` failed rows: match_id, clubs and the value.
    error : why the check could not be evaluated (a missing column, a wrong type); None if it could.
    """

    suite: Suite
    name: str
    severity: Severity
    description: str
    passed: bool
    rows: int
    failed_rows: int
    observed: str
    examples: tuple[dict[str, Any], ...] = ()
    error: str | None = None

    @property
    def blocks(self) -> bool:
        """Whether the table must not be published."""
        return not self.passed and self.severity is Severity.CRITICAL


def too_few_rows(suite: Suite, check: CheckSpec, rows: int) -> CheckResult:
    """Build the result of a check that needs more rows than the table has: it passes, and says so."""
    observed = f"not evaluated: {rows} rows, {check.min_rows} required"
    return CheckResult(suite, check.name, check.severity, check.description, True, rows, 0, observed)


def example(rows: pd.DataFrame, position: int, check: CheckSpec, value: Any) -> dict[str, Any]:
    """Describe a failed row: its match or club, and the value that the check refused."""
    keys = [name for name in ("match_id", "home_team", "away_team", "team") if name in rows]
    row = {name: plain(rows[name].iloc[position]) for name in keys}
    column = str(check.arguments.get("column", f"{check.arguments.get('column_A')}, {check.arguments.get('column_B')}"))
    return row | {column.removeprefix("_"): plain(value)}


def with_origins(results: Sequence[CheckResult], origins: Mapping[str, str]) -> list[CheckResult]:
    """Add the file and row of each match to the examples, where they are known."""
    return [
        replace(
            result,
            examples=tuple(
                {"origin": origins[row["match_id"]], **row} if row.get("match_id") in origins else row
                for row in result.examples
            ),
        )
        for result in results
    ]


def describe_rows(result: CheckResult, shown: int) -> str:
    """Describe what failed: how many rows, and the first ones with their origin, match and value."""
    if result.error or not result.examples:
        return result.error or result.observed
    rows = [
        f"{row.get('origin') or row.get('match_id') or row.get('team')}: "
        + ", ".join(
            f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}"
            for name, value in row.items()
            if name not in ("origin", "team")
        )
        for row in result.examples[:shown]
    ]
    more = f"; and {result.failed_rows - len(rows)} more" if result.failed_rows > len(rows) else ""
    return f"{result.observed}; {'; '.join(rows)}{more}"


def plain(value: Any) -> Any:
    """Convert a value to one that JSON supports."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    if isinstance(value, float) and math.isnan(value):
        return None
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def observed_value(value: Any) -> str:
    """Format the observed value of a claim about a whole table."""
    return f"observed {value:.4g}" if isinstance(value, float) else f"observed {value}"
