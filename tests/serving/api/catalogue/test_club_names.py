"""Spellings of clubs in requests, and what the error says of a club that cannot be forecast."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from features.io.store import Lake
from features.matches import SCHEMA, conform, with_match_ids
from features.rating_history import STATE_COLUMNS, STATES
from serving.api.app import create_app
from serving.api.catalogue.catalogue import Catalogue
from serving.api.problem_details import to_problem
from serving.errors import InvalidFieldError
from serving.settings import ServingSettings

HIB = "hib-premier"
OLD = unicodedata.normalize("NFD", "São Bento")


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    """A league in which Leavers played last season only, and one club is kept in a decomposed form."""
    lake = Lake(str(tmp_path_factory.mktemp("lake")))
    clubs = {"2024": ["Südheim", OLD, "Nordheim", "Leavers"], "2025": ["Südheim", OLD, "Nordheim", "Sùdheim"]}
    matches = conform(
        with_match_ids(
            pd.DataFrame(
                [
                    {
                        "competition": HIB,
                        "season": season,
                        "kick_off": datetime(int(season), 3 + number // 28, 1 + number % 28, 15, tzinfo=UTC),
                        "kick_off_exact": True,
                        "home_team": home,
                        "away_team": away,
                        "neutral": False,
                        "status": "played",
                        "awarded": False,
                        "home_goals": number % 3,
                        "away_goals": 1,
                        "source": "test",
                    }
                    for season, names in clubs.items()
                    for number, (home, away) in enumerate([(a, b) for a in names for b in names if a != b])
                ]
            )
        )
    )
    lake.write_table("matches", HIB, matches, SCHEMA)
    lake.write_table("team_states", HIB, _states(clubs["2025"]), STATES)
    loaded = Catalogue(lake, {"hib": {"The North": "Nordheim"}})
    loaded.refresh()
    return loaded


def _states(clubs: list[str]) -> pd.DataFrame:
    names = {"competition": HIB, "season": "2025", "team": clubs, "features_as_of": datetime(2025, 6, 1, tzinfo=UTC)}
    return pd.DataFrame({**names, **dict.fromkeys(STATE_COLUMNS, 0.0)})


@pytest.mark.parametrize("typed", ["São Bento", OLD, "sao bento", "SÃO\u00a0BENTO", "São\u200b Bento", "São-Bento"])
def test_any_spelling_finds_the_club_of_an_older_lake(catalogue: Catalogue, typed: str) -> None:
    """The lake keeps the name as an earlier version wrote it; ids and names of the answer are those of the lake."""
    fixture = catalogue.resolve_fixture(typed, "the north")
    assert (fixture.home_team, fixture.away_team) == (OLD, "Nordheim")
    assert fixture.match_id == "hib-premier-2025-sao-bento-nordheim-2"
    assert catalogue.club_name(typed) == OLD


@pytest.mark.parametrize(
    ("formats", "match_id"),
    [
        ('{"hib-premier": {"meetings": 1}}', "hib-premier-2026-sudheim-nordheim"),
        ('{"hib-premier": {"meetings": 2}}', "hib-premier-2025-sudheim-nordheim-2"),
        ("no-such-file.json", "hib-premier-2025-sudheim-nordheim-2"),
        (None, "hib-premier-2025-sudheim-nordheim-2"),
    ],
)
def test_the_api_knows_the_formats_of_own_competitions(
    catalogue: Catalogue, formats: str | None, match_id: str
) -> None:
    """A meeting that the format does not have is not offered. Formats that cannot be read stop nothing."""
    own = _catalogue_of_api(catalogue.lake, formats)
    assert own.resolve_fixture("Südheim", "Nordheim").match_id == match_id


def test_a_day_on_which_an_own_format_has_no_meeting_is_refused(catalogue: Catalogue) -> None:
    own = _catalogue_of_api(catalogue.lake, '{"hib-premier": {"meetings": 1}}')
    with pytest.raises(InvalidFieldError, match="has no other match in 2025: see hib-premier-2025-sudheim-nordheim"):
        own.resolve_fixture("Südheim", "Nordheim", kick_off=datetime(2025, 11, 1, tzinfo=UTC))


def _catalogue_of_api(lake: Lake, formats: str | None) -> Catalogue:
    catalogue: Catalogue = create_app(ServingSettings(lake=lake.root, formats=formats)).state.catalogue
    catalogue.refresh()
    return catalogue


def test_two_clubs_that_differ_in_accents_are_both_offered(catalogue: Catalogue) -> None:
    """A spelling that fits both is refused; each exact spelling finds its club and an id of its own."""
    with pytest.raises(InvalidFieldError, match="can mean 'Südheim' or 'Sùdheim'") as refused:
        catalogue.resolve_fixture("Sudheim", "Nordheim")
    assert refused.value.suggestions == ["Südheim", "Sùdheim"]
    ids = {catalogue.resolve_fixture(name, "Nordheim").match_id for name in ("Südheim", "Sùdheim")}
    assert len(ids) == 2
    with pytest.raises(InvalidFieldError, match="can mean"):
        catalogue.club_name("SUDHEIM")


@pytest.mark.parametrize("competition", [None, HIB])
def test_a_club_of_an_earlier_season_is_told_as_such(catalogue: Catalogue, competition: str | None) -> None:
    """It is not called unknown, and no other club is suggested in its place."""
    with pytest.raises(InvalidFieldError, match="'Leavers' is in the data but not in the current season") as refused:
        catalogue.resolve_fixture("leavers", "Nordheim", competition)
    assert "hib-premier, season 2024" in str(refused.value)
    assert refused.value.suggestions == []


@pytest.mark.parametrize("competition", [None, HIB])
def test_all_wrong_names_of_a_request_are_told(catalogue: Catalogue, competition: str | None) -> None:
    """The problem document has an entry for each club, with its own suggestions."""
    with pytest.raises(InvalidFieldError) as refused:
        catalogue.resolve_fixture("Nordhiem", "\u0421ao Bento", competition)
    problem, _ = to_problem(refused.value)
    assert [error.field for error in problem.errors] == ["home_team", "away_team"]
    assert problem.errors[0].suggestions[0] == "Nordheim"
    assert "CYRILLIC CAPITAL LETTER ES" in problem.errors[1].message
    assert problem.detail == "; ".join(error.message for error in problem.errors)


def test_a_club_of_another_competition_is_told_with_it(catalogue: Catalogue, tmp_path: Path) -> None:
    """A club that plays elsewhere in the data is not called unknown."""
    lake = Lake(str(tmp_path))
    matches, states = (catalogue.lake.read_table(name, HIB) for name in ("matches", "team_states"))
    for competition, clubs in ((HIB, {}), ("hib-second", {OLD: "Second Town", "Nordheim": "Third Town"})):
        moved = matches.replace({"home_team": clubs, "away_team": clubs}).assign(competition=competition)
        lake.write_table("matches", competition, with_match_ids(moved.drop(columns="match_id")), SCHEMA)
        lake.write_table(
            "team_states", competition, states.replace({"team": clubs}).assign(competition=competition), STATES
        )
    both = Catalogue(lake)
    both.refresh()
    with pytest.raises(InvalidFieldError, match="'Second Town' is not in hib-premier now but in hib-second"):
        both.resolve_fixture("second town", "Nordheim", HIB)
