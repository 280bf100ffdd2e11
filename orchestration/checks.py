"""Data checks: every claim about a table is a check of the asset that publishes it.

They run inside the asset, before anything is written: a table that contradicts a critical claim is never published,
and what was published before stays.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

import dagster as dg
import pandas as pd

from monitoring.checks.spec import Severity
from monitoring.checks.suites import Suite, claims
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
"""Suites by the asset that they guard."""

_GUARDED = {suite: asset for asset, suites in SUITES.items() for suite in suites}


def _name(suite: Suite, claim: str) -> str:
    return f"{suite.value}_{claim}"


def specs(asset: str) -> list[dg.AssetCheckSpec]:
    """The checks of an asset; critical ones block whatever is downstream."""
    return [
        dg.AssetCheckSpec(
            _name(suite, claim.name),
            asset=asset,
            description=claim.sentence,
            blocking=claim.severity is Severity.CRITICAL,
        )
        for suite in SUITES[asset]
        for claim in claims(suite)
    ]


CRITICAL = [spec.key for asset in SUITES for spec in specs(asset) if spec.blocking]
"""Checks whose newest results the gate asks for."""


def verify(tables: Mapping[Suite, pd.DataFrame], as_of: datetime) -> Iterator[dg.AssetCheckResult]:
    """Yield the result of every check, then stop whatever was going to be published if a critical one failed."""
    # Great Expectations takes seconds to import; only runs that publish tables need it.
    from monitoring.expectations import validate

    broken: list[str] = []
    for suite, table in tables.items():
        for result in validate(suite, table, as_of):
            yield _shown(_GUARDED[suite], result)
            if result.blocks:
                broken.append(f"{result.sentence} ({result.error or result.seen})")
    if broken:
        raise dg.Failure(f"not published, what was there before stays: {'; '.join(broken)}")


def _shown(asset: str, result: CheckResult) -> dg.AssetCheckResult:
    metadata: dict[str, Any] = {"seen": result.seen, "rows": result.rows, "failed_rows": result.failed_rows}
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
        description=result.sentence,
        metadata=metadata,
    )
