"""Which matches count in a table, as exact tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from features.io.sources import football_data, openfootball
from features.league_rules import rules_of
from features.missing_fixtures import add_missing_fixtures, is_complete
from features.season_simulation import simulate
from features.table_matches import guest_clubs, in_table
from tests.support.seasons import FOUR_CLUBS, PLAY_OFFS, Score, round_robin, season_of

NO_FORECASTS = pd.DataFrame({"match_id": [], "home": [], "draw": [], "away": []})


def final(season: pd.DataFrame) -> pd.DataFrame:
    """The table of a season that is over."""
    season = add_missing_fixtures(season)
    return simulate(season, NO_FORECASTS, np.zeros((0, 2)), runs=1)


def ranked(table: pd.DataFrame) -> list[str]:
    """The clubs by their final position."""
    positions = table.filter(regex=r"^position_\d+$").to_numpy() @ np.arange(len(table))
    return [str(team) for team in table["team"].iloc[np.argsort(positions)]]


def test_play_offs_do_not_count_in_the_table() -> None:
    """Matches beyond one meeting at each ground leave points, played matches and the champion as they were."""
    season = season_of("eng-championship", "2026-27", [*FOUR_CLUBS, *PLAY_OFFS])
    table = final(season)
    # Leeds 2-0 1-0 1-1 0-1 1-0 2-0; Burnley 0-2 1-0 2-0 0-0 1-1 1-0
    points = dict(zip(table["team"], table["points"], strict=True))
    assert points == {"Leeds United": 13, "Burnley": 11, "Hull City": 5, "Stoke City": 4}
    assert table["played"].tolist() == [6, 6, 6, 6]
    assert table.set_index("team")["p_title"]["Leeds United"] == 1
    assert is_complete(season)
    assert in_table(season, rules_of("eng-championship", "2026-27")).sum() == 12


def test_a_play_off_that_is_still_to_come_needs_no_forecast_in_the_table() -> None:
    """The fixture of a final is simulated in no table."""
    season = season_of("eng-championship", "2026-27", [*FOUR_CLUBS, ("Hull City", "Burnley", None, None)])
    assert ranked(final(season))[0] == "Leeds United"


def test_clubs_of_another_tier_are_not_in_the_table() -> None:
    """A relegation play-off brings in guests; the last of the league are relegated, and not the guests."""
    clubs = [f"Club {letter}" for letter in "ABCDEF"]
    guests: list[Score] = [
        ("Guest One", "Guest Two", 2, 1),
        ("Guest One", "Club E", 1, 0),
        ("Club E", "Guest One", 3, 0),
    ]
    for competition in ("jpn-j1-league", "ned-eredivisie", "atl-island-league"):
        season = season_of(competition, "2019", [*round_robin(clubs), *guests])
        assert guest_clubs(season) == ["Guest One", "Guest Two"]
        table = final(season)
        assert ranked(table) == clubs
        assert table.set_index("team")["p_relegation"][["Club D", "Club F"]].tolist()[-1] == 1
        assert is_complete(season)


def test_a_club_with_few_matches_so_far_is_no_guest() -> None:
    """In autumn, a club whose matches were moved has few opponents, and still belongs to the table."""
    clubs = [f"Club {number}" for number in range(10)]
    early: list[Score] = [match for match in round_robin(clubs) if "Club 9" not in match[:2]][::2]
    season = season_of("nor-eliteserien", "2026", [*early, ("Club 9", "Club 0", 1, 1)])
    assert guest_clubs(season) == []


def test_a_season_that_its_league_ended_gets_no_more_fixtures(shared_data: Path) -> None:
    """Ligue 1 of 2019/20 ended after 279 matches: Paris is champion, and the last two by points per match are down."""
    file = shared_data / "openfootball" / "2019-20" / "fr.1.json"
    season = openfootball.parse(file.read_bytes(), file.name, "fra-ligue-1", "2019-20", "Europe/Paris").matches
    assert len(add_missing_fixtures(season)) == len(season) == 279
    assert is_complete(season)
    table = final(season)
    assert ranked(table)[:2] == ["Paris Saint-Germain", "Olympique Marseille"]
    assert table.loc[table["p_relegation"] == 1, "team"].tolist() == ["Amiens SC", "Toulouse FC"]
    before = season[season["kick_off"] < pd.Timestamp("2020-02-01", tz="UTC")]
    assert len(add_missing_fixtures(before)) == 380, "in January the league was going to play on"
    assert len(add_missing_fixtures(season, pd.Timestamp("2020-04-01", tz="UTC").to_pydatetime())) == 380


def test_a_season_without_a_match_for_months_is_over() -> None:
    """A format's missing fixtures are not added to a season whose last match is long ago, whatever the league."""
    season = season_of("tur-super-lig", "2025-26", FOUR_CLUBS[:9], first="2025-08-01")
    assert len(add_missing_fixtures(season, pd.Timestamp("2025-09-01", tz="UTC").to_pydatetime())) == 12
    assert len(add_missing_fixtures(season, pd.Timestamp("2026-06-01", tz="UTC").to_pydatetime())) == 9


