"""The conditions of the promotion gate: each is a pure function from the evidence to one line of the verdict.

Whatever is missing, empty or stale shuts a condition.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features import metrics
from monitoring.calibration import calibration_limit
from monitoring.performance import Difference, paired_difference, triple

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
    shadowed : matches for which the candidate has made a shadow forecast, settled or not.
    to_come : fixtures known that have not kicked off.
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
    shadowed: int = 0
    to_come: int = 0


@dataclass(frozen=True)
class Condition:
    """One line of a verdict."""

    name: str
    open: bool
    value: str
    threshold: str
    why: str


def measured(evidence: Evidence) -> tuple[Condition, ...]:
    """All conditions but the approval."""
    return (
        _enough_matches(evidence),
        _trained_before(evidence),
        _beats_base_rate(evidence),
        _beats_plain_elo(evidence),
        _not_worse(evidence),
        _calibrated(evidence),
        _checks_pass(evidence),
        _drift_reviewed(evidence),
    )


def _enough_matches(evidence: Evidence) -> Condition:
    """Where there are too few, what they wait for: a person cannot see the shadow forecasts grow."""
    n = len(evidence.settled)
    missing = MIN_MATCHES - n
    if missing <= 0:
        why = f"{n} of its shadow forecasts are settled"
    elif not evidence.shadowed:
        why = "too few to judge it by: it has made no shadow forecast yet (job forecast_shadow, or by itself)"
    else:
        why = f"too few to judge it by: {n} of its {evidence.shadowed} shadow forecasts are settled, {missing} to go"
        if evidence.to_come < missing:
            why += (
                f", and only {evidence.to_come} matches to come are known: it cannot get there before those of another "
                f"season are; matches up to its training, {evidence.trained_through:%Y-%m-%d}, do not count"
            )
        else:
            why += "; they are made beside production's, week by week, and settle as the matches are played"
    return Condition("enough_matches", missing <= 0, str(n), f">= {MIN_MATCHES}", why)


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
        return Condition(name, False, spell(one), threshold, f"only {one.n} matches to compare with the base rate")
    if one.high < 0:
        why = f"better than the base rate on {one.n} settled matches"
    elif one.mean < 0:
        why = f"better than the base rate on {one.n} settled matches, but that may be luck"
    else:
        why = f"not better than the base rate on {one.n} settled matches"
    return Condition(name, one.high < 0, spell(one), threshold, why)


def _beats_plain_elo(evidence: Evidence) -> Condition:
    """On the whole: what separates good models from plain Elo is within the luck of a season, so none could prove it.

    That it is no worse than what is in production is what a candidate has to prove: see `_not_worse`.
    """
    name, threshold = "beats_plain_elo", "mean RPS difference < 0"
    one = _against(evidence.settled, "elo")
    if one.n < MIN_MATCHES or one.mean is None:
        return Condition(name, False, spell(one), threshold, f"only {one.n} matches to compare with plain Elo")
    better = one.mean < 0
    why = f"{'better' if better else 'not better'} than plain Elo on {one.n} settled matches"
    return Condition(name, better, spell(one), threshold, why)


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
        return Condition(name, False, spell(one), threshold, why)
    passes = one.low <= 0 and one.high < MARGIN
    if passes:
        why = f"not worse than version {evidence.production} on the same {one.n} matches"
    elif one.mean > 0:
        why = f"worse than version {evidence.production} on the same {one.n} matches"
    else:
        why = f"better than version {evidence.production} on the same {one.n} matches, but that may be luck"
    return Condition(name, passes, spell(one), threshold, why)


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


def approved(evidence: Evidence, digest: str, others: Sequence[str]) -> Condition:
    """Whether a person has said yes to this evidence.

    `others` are the conditions that are shut: a person is asked when nothing else is left.
    """
    name, threshold, approval = "approved", "a person's approval of this evidence", evidence.approval
    if evidence.policy is Policy.AUTO:
        return Condition(name, True, "-", "none", "the policy is auto")
    if approval is None or approval.version != evidence.candidate:
        return Condition(name, False, "-", threshold, _asked(others))
    value = f"{approval.by}, {approval.at:%Y-%m-%d %H:%M}"
    if approval.evidence != digest:
        why = f"the evidence has changed since it was approved; {_asked(others)}"
        return Condition(name, False, value, threshold, why)
    return Condition(name, True, value, threshold, approval.reason)


def _asked(others: Sequence[str]) -> str:
    """Whether it is a person's turn."""
    if others:
        return f"nobody is asked yet: first {', '.join(others)} must open"
    return "waits for a person (job approve_promotion)"


def _difference(rows: pd.DataFrame, ours: Floats, theirs: Floats) -> Difference:
    y = rows["outcome"].to_numpy(np.int64)
    return paired_difference(metrics.rps(ours, y), metrics.rps(theirs, y))


def spell(one: Difference) -> str:
    """A difference with its interval."""
    if one.mean is None:
        return "-"
    return f"{one.mean:+.5f}" + ("" if one.low is None else f" [{one.low:+.5f}, {one.high:+.5f}]")


def digest_of(evidence: Evidence, conditions: Sequence[Condition]) -> str:
    """What a person's approval refers to: it changes when any line of the verdict does."""
    facts = [evidence.candidate, evidence.production, [asdict(condition) for condition in conditions]]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]
