"""The promotion gate: from evidence to a verdict with one line per condition.

`judge` is pure. Whatever is missing, empty or stale shuts a condition: the gate opens on evidence, never on the lack of
it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features import metrics
from features.errors import GateShut
from monitoring.calibration import calibration_limit
from monitoring.performance import Difference, paired_difference, triple
from monitoring.settlement import each_once

Floats = NDArray[np.float64]

MIN_MATCHES = 100
"""Settled matches below which nothing is said: a paired RPS interval is then wider than what models differ by."""

MARGIN = 0.001
"""RPS by which a candidate may at most be worse than production, at the upper end of the 95 % interval.

Half a percent of a usual RPS of 0.2. A retrained twin passes on a hundred matches; a different model must be as good
beyond doubt, or visibly better. One that is worse beyond doubt does not pass however little it is: many small steps
would add up.
"""

DRIFT_MAX_AGE = timedelta(days=15)
"""A drift report speaks for the present this long after the Monday of its week: the next one, made in the morning of
the Monday two weeks later, is late then. The alert on a missing report waits as long."""

MERIT = ("trained_before_evaluation", "beats_base_rate", "beats_plain_elo", "not_worse_than_production", "calibrated")
"""Conditions on the forecasts themselves."""

PLACE_KEPT = timedelta(days=28)
"""How long a candidate with nothing against its forecasts may wait for a person before a newer one takes its place."""

CALIBRATION_LEVEL = 0.99


class Policy(StrEnum):
    """Whether a person must approve a promotion."""

    MANUAL = "manual"
    AUTO = "auto"


@dataclass(frozen=True)
class Approval:
    """A person's yes to one version on one state of the evidence (`Verdict.evidence`)."""

    version: int
    by: str
    reason: str
    evidence: str
    at: datetime


@dataclass(frozen=True)
class Evidence:
    """All that a verdict rests on.

    Attributes
    ----------
    candidate : version that wants to be promoted.
    trained_through : kick-off of the last match that it was fitted on.
    settled : its settled (shadow) forecasts, columns of `monitoring.settlement.SCHEMA`.
    production, production_settled : the version in production and its settled forecasts; None if there is none.
    checks : critical data checks of the newest run by name, True where passed.
    drift : newest drift summary (`monitoring.drift.Report.summary`); None if there is none.
    review : review of that summary (`monitoring.drift.review`); None if there is none.
    policy, approval : whether a person must approve, and whether one has.
    """

    candidate: int
    trained_through: datetime
    settled: pd.DataFrame
    production: int | None
    production_settled: pd.DataFrame | None
    checks: Mapping[str, bool]
    drift: Mapping[str, Any] | None
    review: Mapping[str, Any] | None
    as_of: datetime
    policy: Policy = Policy.MANUAL
    approval: Approval | None = None


