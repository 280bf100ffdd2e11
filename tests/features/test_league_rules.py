"""What the places of a final table mean."""

from __future__ import annotations

import pytest

from features.competitions import COMPETITIONS, tier_of
from features.league_rules import ZoneKind, has_rules, rules_of

COUNTRIES = ("eng", "ger", "esp", "ita", "fra")


@pytest.mark.parametrize("slug", [competition.slug for competition in COMPETITIONS if competition.country in COUNTRIES])
def test_every_competition_of_the_big_countries_has_its_own_rules(slug: str) -> None:
    assert has_rules(slug)
    kinds = [place.kind for place in rules_of(slug).places]
    assert kinds[0] is ZoneKind.TITLE
    assert ZoneKind.RELEGATION in kinds
    assert (ZoneKind.EUROPE_OR_TOP if tier_of(slug) == 1 else ZoneKind.PROMOTION) in kinds


@pytest.mark.parametrize(
    ("slug", "clubs", "name", "first", "last"),
    [
        ("eng-premier-league", 20, "Relegation", 18, 20),
        ("eng-championship", 24, "Promotion play-off", 3, 6),
        ("ger-bundesliga", 18, "Relegation play-off", 16, 16),
        ("ger-bundesliga", 18, "Relegation", 17, 18),
        ("fra-ligue-1", 20, "Relegation play-off", 18, 18),
        ("ita-serie-b", 20, "Relegation play-off", 16, 17),
        ("esp-segunda", 22, "Relegation", 19, 22),
        ("atl-island-league", 6, "Top four (assumed)", 1, 4),
    ],
)
def test_places_are_counted_in_a_table_of_any_size(slug: str, clubs: int, name: str, first: int, last: int) -> None:
    places = {place.name: place.from_top(clubs) for place in rules_of(slug).places}[name]
    assert (places.first, places.last) == (first, last)


def test_clubs_of_tiny_leagues_have_places_within_their_table() -> None:
    for place in rules_of("atl-island-league").places:
        assert 1 <= place.from_top(2).first <= place.from_top(2).last <= 2
