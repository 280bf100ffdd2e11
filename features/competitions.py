"""The catalogue of competitions: names, tiers, and what each source calls them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from rapidfuzz import process

from features.errors import UnknownCompetitionError


@dataclass(frozen=True)
class Competition:
    """One league. Clubs move between the tiers of one `country` and keep their ratings.

    Attributes
    ----------
    tier : level of the league in its country, from 1.
    timezone : of the league's kick-off times.
    football_data, openfootball : codes of the league at these sources; None if the source does not have it.
    meetings : how often each pair meets at each ground in a season; None if the format is different (for example, the
        league splits after some rounds) or changes every few years.
    """

    slug: str
    name: str
    country: str
    tier: int
    timezone: str
    football_data: str | None = None
    openfootball: str | None = None
    meetings: int | None = 1


_ARGENTINA = "America/Argentina/Buenos_Aires"

COMPETITIONS: tuple[Competition, ...] = (
    Competition("eng-premier-league", "Premier League", "eng", 1, "Europe/London", "E0", "en.1"),
    Competition("eng-championship", "Championship", "eng", 2, "Europe/London", "E1", "en.2"),
    Competition("eng-league-one", "League One", "eng", 3, "Europe/London", "E2", "en.3"),
    Competition("eng-league-two", "League Two", "eng", 4, "Europe/London", "E3", "en.4"),
    Competition("ger-bundesliga", "Bundesliga", "ger", 1, "Europe/Berlin", "D1", "de.1"),
    Competition("ger-2-bundesliga", "2. Bundesliga", "ger", 2, "Europe/Berlin", "D2", "de.2"),
    Competition("esp-la-liga", "La Liga", "esp", 1, "Europe/Madrid", "SP1", "es.1"),
    Competition("esp-segunda", "Segunda División", "esp", 2, "Europe/Madrid", "SP2", "es.2"),
    Competition("ita-serie-a", "Serie A", "ita", 1, "Europe/Rome", "I1", "it.1"),
    Competition("ita-serie-b", "Serie B", "ita", 2, "Europe/Rome", "I2", "it.2"),
    Competition("fra-ligue-1", "Ligue 1", "fra", 1, "Europe/Paris", "F1", "fr.1"),
    Competition("fra-ligue-2", "Ligue 2", "fra", 2, "Europe/Paris", "F2", "fr.2"),
    Competition("eng-national-league", "National League", "eng", 5, "Europe/London", "EC"),
    Competition("ned-eredivisie", "Eredivisie", "ned", 1, "Europe/Amsterdam", "N1"),
    Competition("por-primeira-liga", "Primeira Liga", "por", 1, "Europe/Lisbon", "P1"),
    Competition("tur-super-lig", "Süper Lig", "tur", 1, "Europe/Istanbul", "T1"),
    Competition("bel-pro-league", "Pro League", "bel", 1, "Europe/Brussels", "B1", meetings=None),
    Competition("gre-super-league", "Super League", "gre", 1, "Europe/Athens", "G1", meetings=None),
    Competition("sco-premiership", "Premiership", "sco", 1, "Europe/London", "SC0", meetings=None),
    Competition("sco-championship", "Championship", "sco", 2, "Europe/London", "SC1", meetings=2),
    Competition("sco-league-one", "League One", "sco", 3, "Europe/London", "SC2", meetings=2),
    Competition("sco-league-two", "League Two", "sco", 4, "Europe/London", "SC3", meetings=2),
    Competition("arg-primera-division", "Primera División", "arg", 1, _ARGENTINA, "new/ARG", meetings=None),
    Competition("aut-bundesliga", "Bundesliga", "aut", 1, "Europe/Vienna", "new/AUT", meetings=None),
    Competition("bra-serie-a", "Série A", "bra", 1, "America/Sao_Paulo", "new/BRA"),
    Competition("chn-super-league", "Super League", "chn", 1, "Asia/Shanghai", "new/CHN", meetings=None),
    Competition("den-superliga", "Superliga", "den", 1, "Europe/Copenhagen", "new/DNK", meetings=None),
    Competition("fin-veikkausliiga", "Veikkausliiga", "fin", 1, "Europe/Helsinki", "new/FIN", meetings=None),
    Competition("irl-premier-division", "Premier Division", "irl", 1, "Europe/Dublin", "new/IRL", meetings=None),
    Competition("jpn-j1-league", "J1 League", "jpn", 1, "Asia/Tokyo", "new/JPN", meetings=None),
    Competition("mex-liga-mx", "Liga MX", "mex", 1, "America/Mexico_City", "new/MEX", meetings=None),
    Competition("nor-eliteserien", "Eliteserien", "nor", 1, "Europe/Oslo", "new/NOR", meetings=None),
    Competition("pol-ekstraklasa", "Ekstraklasa", "pol", 1, "Europe/Warsaw", "new/POL", meetings=None),
    Competition("rou-superliga", "Superliga", "rou", 1, "Europe/Bucharest", "new/ROU", meetings=None),
    Competition("rus-premier-league", "Premier League", "rus", 1, "Europe/Moscow", "new/RUS", meetings=None),
    Competition("sui-super-league", "Super League", "sui", 1, "Europe/Zurich", "new/SWZ", meetings=None),
    Competition("swe-allsvenskan", "Allsvenskan", "swe", 1, "Europe/Stockholm", "new/SWE", meetings=None),
    Competition("usa-mls", "Major League Soccer", "usa", 1, "America/New_York", "new/USA", meetings=None),
)

_BY_SLUG = {competition.slug: competition for competition in COMPETITIONS}


def competition(slug: str) -> Competition:
    """Return a competition by slug; raises UnknownCompetitionError, which lists the nearest slugs."""
    if slug not in _BY_SLUG:
        near = [name for name, _, _ in process.extract(slug, list(_BY_SLUG), limit=3)]
        raise UnknownCompetitionError(f"competition {slug!r} is unknown; nearest: {', '.join(near)}", suggestions=near)
    return _BY_SLUG[slug]


def find(slug: str) -> Competition | None:
    """Return a competition by slug; None if it is not in the catalogue."""
    return _BY_SLUG.get(slug)


def is_slug(text: str) -> bool:
    """Whether a text has the form of a competition's slug, such as `eng-premier-league`."""
    return re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)+", text) is not None


def country_of(slug: str) -> str:
    """Return the country of a competition, such as `eng`: the first part of its slug."""
    return slug.partition("-")[0]


def tier_of(slug: str) -> int:
    """Return the level of a competition in its country; 1 if it is not in the catalogue."""
    return _BY_SLUG[slug].tier if slug in _BY_SLUG else 1


def meetings_of(slug: str) -> int | None:
    """Return how often each pair meets at each ground in a season; None if the format is unknown."""
    return _BY_SLUG[slug].meetings if slug in _BY_SLUG else None