@dataclass(frozen=True)
class Condition:
    """One line of a verdict."""

    name: str
    open: bool
    value: str
    threshold: str
    why: str


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
    InvalidInput
        If settled probabilities are not finite or do not sum to 1, or a match is settled twice.
    """
    for rows in (evidence.settled, evidence.production_settled):
        each_once(rows if rows is not None else evidence.settled)
    measured = (
        _enough_matches(evidence),
        _trained_before(evidence),
        _beats_base_rate(evidence),
        _beats_plain_elo(evidence),
        _not_worse(evidence),
        _calibrated(evidence),
        _checks_pass(evidence),
        _drift_reviewed(evidence),
    )
    digest = _digest(evidence, measured)
    return Verdict(
        candidate=evidence.candidate,
        production=evidence.production,
        policy=evidence.policy,
        as_of=evidence.as_of,
        matches=len(evidence.settled),
        conditions=(*measured, _approved(evidence, digest)),
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
        return f"not better than the base rate beyond doubt: RPS difference {_spell(to_base_rate)}"
    if to_plain_elo.low is None or not to_plain_elo.low <= 0:
        return f"worse than plain Elo beyond doubt: RPS difference {_spell(to_plain_elo)}"
    return None


def approve(verdict: Verdict, version: int, by: str, reason: str, at: datetime, seen: str | None = None) -> Approval:
    """A person's approval of the verdict as it stands.

    Parameters
    ----------
    version : version that the person means.
    seen : `evidence` of the verdict that the person looked at; None if it is this one.

    Raises
    ------
    GateShut
        If the version is not the candidate, name or reason is empty, the evidence has changed since the person looked,
        or another condition is shut.
    """
    if version != verdict.candidate:
        raise GateShut(f"version {version} is not the candidate; version {verdict.candidate} is")
    if not by.strip() or not reason.strip():
        raise GateShut("an approval needs the name of who approves and a reason")
    if seen is not None and seen != verdict.evidence:
        raise GateShut(
            f"the evidence has changed since it was looked at ({seen} then, {verdict.evidence} now); look again"
        )
    others = [condition for condition in verdict.conditions if not condition.open and condition.name != "approved"]
    if others:
        lines = "; ".join(f"{condition.name}: {condition.why}" for condition in others)
        raise GateShut(f"version {version} cannot be approved while the gate is shut: {lines}")
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
    production: int | None, policy: Policy, as_of: datetime, previous: int | None = None
) -> dict[str, Any]:
    """The document `reports/gate.json` while no version is staged: shut, whatever was said of an earlier one."""
    why = "no version is staged"
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


def _enough_matches(evidence: Evidence) -> Condition:
    n = len(evidence.settled)
    why = f"{n} of the candidate's forecasts are settled" + ("" if n >= MIN_MATCHES else "; too few to judge it by")
    return Condition("enough_matches", n >= MIN_MATCHES, str(n), f">= {MIN_MATCHES}", why)


def _trained_before(evidence: Evidence) -> Condition:
    """The forecasts are the candidate's own, and it was trained on nothing that it is judged by."""
    rows, through = evidence.settled, pd.Timestamp(evidence.trained_through)
    threshold = "before the first match it is judged by"
    if rows.empty:
        return Condition("trained_before_evaluation", False, str(through), threshold, "no forecast is settled")
    first = rows["kick_off"].min()
    foreign = int((rows["model_version"] != evidence.candidate).sum())
    seen = int(((rows["kick_off"] <= through) | (rows["trained_through"] < through)).sum())
    if foreign:
        why = f"{foreign} of the forecasts were made by another version"
    elif seen:
        why = f"{seen} of the matches it is judged by lie inside its training, or were forecast by an earlier fit"
    else:
        why = f"trained through {through:%Y-%m-%d}, judged from {first:%Y-%m-%d} on"
    return Condition("trained_before_evaluation", not foreign and not seen, f"{through:%Y-%m-%d}", threshold, why)


def _beats_base_rate(evidence: Evidence) -> Condition:
    """Beyond doubt: whoever cannot show that much has nothing to say."""
    name, threshold = "beats_base_rate", "95 % interval of the RPS difference ends below 0"
    one = _against(evidence.settled, "base")
    if one.n < MIN_MATCHES or one.high is None or one.mean is None:
        return Condition(name, False, _spell(one), threshold, f"only {one.n} matches to compare with the base rate")
    if one.high < 0:
        why = f"better than the base rate on {one.n} settled matches"
    elif one.mean < 0:
        why = f"better than the base rate on {one.n} settled matches, but that may be luck"
    else:
        why = f"not better than the base rate on {one.n} settled matches"
    return Condition(name, one.high < 0, _spell(one), threshold, why)


def _beats_plain_elo(evidence: Evidence) -> Condition:
    """On the whole: what separates good models from plain Elo is within the luck of a season, so none could prove it.

    That it is no worse than what is in production is what a candidate has to prove: see `_not_worse`.
    """
    name, threshold = "beats_plain_elo", "mean RPS difference < 0"
    one = _against(evidence.settled, "elo")
    if one.n < MIN_MATCHES or one.mean is None:
        return Condition(name, False, _spell(one), threshold, f"only {one.n} matches to compare with plain Elo")
    better = one.mean < 0
    why = f"{'better' if better else 'not better'} than plain Elo on {one.n} settled matches"
    return Condition(name, better, _spell(one), threshold, why)


def _against(rows: pd.DataFrame, reference: str) -> Difference:
    have = np.flatnonzero(np.isfinite(triple(rows, reference)).all(axis=1))
    return _difference(rows.iloc[have], triple(rows, "model")[have], triple(rows, reference)[have])


