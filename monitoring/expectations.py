"""Runs the checks of `monitoring.checks` with Great Expectations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd

from monitoring.checks.spec import CheckSpec, Severity
from monitoring.checks.suites import Suite, check_specs, derived_columns

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


def validate(suite: Suite, table: pd.DataFrame, as_of: datetime) -> list[CheckResult]:
    """Run every check of a suite.

    Parameters
    ----------
    table : rows to check: `results_of(matches)`, `fixtures_of(matches)`, the features table, the team states, published
        forecasts.
    as_of : time that "past" and "overdue" refer to, timezone-aware.

    Returns
    -------
    One result per check, in the order of `check_specs(suite)`. A check that needs more rows than the table has passes
    and says so; a check that cannot be evaluated fails with the error.
    """
    rows = table.reset_index(drop=True)
    extended, errors = _extend(suite, rows, as_of)
    ready = [check for check in check_specs(suite) if len(rows) >= check.min_rows]
    raw = _run(extended, ready)
    return [
        _too_few_rows(suite, check, len(rows))
        if check.name not in raw
        else _result(suite, check, rows, raw[check.name], errors)
        for check in check_specs(suite)
    ]


def _extend(suite: Suite, rows: pd.DataFrame, as_of: datetime) -> tuple[pd.DataFrame, dict[str, str]]:
    """Add the derived columns; returns the errors of those that could not be computed."""
    derived: dict[str, Any] = {}
    errors: dict[str, str] = {}
    for name, compute in derived_columns(suite).items():
        try:
            derived[name] = compute(rows, as_of)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            errors[name] = f"{type(error).__name__}: {error}"
    return rows.assign(**derived), errors


def _run(frame: pd.DataFrame, ready: list[CheckSpec]) -> dict[str, Any]:
    """Run Great Expectations; returns its result by the name of the check."""
    import great_expectations as gx
    import great_expectations.expectations as gxe
    from great_expectations.data_context.types.base import ProgressBarsConfig

    if not ready:
        return {}
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    asset = context.data_sources.add_pandas("lake").add_dataframe_asset("table")
    batch = asset.add_batch_definition_whole_dataframe("whole").get_batch(batch_parameters={"dataframe": frame})
    suite = gx.ExpectationSuite(
        "checks",
        expectations=[
            getattr(gxe, check.expectation)(
                **check.arguments, severity=check.severity.value, meta={"check": check.name}
            )
            for check in ready
        ],
    )
    validation = batch.validate(suite, result_format={"result_format": "COMPLETE", "partial_unexpected_count": 0})
    return {result["expectation_config"]["meta"]["check"]: result for result in validation.results}


def _result(suite: Suite, check: CheckSpec, rows: pd.DataFrame, raw: Any, errors: Mapping[str, str]) -> CheckResult:
    result = raw.result or {}
    positions = [int(position) for position in result.get("unexpected_index_list") or []]
    column = str(check.arguments.get("column", ""))
    error = None if raw.success else (errors.get(column) or _exception(raw.exception_info))
    return CheckResult(
        suite=suite,
        name=check.name,
        severity=check.severity,
        description=check.description,
        passed=bool(raw.success),
        rows=len(rows),
        failed_rows=len(positions) or int(result.get("unexpected_count") or 0),
        observed=_observed(result, error),
        examples=tuple(
            _example(rows, position, check, result, i) for i, position in enumerate(positions[:MAX_EXAMPLES])
        ),
        error=error,
    )


def _too_few_rows(suite: Suite, check: CheckSpec, rows: int) -> CheckResult:
    observed = f"not evaluated: {rows} rows, {check.min_rows} required"
    return CheckResult(suite, check.name, check.severity, check.description, True, rows, 0, observed)


def _observed(result: Mapping[str, Any], error: str | None) -> str:
    if error:
        return "could not be evaluated"
    details = result.get("details") or {}
    if missing := (details.get("mismatched") or {}).get("missing"):
        return f"missing columns: {', '.join(missing)}"
    if "element_count" in result:
        failed, count = result.get("unexpected_count") or 0, result["element_count"]
        return f"{failed} of {count} rows fail"
    value = _plain(result.get("observed_value"))
    if isinstance(value, list):
        return f"observed {len(value)} columns"
    return f"observed {value:.4g}" if isinstance(value, float) else f"observed {value}"


def _example(rows: pd.DataFrame, position: int, check: CheckSpec, result: Mapping[str, Any], i: int) -> dict[str, Any]:
    keys = [name for name in ("match_id", "home_team", "away_team", "team") if name in rows]
    values = result.get("unexpected_list") or []
    row = {name: _plain(rows[name].iloc[position]) for name in keys}
    column = str(check.arguments.get("column", f"{check.arguments.get('column_A')}, {check.arguments.get('column_B')}"))
    return row | {column.removeprefix("_"): _plain(values[i]) if i < len(values) else None}


def _exception(info: Any) -> str | None:
    """Extract the message of an evaluation error, for which Great Expectations has two formats."""
    if not info:
        return None
    parts = [info] if "raised_exception" in info else list(info.values())
    messages = [str(part["exception_message"]) for part in parts if part.get("raised_exception")]
    return messages[0] if messages else None


def _plain(value: Any) -> Any:
    """Convert a value to one that JSON supports."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
