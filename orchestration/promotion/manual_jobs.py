"""What a person decides in the Dagster launchpad: approving, taking back, having looked at a drift report."""

from typing import Any

import dagster as dg
from pydantic import Field

from features.errors import TouchlineError
from features.io import reports
from features.io.clock import Clock
from features.io.registry import Registry
from features.io.store import Lake
from monitoring.gate import approve
from orchestration.checks import CRITICAL
from orchestration.promotion import aliases
from orchestration.promotion.evidence import assess, critical_checks, latest_drift_week
from orchestration.promotion.gate_report import GATE_REPORT, publish_gate_report
from orchestration.promotion.production_report import production_metadata
from orchestration.settings import PipelineSettings
from orchestration.steps import lake_tables


class ApprovalForm(dg.Config):
    """Who approves which version, and why."""

    version: int = Field(description="Version that waits in `staging`.")
    name: str = Field(description="Who approves.")
    reason: str = Field(description="Why; it is written on the version.")
    evidence: str | None = Field(
        default=None,
        description="`evidence` of the gate that was looked at, by default the published one; refused if it has "
        "changed since.",
    )


class RollbackForm(dg.Config):
    """Who takes the version in production back, and why."""

    name: str = Field(description="Who takes it back.")
    reason: str = Field(description="Why; it is written on the version.")


class ReviewForm(dg.Config):
    """Who has looked at the drift report of which week, and what they made of it."""

    week: str = Field(description="Monday of the week, YYYY-MM-DD.")
    name: str = Field(description="Who reviewed.")
    note: str = Field(description="What it means.")


def _filled(form: dg.Config) -> None:
    """Refuse a form as the launchpad offers it: with nothing in it."""
    left = [name for name, value in form if value == 0 or (isinstance(value, str) and not value.strip())]
    if left:
        raise dg.Failure(f"the form is not filled in: {', '.join(left)}")


@dg.op(pool="promotion")
def approve_candidate(
    context: dg.OpExecutionContext,
    config: ApprovalForm,
    registry: dg.ResourceParam[Registry],
    lake: dg.ResourceParam[Lake],
    clock: dg.ResourceParam[Clock],
    settings: dg.ResourceParam[PipelineSettings],
) -> None:
    """Write a person's approval on the candidate, if everything else is open on the evidence of this moment."""
    _filled(config)
    checks = critical_checks(context.instance, CRITICAL)
    verdict = assess(lake, registry, clock.as_of(), settings.promotion_policy, checks)
    if verdict is None:
        raise dg.Failure("no version is staged, so there is nothing to approve")
    seen = config.evidence or (lake_tables.document(lake, GATE_REPORT) or {}).get("evidence")
    if seen is None:
        raise dg.Failure("no verdict is published that anybody could have looked at (job evaluate_candidate)")
    try:
        approval = approve(verdict, config.version, config.name, config.reason, clock.as_of(), seen)
    except TouchlineError as error:
        raise dg.Failure(str(error)) from error
    aliases.record_approval(registry, approval)
    context.log.info("version %d approved by %s", config.version, config.name)


@dg.op(pool="promotion")
def restore_previous(
    context: dg.OpExecutionContext,
    config: RollbackForm,
    registry: dg.ResourceParam[Registry],
    lake: dg.ResourceParam[Lake],
    clock: dg.ResourceParam[Clock],
) -> None:
    """Give `production` back to the version that had it before."""
    _filled(config)
    try:
        version = aliases.rollback(registry, lake, config.name, config.reason, clock.as_of())
    except TouchlineError as error:
        raise dg.Failure(str(error)) from error
    context.log.info("version %d is back in production", version)
    context.log_event(dg.AssetMaterialization("production_model", metadata=production_metadata(registry, lake)))


@dg.op(pool="promotion", ins={"decided": dg.In(dg.Nothing)})
def reevaluate_gate(
    context: dg.OpExecutionContext,
    registry: dg.ResourceParam[Registry],
    lake: dg.ResourceParam[Lake],
    clock: dg.ResourceParam[Clock],
    settings: dg.ResourceParam[PipelineSettings],
) -> None:
    """Publish the verdict that follows from the decision, so that nobody waits for the next results to see it."""
    metadata = publish_gate_report(context.instance, lake, registry, clock, settings)
    context.log_event(dg.AssetMaterialization("promotion_gate", metadata=metadata))


@dg.op
def record_review(config: ReviewForm, lake: dg.ResourceParam[Lake], clock: dg.ResourceParam[Clock]) -> None:
    """Write down that a person has looked at exactly this report."""
    from monitoring.drift import review

    _filled(config)
    summary = lake_tables.document(lake, reports.drift_summary_path(config.week))
    if summary is None:
        latest = reports.latest_drift_week(lake)
        known = f"the newest is that of {latest}" if latest else "there is none of any week yet (job report_drift)"
        raise dg.Failure(f"there is no drift report for the week of {config.week}; {known}")
    try:
        lake.write_json(
            reports.drift_review_path(config.week), review(summary, config.name, config.note, clock.as_of())
        )
    except TouchlineError as error:
        raise dg.Failure(str(error)) from error


def _form(op: str, **fields: str | int) -> dict[str, Any]:
    """What the launchpad opens with, to be filled in; a run that is given less fails as one that is given nothing."""
    return {"ops": {op: {"config": fields}}}


@dg.job(
    description="A person says yes to the version in staging. It is promoted soon after, if everything else is open. "
    "Type which version, who says so and why into the launchpad.",
    config=_form("approve_candidate", version=0, name="", reason=""),
)
def approve_promotion() -> None:
    """Approve the candidate."""
    approve_candidate()


@dg.job(
    description="Put the previous version back into production. Answers follow within seconds, published forecasts of "
    "matches to come when they have been made again, a minute or two later. "
    "Type who does it and why into the launchpad.",
    config=_form("restore_previous", name="", reason=""),
)
def rollback_production() -> None:
    """Take production back."""
    reevaluate_gate(restore_previous())


@dg.job(
    description="A person has looked at a week's drift report. The gate takes it into account. Type the week's Monday "
    "(YYYY-MM-DD), who has looked and what it means into the launchpad.",
    config=_form("record_review", week="", name="", note=""),
)
def review_drift() -> None:
    """Mark a drift report as reviewed."""
    reevaluate_gate(record_review())
