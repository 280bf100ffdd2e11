"""Running the claims of `monitoring.checks` with Great Expectations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd

from monitoring.checks.spec import CheckSpec, Severity
from monitoring.checks.suites import Suite, check_specs, derived_columns

EXAMPLES = 5


@dataclass(frozen=True)
class CheckResult:
    """What one check saw.

    Attributes
    ----------
    name, severity, sentence : of the claim.
    passed : whether the claim holds.
    rows : rows of the table.
    failed_rows : rows that contradict the claim; 0 for a claim about the table as a whole.
    seen : what was found, in words or as a figure.
    examples : up to `EXAMPLES` contradicting rows: match_id, clubs and the value.
    error : why the claim could not be tested (a missing column, a wrong type); None if it could.
    """

    suite: Suite
    name: str
    severity: Severity
    sentence: str
    passed: bool
    rows: int
    failed_rows: int
    seen: str
    examples: tuple[dict[str, Any], ...] = ()
    error: str | None = None

    @property
    def blocks(self) -> bool:
        """Whether what is downstream must not go on."""
        return not self.passed and self.severity is Severity.CRITICAL


def validate(suite: Suite, table: pd.DataFrame, as_of: datetime) -> list[CheckResult]:
    """Test every claim of a suite.

    Parameters
    ----------
    table : the rows that the suite is about: `results_of(matches)`, `fixtures_of(matches)`, the features table, the
        clubs' states, published forecasts.
    as_of : the moment that "past" and "overdue" refer to.

    Returns
    -------
    One result per check, in the order of `check_specs(suite)`. A check that needs more rows than the table has passes
    and says so; a check that cannot be evaluated fails with the error.
    """
    rows = table.reset_index(drop=True)
    extended, errors = _extend(suite, rows, as_of)
    ready = [claim for claim in check_specs(suite) if len(rows) >= claim.needs_rows]
    raw = _run(extended, ready)
    return [
        _too_few(suite, claim, len(rows))
        if claim.name not in raw
        else _result(suite, claim, rows, raw[claim.name], errors)
        for claim in check_specs(suite)
    ]


def _extend(suite: Suite, rows: pd.DataFrame, as_of: datetime) -> tuple[pd.DataFrame, dict[str, str]]:
    """The rows with the derived columns, and why some could not be made."""
    made: dict[str, Any] = {}
    errors: dict[str, str] = {}
    for name, make in derived_columns(suite).items():
        try:
            made[name] = make(rows, as_of)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            errors[name] = f"{type(error).__name__}: {error}"
    return rows.assign(**made), errors


def _run(frame: pd.DataFrame, ready: list[CheckSpec]) -> dict[str, Any]:
    """Great Expectations' result of each claim, by the claim's name."""
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
        "claims",
        expectations=[
            getattr(gxe, claim.expectation)(
                **claim.arguments, severity=claim.severity.value, meta={"claim": claim.name}
            )
            for claim in ready
        ],
    )
    found = batch.validate(suite, result_format={"result_format": "COMPLETE", "partial_unexpected_count": 0})
    return {one["expectation_config"]["meta"]["claim"]: one for one in found.results}


def _result(suite: Suite, claim: CheckSpec, rows: pd.DataFrame, raw: Any, errors: Mapping[str, str]) -> CheckResult:
    result = raw.result or {}
    positions = [int(one) for one in result.get("unexpected_index_list") or []]
    column = str(claim.arguments.get("column", ""))
    error = None if raw.success else (errors.get(column) or _exception(raw.exception_info))
    return CheckResult(
        suite=suite,
        name=claim.name,
        severity=claim.severity,
        sentence=claim.sentence,
        passed=bool(raw.success),
        rows=len(rows),
        failed_rows=len(positions) or int(result.get("unexpected_count") or 0),
        seen=_seen(result, error),
        examples=tuple(_example(rows, position, claim, result, i) for i, position in enumerate(positions[:EXAMPLES])),
        error=error,
    )


def _too_few(suite: Suite, claim: CheckSpec, rows: int) -> CheckResult:
    seen = f"not tested: {rows} rows, {claim.needs_rows} needed"
    return CheckResult(suite, claim.name, claim.severity, claim.sentence, True, rows, 0, seen)


def _seen(result: Mapping[str, Any], error: str | None) -> str:
    if error:
        return "could not be tested"
    details = result.get("details") or {}
    if missing := (details.get("mismatched") or {}).get("missing"):
        return f"missing columns: {', '.join(missing)}"
    if "element_count" in result:
        failed, count = result.get("unexpected_count") or 0, result["element_count"]
        return f"{failed} of {count} rows contradict it"
    value = _plain(result.get("observed_value"))
    if isinstance(value, list):
        return f"observed {len(value)} columns"
    return f"observed {value:.4g}" if isinstance(value, float) else f"observed {value}"


def _example(rows: pd.DataFrame, position: int, claim: CheckSpec, result: Mapping[str, Any], i: int) -> dict[str, Any]:
    keys = [name for name in ("match_id", "home_team", "away_team", "team") if name in rows]
    values = result.get("unexpected_list") or []
    row = {name: _plain(rows[name].iloc[position]) for name in keys}
    column = str(claim.arguments.get("column", f"{claim.arguments.get('column_A')}, {claim.arguments.get('column_B')}"))
    return row | {column.removeprefix("_"): _plain(values[i]) if i < len(values) else None}


def _exception(info: Any) -> str | None:
    """The message of a failure to test; Great Expectations has two shapes for it."""
    if not info:
        return None
    parts = [info] if "raised_exception" in info else list(info.values())
    messages = [str(one["exception_message"]) for one in parts if one.get("raised_exception")]
    return messages[0] if messages else None


def _plain(value: Any) -> Any:
    """A value that JSON knows."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, tuple | list):
        return [_plain(one) for one in value]
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
