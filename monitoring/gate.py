"""The promotion gate: from evidence to a verdict with one line per condition.

`judge` is pure. Whatever is missing, empty or stale shuts a condition: the gate opens on evidence, never on the lack of
it. What each condition asks is told in `monitoring.conditions`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any

from features.errors import PromotionBlockedError
from monitoring.conditions import (
    MIN_MATCHES,
    Approval,
    Condition,
    Evidence,
    Policy,
    approved,
    digest_of,
    measured,
    spell,
)
from monitoring.performance import Difference
from monitoring.settlement import each_once

MERIT = ("trained_before_evaluation", "beats_base_rate", "beats_plain_elo", "not_worse_than_production", "calibrated")
"""Conditions on the forecasts themselves."""

PLACE_KEPT = timedelta(days=28)
"""How long a candidate with nothing against its forecasts may wait for a person before a newer one takes its place."""


@dataclass(frozen=True)
class Verdict:
    """Whether a candidate may be promoted, and why (not)."""

    candidate: int
    production: int | None
    policy: Policy
    as_of: datetime
    matches: int
    conditions: tuple[Condition, ...]
    evidence: str = field(default="")

    @property
    def open(self) -> bool:
        """True when every condition holds."""
        return all(condition.open for condition in self.conditions)

    @property
    def shut(self) -> tuple[str, ...]:
        """Names of the conditions that do not hold."""
        return tuple(condition.name for condition in self.conditions if not condition.open)

    @property
    def waiting_for_approval(self) -> bool:
        """True when a person's approval is all that is missing."""
        return self.shut == ("approved",)


def judge(evidence: Evidence) -> Verdict:
    """The verdict on a candidate.

    Raises
    ------
    InvalidInputError
        If settled probabilities are not finite or do not sum to 1, or a match is settled twice.
    """
    for rows in (evidence.settled, evidence.production_settled):
        each_once(rows if rows is not None else evidence.settled)
    lines = measured(evidence)
    digest = digest_of(evidence, lines)
    return Verdict(
        candidate=evidence.candidate,
        production=evidence.production,
        policy=evidence.policy,
        as_of=evidence.as_of,
        matches=len(evidence.settled),
        conditions=(*lines, approved(evidence, digest, [one.name for one in lines if not one.open])),
        evidence=digest,
    )


def first_version_shut(to_base_rate: Difference, to_plain_elo: Difference) -> str | None:
    """Why the very first version may not go into production; None if it may.

    It has no shadow forecasts and nobody to be compared with: it is judged by its walk-forward evaluation, where every
    season is forecast by what was learnt before it. It must be better than the base rate beyond doubt, the whole 95 %
    interval of the paired RPS difference below zero, which a small sample cannot show. It must not be worse than plain
    Elo beyond doubt, the whole interval above zero. Doubt counts for it here, and not against it as it does for a
    successor: on seven seasons good models differ from plain Elo by no more than luck, and while a successor leaves the
    forecasts to production, without a first version there are none.

    Parameters
    ----------
    to_base_rate, to_plain_elo : paired differences of RPS, model minus reference, on the same matches.
    """
    if min(to_base_rate.n, to_plain_elo.n) < MIN_MATCHES:
        return f"only {to_base_rate.n} matches to judge it by, {MIN_MATCHES} needed"
    if to_base_rate.high is None or not to_base_rate.high < 0:
        return f"not better than the base rate beyond doubt: RPS difference {spell(to_base_rate)}"
    if to_plain_elo.low is None or not to_plain_elo.low <= 0:
        return f"worse than plain Elo beyond doubt: RPS difference {spell(to_plain_elo)}"
    return None


def approve(verdict: Verdict, version: int, by: str, reason: str, at: datetime, seen: str | None = None) -> Approval:
    """A person's approval of the verdict as it stands.

    Parameters
    ----------
    version : version that the person means.
    seen : `evidence` of the verdict that the person looked at; None if it is this one.

    Raises
    ------
    PromotionBlockedError
        If nothing waits, the version is not the candidate, name or reason is empty, the evidence has changed since the
        person looked, or another condition is shut.
    """
    if verdict.candidate == verdict.production:
        raise PromotionBlockedError(f"no version waits to be approved: {verdict.conditions[0].why}")
    if version != verdict.candidate:
        raise PromotionBlockedError(f"version {version} is not the candidate; version {verdict.candidate} is")
    if not by.strip() or not reason.strip():
        raise PromotionBlockedError("an approval needs the name of who approves and a reason")
    if seen is not None and seen != verdict.evidence:
        raise PromotionBlockedError(
            f"the evidence has changed since it was looked at ({seen} then, {verdict.evidence} now); look again"
        )
    others = [condition for condition in verdict.conditions if not condition.open and condition.name != "approved"]
    if others:
        lines = "; ".join(f"{condition.name}: {condition.why}" for condition in others)
        raise PromotionBlockedError(f"version {version} cannot be approved while the gate is shut: {lines}")
    return Approval(version, by.strip(), reason.strip(), verdict.evidence, at)


def as_document(
    verdict: Verdict, now: datetime, before: Mapping[str, Any] | None = None, previous: int | None = None
) -> dict[str, Any]:
    """The document `reports/gate.json`.

    `waiting_since` is `now` by the real clock, which alerts compare it with, not the replayed moment; `judged_since` is
    the moment, replayed or not, from which on there were enough matches. Both are carried over from the document
    `before` while it is the same candidate that waits. `previous` is the version that a rollback would bring back.
    """
    same = before if before is not None and before.get("candidate") == verdict.candidate else {}
    waiting = (same.get("waiting_since") or now.isoformat()) if verdict.waiting_for_approval else None
    enough = verdict.matches >= MIN_MATCHES
    return {
        "candidate": verdict.candidate,
        "production": verdict.production,
        "previous": previous,
        "policy": verdict.policy.value,
        "as_of": verdict.as_of.isoformat(),
        "matches": verdict.matches,
        "open": verdict.open,
        "judged_since": (same.get("judged_since") or verdict.as_of.isoformat()) if enough else None,
        "waiting_since": waiting,
        "evidence": verdict.evidence,
        "conditions": [asdict(condition) for condition in verdict.conditions],
    }


def nothing_staged(
    production: int | None,
    policy: Policy,
    as_of: datetime,
    previous: int | None = None,
    why: str = "no version is staged",
) -> dict[str, Any]:
    """The document `reports/gate.json` while no version is staged: shut, whatever was said of an earlier one."""
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
        "conditions": [asdict(condition)],
    }


def keeps_its_place(document: Mapping[str, Any] | None, candidate: int, as_of: datetime) -> str | None:
    """Why a candidate may not be displaced by a newer one yet; None if it may.

    Parameters
    ----------
    document : the published verdict (`as_document`); None if there is none.

    A candidate without its matches keeps its place: a newer one would have to begin anew. One that is refused for its
    forecasts, on enough of them, has lost it. One that waits for a person or for data keeps it for `PLACE_KEPT`.
    """
    if document is None or document["candidate"] != candidate or document["matches"] < MIN_MATCHES:
        return f"version {candidate} is still being judged; another would take its place"
    if any(one["name"] in MERIT and not one["open"] for one in document["conditions"]):
        return None
    since = datetime.fromisoformat(document["judged_since"]) if document.get("judged_since") else as_of
    if as_of - since >= PLACE_KEPT:
        return None
    return f"version {candidate} has earned its place and waits since {since:%Y-%m-%d} for what else is shut"
