"""The reports that the pipeline writes to the lake, on generated forecasts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from features.io.sources import bundled
from features.io.store import Lake
from features.matches import as_known_at
from monitoring.conditions import Evidence
from monitoring.drift import REFERENCE_SEASONS, calibrate, drift_report, review
from monitoring.freshness import freshness_report
from monitoring.gate import evaluate, to_dict
from monitoring.performance import performance_report

AS_OF = bundled.REPLAY_AS_OF
OUTCOMES = ("home", "draw", "away")
COLUMNS = ("elo", "pi", *OUTCOMES)


def settled(n: int = 150) -> pd.DataFrame:
    """A season of settled forecasts in which the model knows more than the references."""
    generator = np.random.default_rng(0)
    p = generator.dirichlet([5, 3, 4], n)
    flat = np.tile(p.mean(axis=0), (n, 1))
    y = (generator.random((n, 1)) > p.cumsum(axis=1)[:, :2]).sum(axis=1)
    rows = pd.DataFrame(p, columns=list(OUTCOMES)).assign(
        match_id=[f"m{i}" for i in range(n)],
        competition=bundled.COMPETITION,
        season="2025-26",
        kick_off=pd.date_range("2025-08-16", periods=n, freq="D", tz="UTC"),
        model_version=2,
        trained_through=pd.Timestamp("2025-05-25", tz="UTC"),
        features_as_of=pd.date_range("2025-08-15", periods=n, freq="D", tz="UTC"),
        outcome=y,
        rps=0.2,
    )
    for name, triple in (("elo", 0.5 * p + 0.5 * flat), ("base", flat), ("market", p)):
        rows[[f"{name}_{outcome}" for outcome in OUTCOMES]] = triple
    return rows


def drift_frame() -> pd.DataFrame:
    matches = bundled.load()
    frame = matches.loc[matches["season"] >= "2022-23", ["competition", "season", "kick_off"]].copy()
    values = np.random.default_rng(0).normal(size=(len(frame), len(COLUMNS)))
    return frame.assign(as_published=True, **dict(zip(COLUMNS, values.T, strict=True)))


def drift_summary() -> dict[str, Any]:
    """The drift summary of the week of 2026-03-09: it has a reference but too few seasons to calibrate thresholds."""
    frame = drift_frame()
    assert frame["season"].nunique() == REFERENCE_SEASONS + 1
    return drift_report(frame, "2026-03-09", calibrate(frame, COLUMNS)).summary


def write_reports(lake: Lake) -> None:
    """Write every report of the pipeline to the lake, with the pipeline's own functions."""
    matches = as_known_at(bundled.load(), AS_OF)
    moments = dict.fromkeys(("published_at", "features_as_of"), pd.Timestamp(AS_OF))
    forecasts = pd.DataFrame({"match_id": matches["match_id"].tail(100), "model_version": 1, **moments})
    fresh = freshness_report(matches, forecasts, 90, {bundled.COMPETITION: 1}, AS_OF, datetime.now(UTC), 1)
    lake.write_json("reports/freshness.json", fresh)
    rows = settled()
    lake.write_json("reports/performance.json", performance_report(rows, AS_OF))
    summary = drift_summary()
    lake.write_json("reports/drift/week=2026-03-09/summary.json", summary)
    lake.write_json("reports/drift/week=2026-03-09/review.json", review(summary, "Ada", "fine", AS_OF))
    evidence = Evidence(
        candidate=2,
        trained_through=datetime(2025, 5, 25, tzinfo=UTC),
        settled=rows,
        production=1,
        production_settled=rows.assign(home=1 / 3, draw=1 / 3, away=1 / 3),
        checks={"results.results_exist": True},
        drift=summary,
        review=None,
        as_of=AS_OF,
    )
    gate = to_dict(evaluate(evidence), evidence.as_of)
    gate |= {"waiting_since": (AS_OF - timedelta(days=1)).isoformat(), "undecided_production": None}
    lake.write_json("reports/gate.json", gate)
    lake.write_json("reports/promotions.json", {"promotions": [{"action": "promote", "at": AS_OF.isoformat()}]})
