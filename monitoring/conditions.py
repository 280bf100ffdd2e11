"""The conditions of the promotion gate. Each is a pure function from the evidence to one line of the decision.

Missing, empty or stale evidence fails a condition.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features import metrics
from monitoring.calibration import calibration_limit
from monitoring.differences import Difference, paired_difference
from monitoring.performance import probability_columns
from monitoring.production_comparison import Comparison, compare
from monitoring.sample_size import MIN_MATCHES

Floats = NDArray[np.float64]

NON_INFERIORITY_MARGIN = 0.001
"""Largest RPS difference by which a candidate may be worse than production, at the upper bound of the difference.

It is half a per cent of a typical RPS of 0.2. A retrained copy passes on a hundred matches. A different model needs
clear evidence that it is as good or better. A candidate that is significantly worse fails even if the difference is
small, because many small losses would add up.
"""

DRIFT_MAX_AGE = timedelta(days=15)
"""Maximum age of a drift report, from the Monday of its week. A week's report is made on the Monday after it, so
the newest report is older than 15 days only if one is missing. The alert on a missing report uses the same limit."""

CALIBRATION_LEVEL = 0.99


class Policy(StrEnum):
    """Whether a person must approve a promotion."""

    MANUAL = "manual"
    AUTO = "auto"


@dataclass(frozen=True)
class Approval:
    """A person's approval of one version, valid for one state of the evidence (`GateDecision.evidence_digest`)."""

    version: int
    by: str
    reason: str
    evidence_digest: str
    at: datetime


