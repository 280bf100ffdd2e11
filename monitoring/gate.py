"""The promotion gate: from evidence to a decision with one line per condition.

`evaluate` is pure. Missing, empty or stale evidence fails a condition, so the gate never passes for lack of evidence.
The conditions are defined in `monitoring.conditions`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from features.errors import PromotionBlockedError
from monitoring.conditions import (
    Approval,
    Condition,
    Evidence,
    Policy,
    approved,
    compare_with_production,
    compute_evidence_digest,
    evaluate_conditions,
)
from monitoring.production_comparison import Comparison
from monitoring.sample_size import MIN_MATCHES
from monitoring.settlement import require_unique

QUALITY_CONDITIONS = (
    "trained_before_evaluation",
    "beats_base_rate",
    "beats_plain_elo",
    "not_worse_than_production",
    "calibrated",
)
"""Conditions on the forecasts themselves."""

STAGING_HOLD = timedelta(days=28)
"""How long a candidate whose forecasts passed may wait for a person or for data before a newer one may replace it."""


@dataclass(frozen=True)
class GateDecision:
    """Whether a candidate may be promoted, and why.

    Attributes
    ----------
    candidate, production : versions; production is None without one.
    as_of : time of the evaluation.
    matches : number of settled matches that were evaluated.
    conditions : one line per condition, the approval last.
    evidence_digest : `monitoring.conditions.compute_evidence_digest`, which an approval refers to.
    comparison : the candidate against production; None without one, or without its settled forecasts.
    """

    candidate: int
    production: int | None
    policy: Policy
    as_of: datetime
    matches: int
    conditions: tuple[Condition, ...]
    evidence_digest: str = field(default="")
    comparison: Comparison | None = None

    @property
    def passed(self) -> bool:
        """True if every condition passed."""
        return all(condition.passed for condition in self.conditions)

    @property
    def failed(self) -> tuple[str, ...]:
        """Names of the conditions that failed."""
        return tuple(condition.name for condition in self.conditions if not condition.passed)

    @property
    def waiting_for_approval(self) -> bool:
        """True if only a person's approval is missing."""
        return self.failed == ("approved",)


def evaluate(evidence: Evidence) -> GateDecision:
    """Decide on a candidate.

    Raises
    ------
    InvalidInputError
        If settled probabilities are not finite or do not sum to 1, or a match is settled twice.
    """
    for rows in (evidence.settled, evidence.production_settled):
        require_unique(rows if rows is not None else evidence.settled)
    comparison = compare_with_production(evidence)
    conditions = evaluate_conditions(evidence, comparison)
    digest = compute_evidence_digest(evidence, conditions)
    failed = [condition.name for condition in conditions if not condition.passed]
    return GateDecision(
        candidate=evidence.candidate,
        production=evidence.production,
        policy=evidence.policy,
        as_of=evidence.as_of,
        matches=len(evidence.settled),
        conditions=(*conditions, approved(evidence, digest, failed)),
        evidence_digest=digest,
        comparison=comparison,
    )


def approve(
    decision: GateDecision, version: int, by: str, reason: str, at: datetime, seen_digest: str | None = None
) -> Approval:
    """Record a person's approval of a decision.

    Parameters
    ----------
    decision : current decision of the gate.
    version : version that the person approves.
    by, reason : name of the person, and why.
    at : time of the approval, timezone-aware.
    seen_digest : `evidence_digest` of the decision that the person looked at; None if it is this one.

    Raises
    ------
    PromotionBlockedError
        If no candidate is waiting, the version is not the candidate, name or reason is empty, the evidence has changed
        since the person looked, or another condition failed.
    """
    if decision.candidate == decision.production:
        raise PromotionBlockedError(f"no version is waiting for approval: {decision.conditions[0].why}")
    if version != decision.candidate:
        raise PromotionBlockedError(f"version {version} is not the candidate; the candidate is {decision.candidate}")
    if not by.strip() or not reason.strip():
        raise PromotionBlockedError("an approval needs a name and a reason")
    if seen_digest is not None and seen_digest != decision.evidence_digest:
        raise PromotionBlockedError(
            f"the evidence has changed from {seen_digest} to {decision.evidence_digest}; look at it again, then approve"
        )
    failed = [condition for condition in decision.conditions if not condition.passed and condition.name != "approved"]
    if failed:
        lines = "; ".join(f"{condition.name}: {condition.why}" for condition in failed)
        raise PromotionBlockedError(f"version {version} cannot be approved, conditions failed: {lines}")
    return Approval(version, by.strip(), reason.strip(), decision.evidence_digest, at)