def test_a_season_without_champion_has_none() -> None:
    """The Eredivisie of 2019/20 was ended without champion and relegation."""
    season = season_of("ned-eredivisie", "2019-20", FOUR_CLUBS, first="2020-02-26")
    table = final(season)
    assert table["p_title"].sum() == table["p_relegation"].sum() == 0


def test_points_per_match_rank_a_season_that_was_ended() -> None:
    """A club with fewer points from fewer matches may be above another."""
    scores: list[Score] = [("A", "B", 1, 0), ("B", "C", 2, 0), ("C", "B", 0, 1)]
    season = season_of("eng-league-one", "2019-20", scores, first="2020-03-08")
    assert ranked(final(season)) == ["A", "B", "C"]
    assert ranked(final(season.assign(competition="atl-island-league"))) == ["B", "A", "C"]


def test_deductions_of_the_championship_in_2021_22_count(shared_data: Path) -> None:
    """Derby lost 21 points and went down; Reading lost 6 and stayed."""
    file = shared_data / "footballdata" / "E1_2122.csv"
    season = football_data.parse(file.read_bytes(), file.name, "eng-championship", "2021-22", "E1").matches
    table = final(season).set_index("team")
    assert table["points"][["Derby County", "Reading"]].tolist() == [34, 41]
    assert table["p_relegation"][["Derby County", "Reading"]].tolist() == [1, 0]


def test_after_a_split_the_top_six_stay_above_the_others() -> None:
    """In Scotland, the seventh stays below the sixth after 33 matches, even with more points."""
    clubs = [f"Club {letter}" for letter in "ABCDEFGHIJKL"]
    thrice = [*round_robin(clubs), *[match for match in round_robin(clubs) if match[0] < match[1]]]
    top, bottom = clubs[:6], clubs[6:]
    after: list[Score] = [(home, "Club F", 1, 0) for home in top[:5]]
    after += [("Club G", away, 1, 0) for away in bottom[1:]]
    season = season_of("sco-premiership", "2010-11", [*thrice, *after], first="2010-08-01")
    table = final(season)
    points = table.set_index("team")["points"]
    assert points["Club G"] == 15 * 3 + 5 * 3
    assert points["Club F"] == 18 * 3
    assert ranked(table) == clubs
    assert table["team"].tolist() == clubs, "the table is ordered by place, not by points"
    assert table.set_index("team")["p_relegation"].sum() == 1


def test_halved_points_are_rounded_up_and_decide_with_the_play_off() -> None:
    """In Belgium, the first six keep half of their points; the others keep their places."""
    clubs = [f"Club {number:02d}" for number in range(16)]
    play_off: list[Score] = [("Club 01", "Club 00", 1, 0), ("Club 00", "Club 01", 0, 1)]
    rest: list[Score] = [("Club 07", "Club 06", 1, 0), ("Club 06", "Club 07", 0, 1)]
    season = season_of("bel-pro-league", "2012-13", [*round_robin(clubs), *play_off, *rest], first="2012-08-01")
    table = final(season).set_index("team")
    # 90 and 84 points are halved to 45 and 42, and six points from the play-off make 48
    assert table["points"][["Club 00", "Club 01"]].tolist() == [45, 48]
    assert ranked(final(season))[:2] == ["Club 01", "Club 00"]
    assert ranked(final(season))[6:8] == ["Club 06", "Club 07"]


def test_a_club_whose_points_were_rounded_up_loses_a_tie() -> None:
    """Of two clubs level after the play-off, the one that kept exactly half of its points is above."""
    clubs = [f"Club {number:02d}" for number in range(16)]
    # 27 wins and two draws are 83 points, halved to 41.5 and rounded up; 28 wins are 84, halved to 42
    other = {"Club 15": (0, 0), "Club 14": (0, 0), "Club 13": (0, 1), "Club 12": (9, 0)}
    regular: list[Score] = [
        (home, away, *(other.get(away, (goals, against)) if home == "Club 00" else (goals, against)))
        for home, away, goals, against in round_robin(clubs)
    ]
    season = season_of("bel-pro-league", "2012-13", [*regular, ("Club 01", "Club 00", 9, 9)], first="2012-08-01")
    table = final(season)
    assert table.set_index("team")["points"][["Club 00", "Club 01"]].tolist() == [43, 43]
    assert ranked(table)[:2] == ["Club 01", "Club 00"]


@pytest.mark.parametrize(("season", "points"), [("1993-94", 2), ("1994-95", 2), ("1995-96", 3), ("2025-26", 3)])
def test_a_win_gave_two_points_before_1995_in_germany(season: str, points: int) -> None:
    """The table of an old season uses the points of its time."""
    table = final(season_of("ger-bundesliga", season, [("A", "B", 1, 0), ("B", "A", 0, 1)], first="1994-08-01"))
    assert table.set_index("team")["points"]["A"] == 2 * points


def test_results_of_a_real_season_give_its_table(shared_data: Path) -> None:
    """The Bundesliga of 2010/11 ends with Dortmund ahead, two clubs down and one in the play-off."""
    file = shared_data / "footballdata" / "D1_1011.csv"
    season = football_data.parse(file.read_bytes(), file.name, "ger-bundesliga", "2010-11", "D1").matches
    table = final(season)
    assert (ranked(table)[0], table["points"].max()) == ("Borussia Dortmund", 75)
    assert table["p_relegation"].sum() == 2