@dataclass(frozen=True)
class Evidence:
    """Everything that a decision depends on.

    Attributes
    ----------
    candidate : version to be promoted.
    trained_through : kick-off of the last match in its training data.
    settled : settled shadow forecasts of the candidate, columns of `monitoring.settlement.SCHEMA`.
    production, production_settled : the version in production and its settled forecasts; None without one.
    checks : newest results of the critical data checks by name, True if passed.
    drift : newest drift summary (`monitoring.drift.DriftReport.summary`); None without one.
    review : review of that summary (`monitoring.drift.review`); None without one.
    as_of : time of the evaluation, timezone-aware.
    policy, approval : whether a person must approve, and the approval if there is one.
    shadow_forecasts : number of matches with a shadow forecast by the candidate, settled or not.
    upcoming_matches : number of known fixtures that have not kicked off.
    candidate_run : id of the training run, a random number, so that the digest cannot be computed elsewhere.
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
    shadow_forecasts: int = 0
    upcoming_matches: int = 0
    candidate_run: str = ""


@dataclass(frozen=True)
class Condition:
    """One line of a decision.

    Attributes
    ----------
    name : identifier of the condition.
    passed : whether it is met.
    value, threshold : what was measured, and what is required.
    why : explanation for a person.
    """

    name: str
    passed: bool
    value: str
    threshold: str
    why: str

    def to_dict(self) -> dict[str, Any]:
        """Convert the condition to its form in `reports/gate.json`, which calls `passed` `open`."""
        return {
            "name": self.name,
            "open": self.passed,
            "value": self.value,
            "threshold": self.threshold,
            "why": self.why,
        }


def evaluate_conditions(evidence: Evidence, comparison: Comparison | None) -> tuple[Condition, ...]:
    """Evaluate every condition except the approval, with the result of `compare_with_production`."""
    return (
        _enough_matches(evidence),
        _trained_before(evidence),
        _beats_base_rate(evidence),
        _beats_plain_elo(evidence),
        _not_worse(evidence, comparison),
        _calibrated(evidence),
        _checks_pass(evidence),
        _drift_reviewed(evidence),
    )


def _enough_matches(evidence: Evidence) -> Condition:
    """Check that enough shadow forecasts are settled; if not, `why` says what is missing."""
    n = len(evidence.settled)
    missing = MIN_MATCHES - n
    if missing <= 0:
        why = f"{n} shadow forecasts are settled"
    elif not evidence.shadow_forecasts:
        why = "too few settled matches: no shadow forecasts yet (made automatically, or by the job forecast_shadow)"
    else:
        why = (
            f"too few settled matches: {n} of {evidence.shadow_forecasts} shadow forecasts are settled, "
            f"{missing} more are needed"
        )
        if evidence.upcoming_matches < missing:
            why += (
                f", but only {evidence.upcoming_matches} upcoming matches are known: wait for the fixtures of the next "
                f"season; matches up to the end of training, {evidence.trained_through:%Y-%m-%d}, do not count"
            )
        else:
            why += "; they are made every week together with production's, and settle when the matches are played"
    return Condition("enough_matches", missing <= 0, str(n), f">= {MIN_MATCHES}", why)


def _trained_before(evidence: Evidence) -> Condition:
    """Check that the candidate itself made the forecasts, for matches after its training data."""
    rows, through = evidence.settled, pd.Timestamp(evidence.trained_through)
    threshold = "before the first evaluated match"
    if rows.empty:
        return Condition("trained_before_evaluation", False, str(through), threshold, "no forecast is settled")
    first = rows["kick_off"].min()
    n_foreign = int((rows["model_version"] != evidence.candidate).sum())
    n_leaked = int(((rows["kick_off"] <= through) | (rows["trained_through"] < through)).sum())
    if n_foreign:
        why = f"{n_foreign} forecasts were made by another version"
    elif n_leaked:
        why = (
            f"{n_leaked} of the evaluated matches are in its training data, or were forecast by a model "
            "trained on less data"
        )
    else:
        why = f"trained through {through:%Y-%m-%d}, evaluated from {first:%Y-%m-%d} on"
    passed = not n_foreign and not n_leaked
    return Condition("trained_before_evaluation", passed, f"{through:%Y-%m-%d}", threshold, why)


def _beats_base_rate(evidence: Evidence) -> Condition:
    """Check that it is significantly better than the base rate, the minimum for any useful forecaster."""
    name, threshold = "beats_base_rate", "95 % interval of the RPS difference ends below 0"
    difference = _compare_with_baseline(evidence.settled, "base")
    value, n = format_difference(difference), difference.n
    if n < MIN_MATCHES or difference.high is None or difference.mean is None:
        return Condition(name, False, value, threshold, f"only {n} matches to compare with the base rate")
    if difference.high < 0:
        why = f"better than the base rate on {n} settled matches"
    elif difference.mean < 0:
        why = f"better than the base rate on {n} settled matches, but not significantly"
    else:
        why = f"not better than the base rate on {n} settled matches"
    return Condition(name, difference.high < 0, value, threshold, why)


def _beats_plain_elo(evidence: Evidence) -> Condition:
    """Check that it is better than plain Elo on average.

    Significance is not required: the advantage of a good model over plain Elo is smaller than the noise of a season, so
    no model would pass. `_not_worse` makes sure that a candidate is not worse than production.
    """
    name, threshold = "beats_plain_elo", "mean RPS difference < 0"
    difference = _compare_with_baseline(evidence.settled, "elo")
    value, n = format_difference(difference), difference.n
    if n < MIN_MATCHES or difference.mean is None:
        return Condition(name, False, value, threshold, f"only {n} matches to compare with plain Elo")
    is_better = difference.mean < 0
    why = f"{'better' if is_better else 'not better'} than plain Elo on {n} settled matches"
    return Condition(name, is_better, value, threshold, why)


def _compare_with_baseline(rows: pd.DataFrame, baseline: str) -> Difference:
    complete = np.flatnonzero(np.isfinite(probability_columns(rows, baseline)).all(axis=1))
    model, reference = probability_columns(rows, "model")[complete], probability_columns(rows, baseline)[complete]
    return _rps_difference(rows.iloc[complete], model, reference)


def compare_with_production(evidence: Evidence) -> Comparison | None:
    """Compare on the matches that both forecast from the same results; None if there is nothing to compare with."""
    production_rows = evidence.production_settled
    if evidence.production is None or production_rows is None or production_rows.empty:
        return None
    both = evidence.settled.merge(production_rows, on="match_id", suffixes=("", "_production"))
    both = both[both["features_as_of"] == both["features_as_of_production"]]
    production = both[[f"{outcome}_production" for outcome in ("home", "draw", "away")]].to_numpy(float)
    return compare(both, production, NON_INFERIORITY_MARGIN)


def _not_worse(evidence: Evidence, comparison: Comparison | None) -> Condition:
    """Check that the results, or the closing odds, show that it is not worse than production, and no result objects.

    Both witnesses have half of the error of 5 %, and it holds for all looks together: promotions may be decided daily.
    """
    name = "not_worse_than_production"
    threshold = (
        f"RPS difference below {NON_INFERIORITY_MARGIN} by results or by closing odds, and not above 0 by results"
    )
    if evidence.production is None:
        return Condition(name, True, "-", threshold, "there is no version in production yet")
    if comparison is None:
        return Condition(name, False, "-", threshold, "production has no settled forecasts to compare with")
    difference, market = comparison.results.difference, comparison.market
    value, n = format_difference(difference), difference.n
    if market is not None:
        value += f"; by the odds of {market.difference.n} matches {format_difference(market.difference)}"
    if n < MIN_MATCHES or difference.mean is None:
        why = f"only {n} settled matches in common with production, forecast from the same results"
        return Condition(name, False, value, threshold, why)
    against = f"version {evidence.production} on the same {n} matches"
    if comparison.is_worse:
        return Condition(name, False, value, threshold, f"worse than {against}")
    if comparison.shown_by_results:
        return Condition(name, True, value, threshold, f"not worse than {against}")
    if comparison.shown_by_market:
        return Condition(name, True, value, threshold, f"not worse than {against}, by the closing odds")
    tendency = "worse" if difference.mean > 0 else "better"
    why = f"{tendency} than {against}, but the bounds are too wide{_outlook(comparison)}"
    return Condition(name, False, value, threshold, why)


def _outlook(comparison: Comparison) -> str:
    """Say how many matches would be enough, if later ones are like these, and why the odds are not believed."""
    market = comparison.market
    parts = [f"; {comparison.results.needed} matches would be enough"] if comparison.results.needed else []
    if comparison.market_rejection:
        parts.append(f"; {comparison.market_rejection}")
    elif market is not None and market.needed:
        parts.append(f"; {market.needed} with odds would be enough")
    return "".join(parts)


def _calibrated(evidence: Evidence) -> Condition:
    name, rows = "calibrated", evidence.settled
    if rows.empty:
        return Condition(name, False, "-", "-", "no forecast is settled")
    p, y = probability_columns(rows, "model"), rows["outcome"].to_numpy(np.int64)
    error, limit = metrics.calibration_error(p, y), calibration_limit(p, CALIBRATION_LEVEL)
    passed = error <= limit
    relation = "within" if passed else "above"
    why = f"calibration error is {relation} the limit that a perfect model meets 99 times in 100 on {len(rows)} matches"
    return Condition(name, passed, f"{error:.4f}", f"<= {limit:.4f}", why)


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
        return Condition(name, False, value, threshold, "not reviewed yet (job review_drift)")
    if review.get("report") != report["digest"]:
        return Condition(name, False, value, threshold, "the report has changed since it was reviewed")
    return Condition(name, True, value, threshold, f"reviewed by {review['by']}: {review['note']}")


def approved(evidence: Evidence, digest: str, failed: Sequence[str]) -> Condition:
    """Evaluate the approval.

    Parameters
    ----------
    digest : `compute_evidence_digest` of the other conditions.
    failed : names of the other conditions that failed; an approval is requested when none fails.
    """
    name, threshold, approval = "approved", "a person's approval of this evidence", evidence.approval
    if evidence.policy is Policy.AUTO:
        return Condition(name, True, "-", "none", "the policy is auto")
    if approval is None or approval.version != evidence.candidate:
        return Condition(name, False, "-", threshold, _approval_status(failed))
    value = f"{approval.by}, {approval.at:%Y-%m-%d %H:%M}"
    if approval.evidence_digest != digest:
        why = f"the evidence has changed since the approval; {_approval_status(failed)}"
        return Condition(name, False, value, threshold, why)
    return Condition(name, True, value, threshold, approval.reason)


def _approval_status(failed: Sequence[str]) -> str:
    if failed:
        return f"approval not requested yet: {', '.join(failed)} must pass first"
    return "waiting for approval (job approve_promotion)"


def _rps_difference(rows: pd.DataFrame, model: Floats, reference: Floats) -> Difference:
    y = rows["outcome"].to_numpy(np.int64)
    return paired_difference(metrics.rps(model, y), metrics.rps(reference, y))


def format_difference(difference: Difference) -> str:
    """Format a difference with its interval."""
    if difference.mean is None:
        return "-"
    interval = "" if difference.low is None else f" [{difference.low:+.5f}, {difference.high:+.5f}]"
    return f"{difference.mean:+.5f}{interval}"


def compute_evidence_digest(evidence: Evidence, conditions: Sequence[Condition]) -> str:
    """Compute the hash that an approval refers to; it changes whenever a line of the decision changes."""
    facts: list[Any] = [evidence.candidate, evidence.production, [condition.to_dict() for condition in conditions]]
    facts += [evidence.candidate_run] if evidence.candidate_run else []
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]