def to_dict(
    decision: GateDecision,
    now: datetime,
    before: Mapping[str, Any] | None = None,
    previous: int | None = None,
) -> dict[str, Any]:
    """Build the document `reports/gate.json`.

    Parameters
    ----------
    now : real time, for `waiting_since`, on which an alert depends.
    before : the document published last. If it is about the same candidate, `waiting_since` (real time) and
        `judged_since` (pipeline time at which there were enough matches) keep its values.
    previous : version that a rollback would restore.

    Returns
    -------
    The decision. The fields `open` and `judged_since` have the names of the first release, because older documents
    stay in the lake: `open` is True if the decision, or a condition, passed.
    """
    same = before if before is not None and before.get("candidate") == decision.candidate else {}
    waiting = (same.get("waiting_since") or now.isoformat()) if decision.waiting_for_approval else None
    has_enough = decision.matches >= MIN_MATCHES
    return {
        "candidate": decision.candidate,
        "production": decision.production,
        "previous": previous,
        "policy": decision.policy.value,
        "as_of": decision.as_of.isoformat(),
        "matches": decision.matches,
        "open": decision.passed,
        "judged_since": (same.get("judged_since") or decision.as_of.isoformat()) if has_enough else None,
        "waiting_since": waiting,
        "evidence": decision.evidence_digest,
        "conditions": [condition.to_dict() for condition in decision.conditions],
        "comparison": decision.comparison.to_dict() if decision.comparison else None,
    }


def no_candidate_document(
    production: int | None,
    policy: Policy,
    as_of: datetime,
    previous: int | None = None,
    why: str = "no version is staged",
) -> dict[str, Any]:
    """Build the document `reports/gate.json` if no version is in staging: the gate fails."""
    condition = Condition("candidate_waiting", False, "-", "a version that is not in production", why)
    return {
        "candidate": None,
        "production": production,
        "previous": previous,
        "policy": policy.value,
        "as_of": as_of.isoformat(),
        "matches": 0,
        "open": False,
        "judged_since": None,
        "waiting_since": None,
        "evidence": "",
        "conditions": [condition.to_dict()],
        "comparison": None,
    }


def blocks_replacement(document: Mapping[str, Any] | None, candidate: int, as_of: datetime) -> str | None:
    """Explain why a newer version may not replace the candidate yet; None if it may.

    A candidate without enough matches stays, because a newer one would have to start again. A candidate whose forecasts
    failed on enough matches may be replaced. One that waits for a person or for data stays for `STAGING_HOLD`.

    Parameters
    ----------
    document : the published decision (`to_dict`); None without one.
    candidate : version in staging.
    as_of : pipeline time.
    """
    if document is None or document["candidate"] != candidate or document["matches"] < MIN_MATCHES:
        return f"version {candidate} is still being evaluated; another version would replace it"
    if any(line["name"] in QUALITY_CONDITIONS and not line["open"] for line in document["conditions"]):
        return None
    since = datetime.fromisoformat(document["judged_since"]) if document.get("judged_since") else as_of
    if as_of - since >= STAGING_HOLD:
        return None
    return (
        f"version {candidate} passed every condition on its forecasts and has been waiting since {since:%Y-%m-%d} "
        "for the other conditions"
    )
