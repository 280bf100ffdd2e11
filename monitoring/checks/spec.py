"""One claim: a sentence about a table, how grave it is if it does not hold, and how it is written down."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

import pandas as pd

MIN_ROWS = 50
"""Rows below which a mean or a spread says nothing."""


class Severity(StrEnum):
    """A failed critical claim stops what is downstream; a failed warning is shown."""

    CRITICAL = "critical"
    WARNING = "warning"


@dataclass(frozen=True)
class CheckSpec:
    """One check: a sentence about a table, and the expectation that tests it.

    Attributes
    ----------
    name : unique in its suite, an identifier.
    severity : critical or warning.
    expectation, arguments : class in `great_expectations.expectations` and its arguments.
    needs_rows : smallest table about which this can be said; a smaller one passes.
    """

    name: str
    severity: Severity
    sentence: str
    expectation: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    needs_rows: int = 1


DerivedColumn = Callable[[pd.DataFrame, datetime], "pd.Series[Any]"]
"""How a column that a table does not have is made from it and the moment of the check."""


def _spec(
    name: str, severity: Severity, sentence: str, expectation: str, needs: int = 1, **arguments: Any
) -> CheckSpec:
    return CheckSpec(name, severity, sentence, expectation, arguments, needs)


def critical(name: str, sentence: str, expectation: str, needs: int = 1, **arguments: Any) -> CheckSpec:
    """A claim without which nothing downstream may go on, with the arguments of its expectation."""
    return _spec(name, Severity.CRITICAL, sentence, expectation, needs, **arguments)


def warning(name: str, sentence: str, expectation: str, needs: int = 1, **arguments: Any) -> CheckSpec:
    """A claim whose failure is shown and stops nothing."""
    return _spec(name, Severity.WARNING, sentence, expectation, needs, **arguments)


def columns(names: list[str]) -> CheckSpec:
    """The table has these columns; more do no harm."""
    sentence = "every column of the schema is there"
    return critical(
        "columns_are_complete", sentence, "ExpectTableColumnsToMatchSet", 0, column_set=names, exact_match=False
    )


def unique() -> CheckSpec:
    """No match is there twice."""
    return critical(
        "match_ids_are_unique", "no match is there twice", "ExpectColumnValuesToBeUnique", column="match_id"
    )


def expect_false(column: str, name: str, sentence: str, severity: Severity = Severity.CRITICAL) -> CheckSpec:
    """A column of yes and no says no in every row."""
    return _spec(name, severity, sentence, "ExpectColumnValuesToBeInSet", column=column, value_set=[False])


def hours(later: Any, earlier: Any) -> pd.Series[Any]:
    """Hours from one moment to another, row by row."""
    return pd.Series((later - earlier) / pd.Timedelta(hours=1))
