"""Specification of a data check, and builders for common ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

import pandas as pd

MIN_ROWS = 50
"""Minimum number of rows for a check on a mean or a standard deviation."""


class Severity(StrEnum):
    """A failed critical check blocks publication; a failed warning is only reported."""

    CRITICAL = "critical"
    WARNING = "warning"


@dataclass(frozen=True)
class CheckSpec:
    """A data check: a claim about a table, and the expectation that tests it.

    Attributes
    ----------
    name : identifier, unique in its suite.
    severity : critical or warning.
    description : the claim, as a sentence.
    expectation, arguments : class in `great_expectations.expectations` and its arguments.
    min_rows : minimum number of rows; smaller tables pass.
    """

    name: str
    severity: Severity
    description: str
    expectation: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    min_rows: int = 1


DerivedColumn = Callable[[pd.DataFrame, datetime], "pd.Series[Any]"]
"""Computes a column from a table and the time of the check."""


def _spec(
    name: str, severity: Severity, description: str, expectation: str, min_rows: int = 1, **arguments: Any
) -> CheckSpec:
    return CheckSpec(name, severity, description, expectation, arguments, min_rows)


def critical(name: str, description: str, expectation: str, min_rows: int = 1, **arguments: Any) -> CheckSpec:
    """Build a critical check; `arguments` are those of the expectation."""
    return _spec(name, Severity.CRITICAL, description, expectation, min_rows, **arguments)


def warning(name: str, description: str, expectation: str, min_rows: int = 1, **arguments: Any) -> CheckSpec:
    """Build a check whose failure is reported without blocking anything."""
    return _spec(name, Severity.WARNING, description, expectation, min_rows, **arguments)


def columns(names: list[str]) -> CheckSpec:
    """Build the check that a table has these columns; it may have more."""
    description = "every column of the schema exists"
    return critical(
        "columns_are_complete", description, "ExpectTableColumnsToMatchSet", 0, column_set=names, exact_match=False
    )


def unique() -> CheckSpec:
    """Build the check that no match occurs twice."""
    return critical("match_ids_are_unique", "no match occurs twice", "ExpectColumnValuesToBeUnique", column="match_id")


def expect_false(column: str, name: str, description: str, severity: Severity = Severity.CRITICAL) -> CheckSpec:
    """Build the check that a boolean column is false in every row."""
    return _spec(name, severity, description, "ExpectColumnValuesToBeInSet", column=column, value_set=[False])


def hours(later: Any, earlier: Any) -> pd.Series[Any]:
    """Compute the hours between two timestamps, row by row."""
    return pd.Series((later - earlier) / pd.Timedelta(hours=1))
