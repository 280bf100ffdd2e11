"""Data checks: every expectation on a table is a Dagster check of the asset that publishes it.

The checks run inside the asset, before it writes. A table that fails a critical check is not published, and the
previous table remains in use.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

import dagster as dg
import pandas as pd

from monitoring.checks.result import describe_rows, with_origins
from monitoring.checks.spec import Severity
from monitoring.checks.suites import Suite, check_specs
from orchestration.steps import rendering

if TYPE_CHECKING:
    from monitoring.expectations import CheckResult

SUITES: Mapping[str, tuple[Suite, ...]] = {
    "matches": (Suite.RESULTS, Suite.PUBLISHED, Suite.FIXTURES),
    "match_features": (Suite.FEATURES,),
    "team_states": (Suite.STATES,),
    "forecasts": (Suite.FORECASTS,),
    "settled_forecasts": (Suite.SETTLED,),
}
"""Check suites by the asset that they guard."""

_ASSET_OF = {suite: asset for asset, suites in SUITES.items() for suite in suites}


def _name(suite: Suite, claim: str) -> str:
    return f"{suite.value}_{claim}"


def specs(asset: str) -> list[dg.AssetCheckSpec]:
    """The checks of an asset; critical ones block the assets downstream."""
    return [
        dg.AssetCheckSpec(
            _name(suite, claim.name),
            asset=asset,
            description=claim.description,
            blocking=claim.severity is Severity.CRITICAL,
        )
        for suite in SUITES[asset]
        for claim in check_specs(suite)
    ]


CRITICAL = [spec.key for asset in SUITES for spec in specs(asset) if spec.blocking]
"""Checks that must have passed for a promotion."""


def verify(
    tables: Mapping[Suite, pd.DataFrame], as_of: datetime, origins: Mapping[str, str] | None = None
) -> Iterator[dg.AssetCheckResult]:
    """Yield the result of every check, then raise dg.Failure if a critical one failed, so that nothing is published.

    `origins` names the file and row of a match, by match_id.
    """
    # Great Expectations takes seconds to import; only runs that publish tables need it.
    from monitoring.expectations import validate

    failed: list[str] = []
    for suite, table in tables.items():
        for result in with_origins(validate(suite, table, as_of), origins or {}):
            yield _check_result(_ASSET_OF[suite], result)
            if result.blocks:
                failed.append(f"{result.description} ({describe_rows(result, 3)})")
    if failed:
        raise dg.Failure(f"not published; the previous table remains in use. Failed checks: {'; '.join(failed)}")


def _check_result(asset: str, result: CheckResult) -> dg.AssetCheckResult:
    metadata: dict[str, Any] = {"observed": result.observed, "rows": result.rows, "failed_rows": result.failed_rows}
    if result.examples:
        metadata["examples"] = dg.MetadataValue.md(rendering.markdown(pd.DataFrame(list(result.examples))))
    if result.error:
        metadata["error"] = result.error
    severity = dg.AssetCheckSeverity.ERROR if result.severity is Severity.CRITICAL else dg.AssetCheckSeverity.WARN
    return dg.AssetCheckResult(
        passed=result.passed,
        asset_key=asset,
        check_name=_name(result.suite, result.name),
        severity=severity,
        description=result.description,
        metadata=metadata,
    )
