"""A candidate that has learnt from the running season: only its forecasts of later matches are evidence."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pandas as pd
import pytest

from features.io import report_files
from features.io.registry import PRODUCTION, STAGING
from features.io.sources.bundled import COMPETITION
from features.io.store import week_of
from monitoring.conditions import Policy
from orchestration.definitions import build
from orchestration.partitions import FIRST_WEEK, RANGE_END, RANGE_START, weeks
from orchestration.promotion.retraining import retraining_config
from orchestration.steps import lake_tables

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

TRAINED = datetime(2025, 10, 3, 12, tzinfo=UTC)
"""A Friday; six rounds have been played."""


def run(home: Any, job: str, **options: Any) -> None:
    """Run a job as of the home's time, under the automatic policy."""
    settings = home.settings.model_copy(update={"promotion_policy": Policy.AUTO})
    with home.instance() as instance:
        assert build(settings).resolve_job_def(job).execute_in_process(instance=instance, **options).success


def week_passes(home: Any) -> None:
    """What follows a week of new results: ratings, forecasts and shadow forecasts of the weeks that they affect."""
    latest = week_of(home.settings.as_of - timedelta(weeks=2))
    affected = {RANGE_START: latest, RANGE_END: weeks.get_last_partition_key()}
    for job in ("refresh_matches", "update_ratings"):
        run(home, job, partition_key=COMPETITION)
    for job in ("publish_forecasts", "forecast_shadow"):
        run(home, job, tags=affected)


def judged(home: Any) -> dict[str, dict[str, Any]]:
    run(home, "settle_forecasts", tags={RANGE_START: FIRST_WEEK, RANGE_END: weeks.get_last_partition_key()})
    run(home, "report_drift", partition_key=week_of(home.settings.as_of - timedelta(weeks=1)))
    week = week_of(home.settings.as_of - timedelta(weeks=1))
    digest = report_files.drift_summary(home.lake, week)["digest"]
    form = {"week": week, "name": "Ada", "note": "looked at", "evidence": digest}
    run(home, "review_drift", run_config={"ops": {"record_review": {"config": form}}})
    return {
        condition["name"]: condition for condition in home.lake.read_json(report_files.PROMOTION_GATE)["conditions"]
    }


def test_candidate_gathers_evidence_week_by_week(fresh) -> None:
    """Its only evidence is forecasts of upcoming matches."""
    home = fresh(TRAINED)
    home.run()
    run(home, "train_model", run_config=retraining_config("weekly schedule"))
    candidate = home.registry.by_alias(STAGING)
    assert (candidate.version, home.registry.by_alias(PRODUCTION).version) == (2, 1)
    assert candidate.trained_through > datetime(2025, 9, 1, tzinfo=UTC), "it has learnt from this season"
    week_passes(home)
    few = judged(home)
    assert not few["enough_matches"]["open"]
    assert "too few" in few["enough_matches"]["why"]

    as_of, conditions = TRAINED, few
    while not conditions["enough_matches"]["open"]:
        assert as_of < datetime(2026, 3, 1, tzinfo=UTC), conditions
        as_of += timedelta(weeks=1)
        home = home.at(as_of)
        week_passes(home)
        if as_of >= datetime(2025, 12, 26, tzinfo=UTC):  # by then a hundred matches have been played
            conditions = judged(home)
    shadows = lake_tables.read_weeks(home.lake, "shadow_forecasts")
    assert set(shadows["model_version"]) == {2}
    assert (shadows["published_at"] >= pd.Timestamp(TRAINED)).all(), "it has no forecasts from before its training"
    assert (shadows["published_at"] < shadows["kick_off"]).all()
    assert (shadows["features_as_of"] < shadows["kick_off"]).all()
    assert [name for name, condition in conditions.items() if not condition["open"]] == []
    assert isinstance(home.lake.read_json(report_files.PROMOTION_GATE)["judged_since"], str)
    run(home, "promote_model")
    assert home.registry.by_alias(PRODUCTION).version == 2
    with home.instance() as instance:
        assert instance.get_latest_materialization_event(dg.AssetKey("production_model")) is not None
