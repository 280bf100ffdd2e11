"""What a person decides in the Dagster launchpad: approving, taking back, having looked at a drift report."""

import dagster as dg
from pydantic import Field

from features.errors import TouchlineError
from features.io.clock import Clock
from features.io.registry import Registry
from features.io.store import Lake
from monitoring.gate import approve
from orchestration import promotion, published
from orchestration.assessment import assess, critical_checks
from orchestration.assets.gate import GATE, publish
from orchestration.assets.production_model import describe
from orchestration.checks import CRITICAL
from orchestration.settings import PipelineSettings


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
    checks = critical_checks(context.instance, CRITICAL)
    verdict = assess(lake, registry, clock.as_of(), settings.promotion_policy, checks)
    if verdict is None:
        raise dg.Failure("no version is staged, so there is nothing to approve")
    seen = config.evidence or (published.document(lake, GATE) or {}).get("evidence")
    if seen is None:
        raise dg.Failure("no verdict is published that anybody could have looked at (job judge_candidate)")
    try:
        approval = approve(verdict, config.version, config.name, config.reason, clock.as_of(), seen)
    except TouchlineError as error:
        raise dg.Failure(str(error)) from error
    promotion.record_approval(registry, approval)
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
    try:
        version = promotion.rollback(registry, lake, config.name, config.reason, clock.as_of())
    except TouchlineError as error:
        raise dg.Failure(str(error)) from error
    context.log.info("version %d is back in production", version)
    context.log_event(dg.AssetMaterialization("production_model", metadata=describe(registry, lake)))


@dg.op(pool="promotion", ins={"decided": dg.In(dg.Nothing)})
def judge_again(
    context: dg.OpExecutionContext,
    registry: dg.ResourceParam[Registry],
    lake: dg.ResourceParam[Lake],
    clock: dg.ResourceParam[Clock],
    settings: dg.ResourceParam[PipelineSettings],
) -> None:
    """Publish the verdict that follows from the decision, so that nobody waits for the next results to see it."""
    metadata = publish(context.instance, lake, registry, clock, settings)
    context.log_event(dg.AssetMaterialization("gate", metadata=metadata))


@dg.op
def note_review(config: ReviewForm, lake: dg.ResourceParam[Lake], clock: dg.ResourceParam[Clock]) -> None:
    """Write down that a person has looked at exactly this report."""
    from monitoring.drift import review

    folder = f"reports/drift/week={config.week}"
    summary = published.document(lake, f"{folder}/summary.json")
    if summary is None:
        raise dg.Failure(f"there is no drift report for the week of {config.week}")
    try:
        lake.write_json(f"{folder}/review.json", review(summary, config.name, config.note, clock.as_of()))
    except TouchlineError as error:
        raise dg.Failure(str(error)) from error


def _form(op: str, **fields: str) -> str:
    """What to type into the launchpad."""
    lines = "".join(f"      {name}: {value}\n" for name, value in fields.items())
    return f"\n\nIn the launchpad:\n\n```yaml\nops:\n  {op}:\n    config:\n{lines}```"


@dg.job(
    description="A person says yes to the version in staging. It is promoted soon after, if everything else is open."
    + _form("approve_candidate", version="2", name="your name", reason="why")
)
def approve_promotion() -> None:
    """Approve the candidate."""
    approve_candidate()


@dg.job(
    description="Put the previous version back into production. Answers follow within seconds, published forecasts of "
    "matches to come when they have been made again, a minute or two later."
    + _form("restore_previous", name="your name", reason="why")
)
def rollback_production() -> None:
    """Take production back."""
    judge_again(restore_previous())


@dg.job(
    description="A person has looked at a week's drift report. The gate takes it into account."
    + _form("note_review", week="2026-03-02", name="your name", note="what it means")
)
def review_drift() -> None:
    """Mark a drift report as reviewed."""
    judge_again(note_review())