def _not_worse(evidence: Evidence) -> Condition:
    """On the same matches, and on those alone of which both knew the same results when they were forecast."""
    name = "not_worse_than_production"
    threshold = f"95 % interval of the RPS difference ends below {MARGIN} and does not lie above 0"
    if evidence.production is None:
        return Condition(name, True, "-", threshold, "there is no version in production yet")
    theirs = evidence.production_settled
    if theirs is None or theirs.empty:
        return Condition(name, False, "-", threshold, "production has no settled forecasts to compare with")
    both = evidence.settled.merge(theirs, on="match_id", suffixes=("", "_production"))
    both = both[both["features_as_of"] == both["features_as_of_production"]]
    p = both[[f"{outcome}_production" for outcome in ("home", "draw", "away")]].to_numpy(float)
    one = _difference(both, triple(both, "model"), p)
    if one.n < MIN_MATCHES or one.low is None or one.high is None or one.mean is None:
        why = f"only {one.n} settled matches in common with production, forecast from the same results"
        return Condition(name, False, _spell(one), threshold, why)
    passes = one.low <= 0 and one.high < MARGIN
    if passes:
        why = f"not worse than version {evidence.production} on the same {one.n} matches"
    elif one.mean > 0:
        why = f"worse than version {evidence.production} on the same {one.n} matches"
    else:
        why = f"better than version {evidence.production} on the same {one.n} matches, but that may be luck"
    return Condition(name, passes, _spell(one), threshold, why)


def _calibrated(evidence: Evidence) -> Condition:
    name, rows = "calibrated", evidence.settled
    if rows.empty:
        return Condition(name, False, "-", "-", "no forecast is settled")
    p, y = triple(rows, "model"), rows["outcome"].to_numpy(np.int64)
    error, limit = metrics.calibration_error(p, y), calibration_limit(p, CALIBRATION_LEVEL)
    inside = error <= limit
    verdict = "within" if inside else "beyond"
    why = f"calibration error is {verdict} what a perfect model shows on {len(rows)} matches 99 times in 100"
    return Condition(name, inside, f"{error:.4f}", f"<= {limit:.4f}", why)


def _checks_pass(evidence: Evidence) -> Condition:
    failed = sorted(name for name, passed in evidence.checks.items() if not passed)
    value = f"{len(evidence.checks) - len(failed)} of {len(evidence.checks)}"
    if not evidence.checks:
        why = "no critical data check has run"
    else:
        why = f"failed: {', '.join(failed)}" if failed else "every critical data check passed"
    return Condition("data_checks_pass", bool(evidence.checks) and not failed, value, "all, and at least one", why)


def _drift_reviewed(evidence: Evidence) -> Condition:
    name, threshold = "drift_reviewed", f"report at most {DRIFT_MAX_AGE.days} days old, stable or reviewed"
    report = evidence.drift
    if report is None:
        return Condition(name, False, "-", threshold, "there is no drift report")
    state, week = str(report["state"]), str(report["week"])
    age = evidence.as_of - datetime.fromisoformat(week).replace(tzinfo=UTC)
    value = f"{state} in the week of {week}"
    if not timedelta(0) <= age <= DRIFT_MAX_AGE:
        return Condition(name, False, value, threshold, f"the newest report is {age.days} days old")
    if state == "stable":
        return Condition(name, True, value, threshold, "the latest window did not drift")
    review = evidence.review
    if review is None or review.get("week") != week:
        return Condition(name, False, value, threshold, "nobody has reviewed it (job review_drift)")
    if review.get("report") != report["digest"]:
        return Condition(name, False, value, threshold, "the report has changed since it was reviewed")
    return Condition(name, True, value, threshold, f"reviewed by {review['by']}: {review['note']}")


def _approved(evidence: Evidence, digest: str) -> Condition:
    name, threshold, approval = "approved", "a person's approval of this evidence", evidence.approval
    if evidence.policy is Policy.AUTO:
        return Condition(name, True, "-", "none", "the policy is auto")
    if approval is None or approval.version != evidence.candidate:
        return Condition(name, False, "-", threshold, "waits for a person (job approve_promotion)")
    value = f"{approval.by}, {approval.at:%Y-%m-%d %H:%M}"
    if approval.evidence != digest:
        return Condition(name, False, value, threshold, "the evidence has changed since it was approved")
    return Condition(name, True, value, threshold, approval.reason)


def _difference(rows: pd.DataFrame, ours: Floats, theirs: Floats) -> Difference:
    y = rows["outcome"].to_numpy(np.int64)
    return paired_difference(metrics.rps(ours, y), metrics.rps(theirs, y))


def _spell(one: Difference) -> str:
    if one.mean is None:
        return "-"
    return f"{one.mean:+.5f}" + ("" if one.low is None else f" [{one.low:+.5f}, {one.high:+.5f}]")


def _digest(evidence: Evidence, conditions: tuple[Condition, ...]) -> str:
    facts = [evidence.candidate, evidence.production, [asdict(condition) for condition in conditions]]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]
