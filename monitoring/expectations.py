"""Runs the checks of `monitoring.checks` with Great Expectations."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pandas as pd

from monitoring.checks.evaluation import with_derived_columns
from monitoring.checks.result import MAX_EXAMPLES, CheckResult, example, observed_value, plain, too_few_rows
from monitoring.checks.spec import CheckSpec
from monitoring.checks.suites import Suite, check_specs

__all__ = ["MAX_EXAMPLES", "CheckResult", "validate"]


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
    extended, errors = with_derived_columns(suite, rows, as_of)
    ready = [check for check in check_specs(suite) if len(rows) >= check.min_rows]
    raw = _run(extended, ready)
    return [
        too_few_rows(suite, check, len(rows))
        if check.name not in raw
        else _result(suite, check, rows, raw[check.name], errors)
        for check in check_specs(suite)
    ]


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
    values = result.get("unexpected_list") or []
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
            example(rows, position, check, values[i] if i < len(values) else None)
            for i, position in enumerate(positions[:MAX_EXAMPLES])
        ),
        error=error,
    )


def _observed(result: Mapping[str, Any], error: str | None) -> str:
    if error:
        return "could not be evaluated"
    details = result.get("details") or {}
    if missing := (details.get("mismatched") or {}).get("missing"):
        return f"missing columns: {', '.join(missing)}"
    if "element_count" in result:
        failed, count = result.get("unexpected_count") or 0, result["element_count"]
        return f"{failed} of {count} rows fail"
    value = plain(result.get("observed_value"))
    return f"observed {len(value)} columns" if isinstance(value, list) else observed_value(value)


def _exception(info: Any) -> str | None:
    """Extract the message of an evaluation error, for which Great Expectations has two formats."""
    if not info:
        return None
    parts = [info] if "raised_exception" in info else list(info.values())
    messages = [str(part["exception_message"]) for part in parts if part.get("raised_exception")]
    return messages[0] if messages else None
