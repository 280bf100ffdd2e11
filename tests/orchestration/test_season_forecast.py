"""The simulated final table, from what the lake holds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd
import pytest

from features.io.registry import LoadedModel, ModelVersion
from features.io.sources import bundled
from features.io.store import Lake
from features.matches import ODDS, SCHEMA, Status, as_known_at
from features.matrix import GOAL_FEATURES, ODDS_FEATURES
from features.rating_history import compute_ratings
from orchestration.assets.season_forecast import season_forecast
from orchestration.settings import PipelineSettings
from tests.support.fakes import EloModel

pytestmark = pytest.mark.medium

AS_OF = bundled.REPLAY_AS_OF


NAMES = ("elo", *ODDS_FEATURES)


class WithOdds(EloModel):
    """A model that repeats the odds of matches that have odds."""

    def predict_proba(self, x: np.ndarray) -> np.ndarray:
        probabilities = np.exp(np.insert(x[:, 1:], 1, 0.0, axis=1))
        return np.where(
            np.isnan(probabilities), super().predict_proba(x), probabilities / probabilities.sum(axis=1, keepdims=True)
        )


class OneVersion:
    """A registry with one version, in production."""

    version = ModelVersion(1, "run", AS_OF, {"trained_through": "2025-05-25T15:00:00+00:00"})

    def by_alias(self, _: str) -> ModelVersion:
        return self.version

    def load(self, version: ModelVersion) -> LoadedModel:
        return LoadedModel(version, EloModel(), GOAL_FEATURES)


def simulated(home: Path, matches: pd.DataFrame) -> tuple[pd.DataFrame, Mapping[str, Any]]:
    """Simulate the season from these matches alone; return the published table and the metadata."""
    settings = PipelineSettings(home=home)
    lake, (competition,) = Lake(settings.lake_root), matches["competition"].unique()
    lake.write_table("matches", competition, matches, SCHEMA)
    lake.write_table("team_states", competition, compute_ratings(matches).team_states)
    context = dg.build_asset_context(partition_key=competition)
    result = season_forecast(context, lake=lake, registry=OneVersion(), settings=settings)
    assert isinstance(result, dg.MaterializeResult)
    return lake.read_table("season_forecast", competition), result.metadata or {}


@pytest.fixture(scope="module")
def known_matches() -> pd.DataFrame:
    return as_known_at(bundled.load(), AS_OF)


def without_far_fixtures(matches: pd.DataFrame) -> pd.DataFrame:
    """The matches without fixtures later than the next fortnight."""
    near = matches["kick_off"] < pd.Timestamp(AS_OF) + pd.Timedelta(days=14)
    return matches[near | (matches["status"] == Status.PLAYED)].reset_index(drop=True)


def test_unlisted_fixtures_are_simulated_too(known_matches, tmp_path) -> None:
    listed, all_listed = simulated(tmp_path / "all", known_matches)
    cut, some_listed = simulated(tmp_path / "some", without_far_fixtures(known_matches))
    assert all_listed["matches_to_come"] == some_listed["matches_to_come"] > 80
    assert listed["complete"].all()
    assert cut["complete"].all()
    points = [table.set_index("team")["expected_points"].sort_index() for table in (listed, cut)]
    np.testing.assert_allclose(points[0], points[1], atol=0.25)


def test_unknown_format_is_reported_as_incomplete(known_matches, tmp_path) -> None:
    final, metadata = simulated(tmp_path, without_far_fixtures(known_matches.assign(competition="sco-premiership")))
    assert not final["complete"].any()
    assert metadata["complete"] is False


def test_odds_that_are_known_move_the_table(known_matches, tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    at_home = known_matches["home_team"].eq("Everton") & (known_matches["status"] != Status.PLAYED)
    odds = pd.DataFrame([[1.05, 15.0, 40.0]] * len(known_matches), columns=list(ODDS)).where(at_home)
    priced = known_matches.assign(
        **odds, odds_known_at=pd.Series(pd.Timestamp(AS_OF), known_matches.index).where(at_home)
    )
    monkeypatch.setattr(OneVersion, "load", lambda _, version: LoadedModel(version, WithOdds(), NAMES))
    without, with_odds = (simulated(tmp_path / str(i), matches)[0] for i, matches in enumerate((known_matches, priced)))
    points = [table.set_index("team")["expected_points"]["Everton"] for table in (without, with_odds)]
    assert points[1] > points[0] + 2


def test_own_formats_and_rulings_make_the_table(known_matches, tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A league of one's own gets its zones, its missing fixtures and its deductions, and says what it assumes."""
    rulings = tmp_path / "rulings.csv"
    rulings.write_text(
        "competition,season,club,points,decided,reason\natl-island-league,2025-26,Arsenal,-6,2026-01-01,late accounts\n"
    )
    matches = without_far_fixtures(known_matches.assign(competition="atl-island-league"))
    assumed, before = simulated(tmp_path / "assumed", matches)
    assert not assumed["places_known"].any()
    assert any("are assumed" in sentence for sentence in before["caveats"])
    assert any("is not known: only the listed ones were simulated" in sentence for sentence in before["caveats"])
    monkeypatch.setenv("TOUCHLINE_RULINGS", str(rulings))
    monkeypatch.setenv("TOUCHLINE_FORMATS", '{"atl-island-league": {"meetings": 1, "down": 1, "down_play_off": 2}}')
    entered, after = simulated(tmp_path / "entered", matches)
    assert entered["complete"].all()
    assert entered["p_relegation"].sum() == pytest.approx(1)
    points = [table.set_index("team")["points"]["Arsenal"] for table in (assumed, entered)]
    assert points[0] - points[1] == 6
    assert json.loads(entered["caveats"].iloc[0]) == after["caveats"]
    assert after["caveats"][0] == "Points off the pitch that are included: Arsenal -6."
    zones = {zone["name"]: (zone["first"], zone["last"]) for zone in json.loads(entered["places"].iloc[0])}
    assert zones == {"Title": (1, 1), "Relegation play-off": (-3, -2), "Relegation": (-1, -1)}


def test_a_season_that_is_over_is_its_table(tmp_path) -> None:
    final, metadata = simulated(tmp_path, bundled.load())
    assert metadata["matches_to_come"] == 0
    assert final["p_title"].max() == 1
