"""Evaluates the checks in pandas, with the answers of Great Expectations and without its seconds of import.

`monitoring.expectations` is what the pipeline runs; `touchline inspect` runs this, so that a person waits less. Both
read the same specifications, and a test holds that both give the same results.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, cast

import numpy as np
import pandas as pd

from monitoring.checks.result import MAX_EXAMPLES, CheckResult, example, observed_value, plain, too_few_rows
from monitoring.checks.spec import CheckSpec
from monitoring.checks.suites import Suite, check_specs, derived_columns

Arguments = Mapping[str, Any]

_EVALUATION_ERRORS = (KeyError, TypeError, ValueError, AttributeError)


def evaluate(suite: Suite, table: pd.DataFrame, as_of: datetime, max_examples: int = MAX_EXAMPLES) -> list[CheckResult]:
    """Run every check of a suite, as `monitoring.expectations.validate` does."""
    rows = table.reset_index(drop=True)
    extended, errors = with_derived_columns(suite, rows, as_of)
    return [
        too_few_rows(suite, check, len(rows))
        if len(rows) < check.min_rows
        else _evaluate(suite, check, rows, extended, errors, max_examples)
        for check in check_specs(suite)
    ]


def with_derived_columns(suite: Suite, rows: pd.DataFrame, as_of: datetime) -> tuple[pd.DataFrame, dict[str, str]]:
    """Add the derived columns; returns the errors of those that could not be computed."""
    derived: dict[str, Any] = {}
    errors: dict[str, str] = {}
    for name, compute in derived_columns(suite).items():
        try:
            derived[name] = compute(rows, as_of)
        except _EVALUATION_ERRORS as error:
            errors[name] = f"{type(error).__name__}: {error}"
    return rows.assign(**derived), errors


def _evaluate(
    suite: Suite,
    check: CheckSpec,
    rows: pd.DataFrame,
    extended: pd.DataFrame,
    errors: Mapping[str, str],
    max_examples: int,
) -> CheckResult:
    try:
        if check.expectation in _OF_TABLE:
            passed, observed = _OF_TABLE[check.expectation](extended, check.arguments)
            return _result(suite, check, rows, passed, observed)
        failed = _OF_ROWS[check.expectation](extended, check.arguments)
    except _EVALUATION_ERRORS as error:
        reason = errors.get(str(check.arguments.get("column", ""))) or f"{type(error).__name__}: {error}"
        return _result(suite, check, rows, False, "could not be evaluated", error=reason)
    positions = np.flatnonzero(failed.to_numpy(bool))
    examples = tuple(
        example(rows, int(position), check, _value(extended, check, int(position)))
        for position in positions[:max_examples]
    )
    observed = f"{len(positions)} of {len(rows)} rows fail"
    return _result(suite, check, rows, not len(positions), observed, len(positions), examples)


def _result(
    suite: Suite,
    check: CheckSpec,
    rows: pd.DataFrame,
    passed: bool,
    observed: str,
    failed_rows: int = 0,
    examples: tuple[dict[str, Any], ...] = (),
    error: str | None = None,
) -> CheckResult:
    return CheckResult(
        suite, check.name, check.severity, check.description, passed, len(rows), failed_rows, observed, examples, error
    )


def _value(table: pd.DataFrame, check: CheckSpec, position: int) -> Any:
    """Return the refused value of a row: of the column, or of both columns of a pair."""
    if "column" in check.arguments:
        value = table[check.arguments["column"]].iloc[position]
        return None if pd.isna(value) else value
    return tuple(table[check.arguments[name]].iloc[position] for name in ("column_A", "column_B"))


def _outside(values: pd.Series[Any], arguments: Arguments) -> pd.Series[Any]:
    """Return a mask of the values outside the bounds; a missing value is inside."""
    failed = pd.Series(False, index=values.index)
    if (low := arguments.get("min_value")) is not None:
        failed |= values <= low if arguments.get("strict_min") else values < low
    if (high := arguments.get("max_value")) is not None:
        failed |= values > high
    return failed & values.notna()


def _column(table: pd.DataFrame, arguments: Arguments, name: str = "column") -> pd.Series[Any]:
    return cast("pd.Series[Any]", table[arguments[name]])


def _not_greater(table: pd.DataFrame, arguments: Arguments) -> pd.Series[Any]:
    first, second = _column(table, arguments, "column_A"), _column(table, arguments, "column_B")
    smaller = first < second if arguments.get("or_equal") else first <= second
    return smaller & first.notna() & second.notna()


_OF_ROWS: Mapping[str, Callable[[pd.DataFrame, Arguments], pd.Series[Any]]] = {
    "ExpectColumnValuesToBeBetween": lambda table, its: _outside(_column(table, its), its),
    "ExpectColumnValuesToNotBeNull": lambda table, its: _column(table, its).isna(),
    "ExpectColumnValuesToBeNull": lambda table, its: _column(table, its).notna(),
    "ExpectColumnValuesToBeInSet": lambda table, its: (
        ~_column(table, its).isin(its["value_set"]) & _column(table, its).notna()
    ),
    "ExpectColumnValuesToMatchRegex": lambda table, its: (
        ~_column(table, its).astype("str").str.contains(its["regex"]) & _column(table, its).notna()
    ),
    "ExpectColumnValuesToBeUnique": lambda table, its: (
        _column(table, its).duplicated(keep=False) & _column(table, its).notna()
    ),
    "ExpectColumnPairValuesAToBeGreaterThanB": _not_greater,
}
"""A mask of the rows that fail, by expectation."""


def _columns_match(table: pd.DataFrame, arguments: Arguments) -> tuple[bool, str]:
    missing = sorted(set(arguments["column_set"]) - set(table.columns))
    return (
        not missing,
        f"missing columns: {', '.join(missing)}" if missing else f"observed {len(table.columns)} columns",
    )


def _within(value: float, arguments: Arguments) -> tuple[bool, str]:
    failed = pd.isna(value) or bool(_outside(pd.Series([value]), arguments).iloc[0])
    return not failed, observed_value(plain(value))


_OF_TABLE: Mapping[str, Callable[[pd.DataFrame, Arguments], tuple[bool, str]]] = {
    "ExpectTableColumnsToMatchSet": _columns_match,
    "ExpectTableRowCountToBeBetween": lambda table, its: _within(len(table), its),
    "ExpectColumnMeanToBeBetween": lambda table, its: _within(float(_column(table, its).mean()), its),
    "ExpectColumnStdevToBeBetween": lambda table, its: _within(float(_column(table, its).std()), its),
}
"""Whether the claim holds and what was observed, by expectation."""
