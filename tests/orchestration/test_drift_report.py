"""The drift report as Dagster makes it: which columns it watches, what the UI shows, what it writes to the lake."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd
import pytest

from features.forecasts import SCHEMA
from features.io.clock import Clock
from features.io.registry import LoadedModel, ModelVersion
from features.io.sources import bundled
from features.io.store import Lake
from features.matches import OUTCOMES, Status, as_known_at
from features.matrix import FEATURE_GROUPS, GOAL_FEATURES, SHOT_FEATURES, FeatureGroup, feature_frame
from features.rating_history import compute_ratings
from monitoring.drift import WINDOW
from orchestration.assets.drift_report import drift_report
from orchestration.settings import PipelineSettings

pytestmark = pytest.mark.medium

AS_OF = bundled.REPLAY_AS_OF
WEEK = "2026-03-02"
SHOTS = (*GOAL_FEATURES, *SHOT_FEATURES)
IN_PRODUCTION = 7


class Elo:
    """A model that needs no training."""

    def predict_proba(self, x: np.ndarray) -> np.ndarray:
        home = 1 / (1 + np.exp(-4 * x[:, 0]))
        return np.column_stack([0.75 * home, 0.2 + 0.1 * home, 0.8 - 0.85 * home])


class Production:
    """A registry that knows the version in production."""

    def by_alias(self, alias: str) -> ModelVersion:
        return ModelVersion(IN_PRODUCTION, "run", AS_OF, {"trained_through": "2025-05-25T15:00:00+00:00"})

    def load(self, version: ModelVersion) -> LoadedModel:
        return LoadedModel(version, Elo(), SHOTS)


@pytest.fixture(scope="module")
def features() -> pd.DataFrame:
    """Features of the running season and of its reference seasons."""
    matches = as_known_at(bundled.load(), AS_OF)
    states = compute_ratings(matches)
    frame = feature_frame(matches, states.home, states.away)
    # the bundled data has no shots, so their ratings never change; noise stands for those of a source with shots
    noise = np.random.default_rng(0).normal(size=(len(frame), 4))
    frame[list(SHOTS[-4:])] = noise
    return frame[frame["season"] >= "2021-22"].reset_index(drop=True)


@pytest.fixture
def lake(tmp_path: Path, features: pd.DataFrame) -> Lake:
    lake = Lake(str(tmp_path))
    lake.write_table("match_features", bundled.COMPETITION, features)
    return lake


def watch(lake: Lake, **settings: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The metadata in the UI, and the summary in the lake."""
    all_settings = PipelineSettings(as_of=AS_OF, mlflow_tracking_uri="http://127.0.0.1:9", **settings)
    resources = {"lake": lake, "registry": Production(), "clock": Clock(all_settings), "settings": all_settings}
    run = dg.materialize([drift_report], partition_key=WEEK, resources=resources)
    seen = run.asset_materializations_for_node("drift_report")[0].metadata
    return dict(seen), lake.read_json(f"reports/drift/week={WEEK}/summary.json")


def publish(lake: Lake, features: pd.DataFrame, version: int, triple: tuple[float, float, float]) -> None:
    """Write forecasts of the season's played matches, all with the same probabilities."""
    rows = features[(features["season"] == "2025-26") & (features["status"] == Status.PLAYED)]
    day = pd.Timedelta(days=2)
    table = rows[["match_id", "competition", "season", "kick_off", "home_team", "away_team"]].assign(
        **dict(zip(OUTCOMES, triple, strict=True)),
        predicted_outcome="home",
        model_version=version,
        trained_through=pd.Timestamp("2025-05-25", tz="UTC"),
        features_as_of=rows["kick_off"] - day,
        published_at=rows["kick_off"] - day,
    )
    lake.write_table("forecasts", WEEK, table, schema=SCHEMA)


def test_what_the_model_uses_is_watched_and_shown(lake: Lake) -> None:
    seen, summary = watch(lake)
    assert [column["column"] for column in summary["columns"]] == [*SHOTS, *OUTCOMES]
    assert summary["state"] == seen["state"].value == "stable"
    assert seen["share"].value == 0
    assert seen["matches"].value == WINDOW
    assert all(f"| {name} |" in seen["columns"].value.replace("\\", "") for name in (*SHOTS, *OUTCOMES))
    assert seen["in_the_lake"].value == f"{lake.root}/reports/drift/week={WEEK}/report.html"
    page = lake.read_bytes(f"reports/drift/week={WEEK}/report.html").decode()
    assert f"Drift, week of {WEEK}: no drift" in page


def test_odds_are_monitored_through_the_forecasts(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """A match may have no odds."""
    column_counts: list[int] = []

    class WithOdds(Elo):
        def predict_proba(self, x: np.ndarray) -> np.ndarray:
            column_counts.append(x.shape[1])
            return super().predict_proba(x)

    names = FEATURE_GROUPS[FeatureGroup.SHOTS_AND_ODDS]
    monkeypatch.setattr(Production, "load", lambda _, version: LoadedModel(version, WithOdds(), names))
    _, summary = watch(lake)
    assert [column["column"] for column in summary["columns"]] == [*SHOTS, *OUTCOMES]
    assert column_counts == [len(names)], "the model gets the odds and the number of matches with shots"


def test_report_is_linked_if_the_api_address_is_set(lake: Lake) -> None:
    seen, _ = watch(lake, public_api_url="https://api.example/")
    assert isinstance(seen["report"], dg.UrlMetadataValue)
    assert seen["report"].value == f"https://api.example/monitoring/drift/{WEEK}/report"
    unknown, _ = watch(lake, public_api_url="")
    assert unknown["report"].value == f"GET /monitoring/drift/{WEEK}/report of the API"


def test_report_made_again_keeps_its_review(lake: Lake) -> None:
    _, first = watch(lake)
    _, again = watch(lake)
    assert again["digest"] == first["digest"]


def test_published_forecasts_are_monitored(lake: Lake, features: pd.DataFrame) -> None:
    publish(lake, features, IN_PRODUCTION, (0.98, 0.01, 0.01))
    seen, summary = watch(lake)
    assert summary["as_published"] == WINDOW
    assert summary["drifted"] == list(OUTCOMES), "the published forecasts are wrong, the features right"
    assert seen["state"].value == "drift"
    assert seen["share"].value == pytest.approx(3 / len(summary["columns"]))


def test_what_an_earlier_version_published_is_no_drift(lake: Lake, features: pd.DataFrame) -> None:
    publish(lake, features, IN_PRODUCTION - 1, (0.98, 0.01, 0.01))
    _, summary = watch(lake)
    assert summary["as_published"] == 0
    assert summary["state"] == "stable"
