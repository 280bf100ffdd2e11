"""Jobs that a person starts in the Dagster launchpad: approve a promotion, roll back, record a drift review.

A web page of another origin can start a run through the browser of somebody who reaches Dagster, but it cannot read
what Dagster shows. So each decision must quote the digest of what it is about.
"""

import hmac
from typing import Any

import dagster as dg
from pydantic import Field

from features.errors import TouchlineError
from features.io import report_files
from features.io.clock import Clock
from features.io.registry import Registry
from features.io.store import Lake
from monitoring.gate import approve
from orchestration.checks import CRITICAL
from orchestration.promotion import aliases
from orchestration.promotion.evidence import critical_checks, evaluate_candidate
from orchestration.promotion.gate_report import publish_gate_report
from orchestration.promotion.production_report import production_metadata, rollback_evidence
from orchestration.settings import PipelineSettings
from orchestration.steps import lake_tables


class ApprovalForm(dg.Config):
    """Who approves a version, and why."""

    version: int = Field(description="Number of the version in `staging`.")
    name: str = Field(description="Who approves.")
    reason: str = Field(description="Why. Recorded in the tags of the version.")
    evidence: str = Field(
        default="",
        description="The field `evidence` of the asset `promotion_gate` that the approval is based on. The approval is "
        "refused if the evidence has changed since.",
    )


class RollbackForm(dg.Config):
    """Who rolls back the version in production, and why."""

    name: str = Field(description="Who rolls back.")
    reason: str = Field(description="Why. Recorded in the tags of the version.")
    evidence: str = Field(default="", description="The field `evidence` of the asset `production_model`.")


class ReviewForm(dg.Config):
    """Who reviewed a week's drift report, and the conclusion."""

    week: str = Field(description="Monday of the week, YYYY-MM-DD.")
    name: str = Field(description="Who reviewed.")
    note: str = Field(description="Conclusion of the review.")
    evidence: str = Field(default="", description="The field `evidence` of the week in the asset `drift_report`.")


def _require_filled(form: dg.Config) -> None:
    """Refuse a form with empty fields; the launchpad shows it that way at first."""
    empty = [name for name, value in form if value == 0 or (isinstance(value, str) and not value.strip())]
    if empty:
        where = f"; {_WHERE[type(form)]}" if "evidence" in empty else ""
        raise dg.Failure(f"these fields of the form are empty: {', '.join(empty)}{where}")


_WHERE: dict[type[dg.Config], str] = {
    ApprovalForm: "`evidence` is shown on the asset promotion_gate; the job evaluate_candidate updates it",
    RollbackForm: "`evidence` is shown on the asset production_model; the job promote_model updates it",
    ReviewForm: "`evidence` is shown for the week on the asset drift_report, and is the field `digest` of "
    "/monitoring/drift/<week>",
}
"""Where a person reads the evidence of each decision."""


def _require_quoted(form: ReviewForm | RollbackForm, digest: str, subject: str) -> None:
    """Refuse a decision that does not quote the digest of its subject."""
    if not hmac.compare_digest(form.evidence.strip().encode(), digest.encode()):
        raise dg.Failure(f"the evidence {form.evidence!r} is not that of {subject}; {_WHERE[type(form)]}")


@dg.op(pool="promotion")
def approve_candidate(
    context: dg.OpExecutionContext,
    config: ApprovalForm,
    registry: dg.ResourceParam[Registry],
    lake: dg.ResourceParam[Lake],
    clock: dg.ResourceParam[Clock],
    settings: dg.ResourceParam[PipelineSettings],
) -> None:
    """Record a person's approval of the candidate, if all other conditions pass when the run starts."""
    _require_filled(config)
    checks = critical_checks(context.instance, CRITICAL)
    verdict = evaluate_candidate(lake, registry, clock.as_of(), settings.promotion_policy, checks)
    if verdict is None:
        raise dg.Failure("no version is staged, so there is nothing to approve; run the job train_model first")
    try:
        approval = approve(verdict, config.version, config.name, config.reason, clock.as_of(), config.evidence.strip())
    except TouchlineError as error:
        raise dg.Failure(f"{error}; {_WHERE[ApprovalForm]}") from error
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
    """Move `production` back to the last version that was decided on."""
    _require_filled(config)
    aliases.complete_promotion(registry, lake)
    if aliases.version_to_restore(registry, lake) is not None:  # otherwise the rollback says that there is none
        _require_quoted(config, rollback_evidence(registry, lake), "the version in production")
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
    """Publish a gate report that includes this decision now, instead of after the next results."""
    metadata = publish_gate_report(context.instance, lake, registry, clock, settings)
    context.log_event(dg.AssetMaterialization("promotion_gate", metadata=metadata))


@dg.op
def record_review(config: ReviewForm, lake: dg.ResourceParam[Lake], clock: dg.ResourceParam[Clock]) -> None:
    """Record that a person has reviewed exactly this report."""
    from monitoring.drift import review

    _require_filled(config)
    summary = lake_tables.read_report(lake, report_files.drift_summary_path(config.week))
    if summary is None:
        latest = report_files.latest_drift_week(lake)
        known = f"the newest is that of {latest}" if latest else "there is none yet; run the job report_drift first"
        raise dg.Failure(f"there is no drift report for the week of {config.week}; {known}")
    _require_quoted(config, str(summary["digest"]), f"the drift report of {config.week}")
    try:
        lake.write_json(
            report_files.drift_review_path(config.week), review(summary, config.name, config.note, clock.as_of())
        )
    except TouchlineError as error:
        raise dg.Failure(str(error)) from error


def _empty_form(op: str, **fields: str | int) -> dict[str, Any]:
    """The run configuration that the launchpad shows, for the user to fill in. A run with empty fields fails."""
    return {"ops": {op: {"config": fields}}}


@dg.job(
    description="Approve the version in staging. It is promoted within a minute if all other conditions of the "
    "promotion gate pass. In the launchpad, enter the version, your name, the reason and the `evidence` "
    "that the asset promotion_gate shows.",
    config=_empty_form("approve_candidate", version=0, name="", reason="", evidence=""),
)
def approve_promotion() -> None:
    """Approve the candidate."""
    approve_candidate()


@dg.job(
    description="Put the previous version back into production, also after the alias was moved in MLflow. The API uses "
    "it within seconds; the published forecasts of coming matches are replaced a minute or two later. In the "
    "launchpad, enter your name, the reason and the `evidence` that the asset production_model shows.",
    config=_empty_form("restore_previous", name="", reason="", evidence=""),
)
def rollback_production() -> None:
    """Put the previous version back into production."""
    reevaluate_gate(restore_previous())


@dg.job(
    description="Record that you have reviewed the drift report of a week; the promotion gate requires it after drift. "
    "In the launchpad, enter the Monday of the week (YYYY-MM-DD), your name, your conclusion and the `evidence` that "
    "the asset drift_report shows for the week.",
    config=_empty_form("record_review", week="", name="", note="", evidence=""),
)
def review_drift() -> None:
    """Mark a drift report as reviewed."""
    reevaluate_gate(record_review())
