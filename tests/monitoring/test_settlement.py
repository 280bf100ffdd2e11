"""Settlement: each match is scored once, by a forecast published before kick-off."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from features import metrics
from features.errors import InvalidInputError
from features.io.sources import bundled
from features.matches import Status, conform
from monitoring.settlement import SCHEMA, Settlement, settle

KICK_OFF = datetime(2026, 3, 7, 15, tzinfo=UTC)
AS_OF = datetime(2026, 3, 13, 12, tzinfo=UTC)
MATCH = "eng-premier-league-2025-26-a-b"
NO_ELO = pd.DataFrame({"match_id": pd.Series(dtype="str"), "elo_home": [], "elo_draw": [], "elo_away": []})


def match(**changes: Any) -> dict[str, Any]:
    return {
        "match_id": MATCH,
        "competition": "eng-premier-league",
        "season": "2025-26",
        "kick_off": KICK_OFF,
        "kick_off_exact": True,
        "home_team": "A",
        "away_team": "B",
        "neutral": False,
        "status": Status.PLAYED.value,
        "awarded": False,
        "home_goals": 2.0,
        "away_goals": 1.0,
        "source": "test",
    } | changes


def row(**changes: Any) -> dict[str, Any]:
    return {
        "match_id": MATCH,
        "competition": "eng-premier-league",
        "season": "2025-26",
        "kick_off": KICK_OFF,
        "home_team": "A",
        "away_team": "B",
        "home": 0.5,
        "draw": 0.3,
        "away": 0.2,
        "predicted_outcome": "home",
        "model_version": 1,
        "trained_through": datetime(2025, 5, 25, tzinfo=UTC),
        "features_as_of": KICK_OFF - timedelta(days=7),
        "published_at": KICK_OFF - timedelta(days=5),
    } | changes


def settled(rows: list[dict[str, Any]], matches: list[dict[str, Any]], **options: Any) -> Settlement:
    table = conform(pd.DataFrame(matches))
    return settle(pd.DataFrame(rows), table, NO_ELO, options.pop("as_of", AS_OF), **options)


def reasons(settlement: Settlement) -> list[str]:
    return settlement.unsettled["reason"].tolist()


def test_a_forecast_published_before_kick_off_is_scored_as_published() -> None:
    rows = settled([row()], [match()]).settled
    assert list(rows.columns) == SCHEMA.names
    p, y = np.array([[0.5, 0.3, 0.2]]), np.array([0])
    assert rows.loc[0, ["home_goals", "away_goals", "outcome"]].tolist() == [2, 1, 0]
    assert rows.loc[0, "rps"] == metrics.rps(p, y)[0] == pytest.approx((0.25 + 0.04) / 2)
    assert rows.loc[0, "log_loss"] == pytest.approx(-np.log(0.5))
    assert rows.loc[0, "brier"] == pytest.approx(0.25 + 0.09 + 0.04)
    assert rows.loc[0, "settled_at"] == pd.Timestamp(AS_OF)


@pytest.mark.parametrize(
    "changes",
    [
        {"published_at": KICK_OFF},
        {"published_at": KICK_OFF + timedelta(days=1)},
        {"features_as_of": KICK_OFF},
        {"trained_through": KICK_OFF + timedelta(hours=1)},
    ],
)
def test_a_forecast_made_after_the_fact_is_never_scored(changes: dict[str, Any]) -> None:
    settlement = settled([row(**changes)], [match()])
    assert settlement.settled.empty
    assert reasons(settlement) == ["published, trained or computed from results after kick-off"]


def test_a_match_moved_forward_past_its_publication_is_not_scored() -> None:
    earlier = match(kick_off=KICK_OFF - timedelta(days=5, hours=1))
    assert settled([row()], [earlier]).settled.empty


def test_only_the_last_forecast_before_kick_off_is_scored() -> None:
    """Of several forecasts, only the last one before kick-off is scored."""
    first, last = row(home=0.4, draw=0.3, away=0.3), row(published_at=KICK_OFF - timedelta(hours=1))
    too_late = row(published_at=KICK_OFF + timedelta(hours=1), home=1.0, draw=0.0, away=0.0)
    settlement = settled([first, last, too_late], [match()])
    assert settlement.settled["home"].tolist() == [0.5]
    assert sorted(reasons(settlement)) == [
        "a later forecast was published before kick-off",
        "published, trained or computed from results after kick-off",
    ]


def test_settled_forecasts_survive_a_corrected_score() -> None:
    """A settled match is not settled again, even when its score is corrected."""
    settlement = settled([row()], [match(home_goals=0.0)], already_settled=[MATCH])
    assert settlement.settled.empty
    assert reasons(settlement) == ["already settled"]


def test_a_postponed_match_is_scored_in_the_week_it_is_played() -> None:
    """A postponed match is scored in the week in which it is played."""
    waiting = settled([row()], [match(status=Status.POSTPONED.value, home_goals=np.nan, away_goals=np.nan)])
    assert reasons(waiting) == ["postponed"]
    played_later = match(kick_off=KICK_OFF + timedelta(days=28))
    later = {"as_of": AS_OF + timedelta(days=40)}
    assert reasons(settled([row()], [played_later], week="2026-03-02", **later)) == ["played in another week"]
    assert len(settled([row()], [played_later], week="2026-03-30", **later).settled) == 1
    again = row(kick_off=KICK_OFF + timedelta(days=28), published_at=KICK_OFF + timedelta(days=20), home=0.6, draw=0.2)
    both = settled([row(), again], [played_later], week="2026-03-30", **later)
    assert both.settled["home"].tolist() == [0.6]


def test_an_awarded_match_is_void() -> None:
    assert reasons(settled([row()], [match(awarded=True)])) == ["awarded: void"]


def test_a_result_that_was_not_known_at_the_time_is_not_used() -> None:
    settlement = settled([row()], [match()], as_of=KICK_OFF + timedelta(hours=1))
    assert reasons(settlement) == ["no result yet"]


def test_a_forecast_of_a_match_that_no_longer_exists_is_left_out() -> None:
    assert reasons(settled([row(match_id="eng-premier-league-2025-26-a-c")], [match()])) == [
        "the match is not in the matches table"
    ]


def test_a_match_that_is_twice_in_the_table_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="duplicate match_id"):
        settled([row()], [match(), match()])


def test_nothing_published_settles_to_nothing() -> None:
    empty = pd.DataFrame([row()]).iloc[:0]
    assert settle(empty, conform(pd.DataFrame([match()])), NO_ELO, AS_OF).settled.empty


def test_market_is_closing_odds_else_earlier_else_missing() -> None:
    """The market is the closing odds without the margin, else the earlier odds, else missing."""
    odds = {"odds_home": 2.0, "odds_draw": 4.0, "odds_away": 4.0}
    closing = {"closing_home": 1.6, "closing_draw": 4.0, "closing_away": 8.0}
    columns = ["market_home", "market_draw", "market_away"]
    assert settled([row()], [match(**odds)]).settled.loc[0, columns].tolist() == [0.5, 0.25, 0.25]
    assert settled([row()], [match(**odds, **closing)]).settled.loc[0, columns].tolist() == pytest.approx(
        [0.625, 0.25, 0.125]
    )
    assert settled([row()], [match()]).settled.loc[0, columns].isna().all()
    broken = odds | {"odds_away": 0.0}
    assert settled([row()], [match(**broken)]).settled.loc[0, columns].isna().all()


def test_the_base_rate_ends_where_the_training_ended() -> None:
    matches = bundled.load()
    last = matches[matches["season"] == "2025-26"].iloc[100]
    through = matches.loc[matches["season"] == "2024-25", "kick_off"].max()
    published = row(
        match_id=last.match_id,
        kick_off=last.kick_off,
        trained_through=through,
        features_as_of=last.kick_off - timedelta(days=3),
        published_at=last.kick_off - timedelta(days=2),
    )
    rows = settle(pd.DataFrame([published]), matches, NO_ELO, AS_OF).settled
    before = matches[matches["kick_off"] <= through]
    home_wins = float((before["home_goals"] > before["away_goals"]).mean())
    assert rows.loc[0, "base_home"] == pytest.approx(home_wins)
    assert rows.loc[0, ["base_home", "base_draw", "base_away"]].sum() == pytest.approx(1)
