"""Tables are ordered as each competition orders them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from features.competitions import competition as named
from features.io.sources import football_data
from features.league_rules import Tiebreaker, rules_of
from features.season_simulation import simulate
from features.standings import standings


def _order(results: list[tuple[int, int, int, int]], ties: tuple[Tiebreaker, ...], clubs: int = 3) -> list[int]:
    """Clubs from first to last after results (home, away, home goals, away goals)."""
    home, away, *goals = np.array(results).T
    same = np.tile(np.stack(goals, axis=1), (20, 1, 1))
    _, position = standings(home, away, same, ties, np.zeros(clubs, np.int64))
    assert (position == position[0]).all(), "the order was drawn by lot"
    return [int(club) for club in np.argsort(position[0])]


# clubs 0 and 1 have beaten each other 3-1 and 1-0 and have as many points; 0 is better between them, 1 overall
_LEVEL = [(0, 1, 3, 1), (1, 0, 1, 0), (0, 2, 1, 0), (2, 0, 0, 0), (1, 2, 5, 0), (2, 1, 0, 0)]


@pytest.mark.parametrize(
    ("competition", "first"),
    [("esp-la-liga", 0), ("ita-serie-a", 0), ("eng-premier-league", 1), ("ger-bundesliga", 1), ("fra-ligue-1", 1)],
)
def test_goals_between_the_clubs_come_before_all_goals_where_the_rules_say_so(competition: str, first: int) -> None:
    assert _order(_LEVEL, rules_of(competition).ties)[0] == first


@pytest.mark.parametrize("competition", ["eng-premier-league", "ger-bundesliga", "fra-ligue-1", "esp-la-liga"])
def test_clubs_level_in_all_goals_are_parted_by_their_own_matches(competition: str) -> None:
    between = [(0, 1, 1, 0), (1, 0, 0, 0)]
    to_third = [(0, 2, 0, 1), (2, 0, 0, 0), (1, 2, 1, 0), (2, 1, 0, 0), (2, 3, 5, 0), (3, 2, 0, 1)]
    to_last = [(0, 3, 0, 0), (3, 0, 0, 0), (1, 3, 0, 0), (3, 1, 0, 0)]
    assert _order([*between, *to_third, *to_last], rules_of(competition).ties, clubs=4) == [2, 0, 1, 3]


def test_only_matches_between_all_clubs_that_are_level_count() -> None:
    # 0, 1 and 2 are level on points; 0 beat 1 twice, 1 beat 2 twice, 2 beat 0 twice: all six goals apart from 2's
    ring = [(0, 1, 1, 0), (1, 0, 0, 1), (1, 2, 1, 0), (2, 1, 0, 1), (2, 0, 3, 0), (0, 2, 0, 1)]
    assert _order(ring, (Tiebreaker.DIRECT_POINTS, Tiebreaker.DIRECT_DIFFERENCE)) == [2, 1, 0]


def test_clubs_that_nothing_parts_are_parted_by_lot() -> None:
    goals = np.zeros((2000, 2, 2), dtype=np.int64)
    _, position = standings(np.array([0, 1]), np.array([1, 0]), goals, (Tiebreaker.DIFFERENCE,), np.zeros(2, np.int64))
    assert np.sort(position, axis=1).tolist() == [[0, 1]] * 2000
    assert position[:, 0].mean() == pytest.approx(0.5, abs=0.05)


@pytest.mark.shared
@pytest.mark.parametrize(
    ("slug", "season", "place", "clubs"),
    [
        # Madrid had beaten Barcelona, whose goal difference was better by nineteen
        ("esp-la-liga", "2006-07", 1, ["Real Madrid", "FC Barcelona"]),
        # a win each and one goal more between them, against 22 goals overall
        ("esp-la-liga", "2020-21", 9, ["Granada CF", "Athletic Club"]),
        ("ita-serie-a", "2015-16", 10, ["Empoli FC", "Genoa CFC"]),
        # as level as can be, but Metz had scored three times at Lorient, Lorient twice at Metz
        ("fra-ligue-1", "2023-24", 16, ["FC Metz", "FC Lorient"]),
        # a point was deducted from Lyon, who would have been above Lens
        ("fra-ligue-1", "2021-22", 7, ["RC Lens", "Olympique Lyonnais"]),
        ("ita-serie-a", "2022-23", 6, ["AS Roma", "Juventus", "ACF Fiorentina"]),
    ],
)
def test_real_tables_are_as_they_were(shared_data: Path, slug: str, season: str, place: int, clubs: list[str]) -> None:
    division = str(named(slug).football_data)
    path = shared_data / "footballdata" / f"{division}_{season[2:4]}{season[5:]}.csv"
    matches = football_data.parse(path.read_bytes(), path.name, slug, season, division).matches
    none = pd.DataFrame(columns=["match_id", "home", "draw", "away"])
    table = simulate(matches, none, np.zeros((0, 2)), runs=3).set_index("team")
    likeliest = [str(table[f"position_{place + step}"].idxmax()) for step in range(len(clubs))]
    assert likeliest == clubs
    assert all(table.loc[club, f"position_{place + step}"] == 1 for step, club in enumerate(clubs))
