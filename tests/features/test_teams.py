"""Club names: canonical, by alias, or an error that helps."""

import pytest

from features.competitions import COMPETITIONS, competition
from features.errors import UnknownCompetitionError, UnknownTeamError
from features.teams import resolve, suggest

CLUBS = {"Manchester United", "Manchester City", "Arsenal", "Brighton & Hove Albion"}


def test_a_canonical_name_and_an_alias_resolve_to_the_same_club() -> None:
    aliases = {"Man United": "Manchester United"}
    assert resolve("Manchester United", CLUBS, aliases) == resolve("Man United", CLUBS, aliases)


def test_an_unknown_club_names_its_place_and_its_nearest_relatives() -> None:
    with pytest.raises(UnknownTeamError, match=r"E0_2324.csv row 7.*Manchester"):
        resolve("Manchestr Utd", CLUBS, {}, where="E0_2324.csv row 7")


def test_a_club_like_no_other_says_so() -> None:
    with pytest.raises(UnknownTeamError, match="no known club is similar"):
        resolve("zzzz", CLUBS, {})


def test_a_mistyped_name_is_recognised_and_a_club_of_elsewhere_is_not() -> None:
    clubs = {*CLUBS, "Tottenham Hotspur", "Newcastle United", "Burnley"}
    for typed, meant in (
        ("Arsnal", "Arsenal"),
        ("Totenham", "Tottenham Hotspur"),
        ("Brigton", "Brighton & Hove Albion"),
    ):
        assert suggest(typed, clubs)[0] == meant
    for other in ("Barcelona", "Real Madrid", "Juventus", "Ajax"):
        assert suggest(other, clubs) == []


def test_endless_names_are_cut_before_they_are_compared() -> None:
    assert isinstance(suggest("x" * 1_000_000, CLUBS), list)


def test_slugs_of_competitions_are_unique_and_unknown_ones_name_the_nearest() -> None:
    assert len({competition.slug for competition in COMPETITIONS}) == len(COMPETITIONS)
    with pytest.raises(UnknownCompetitionError, match="eng-premier-league") as refused:
        competition("eng-premiere-league")
    assert refused.value.suggestions[0] == "eng-premier-league"
