"""Points awarded or deducted off the pitch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True)
class Ruling:
    """Points awarded or deducted (negative) off the pitch.

    Attributes
    ----------
    decided : date of the decision, midnight UTC.
    reason : for readers of the table; may be empty.
    """

    competition: str
    season: str
    club: str
    points: int
    decided: datetime
    reason: str = ""


Decision = tuple[str, int, tuple[int, int, int]]

DECISIONS: Mapping[tuple[str, str], tuple[Decision, ...]] = {
    ("eng-premier-league", "1996-97"): (("Middlesbrough", -3, (1997, 1, 14)),),
    ("eng-premier-league", "2009-10"): (("Portsmouth", -9, (2010, 3, 17)),),
    ("eng-premier-league", "2023-24"): (
        ("Everton", -10, (2023, 11, 17)),
        ("Everton", 4, (2024, 2, 26)),
        ("Nottingham Forest", -4, (2024, 3, 18)),
        ("Everton", -2, (2024, 4, 8)),
    ),
    ("eng-championship", "2006-07"): (("Leeds United", -10, (2007, 5, 4)),),
    ("eng-championship", "2009-10"): (("Crystal Palace", -10, (2010, 1, 27)),),
    ("eng-championship", "2011-12"): (("Portsmouth", -10, (2012, 2, 17)),),
    ("eng-championship", "2018-19"): (("Birmingham City", -9, (2019, 3, 22)),),
    ("eng-championship", "2019-20"): (("Wigan Athletic", -12, (2020, 7, 22)),),
    ("eng-championship", "2020-21"): (
        ("Sheffield Wednesday", -12, (2020, 7, 31)),
        ("Sheffield Wednesday", 6, (2020, 11, 4)),
    ),
    ("eng-championship", "2021-22"): (
        ("Derby County", -12, (2021, 9, 22)),
        ("Derby County", -9, (2021, 11, 16)),
        ("Reading", -6, (2021, 11, 17)),
    ),
    ("eng-championship", "2022-23"): (("Reading", -6, (2023, 4, 4)),),
    ("eng-championship", "2025-26"): (
        ("Sheffield Wednesday", -12, (2025, 10, 24)),
        ("Sheffield Wednesday", -6, (2025, 12, 1)),
    ),
    ("eng-league-one", "2007-08"): (
        ("Leeds United", -15, (2007, 8, 4)),
        ("Luton Town", -10, (2007, 11, 22)),
        ("AFC Bournemouth", -10, (2008, 2, 8)),
    ),
    ("eng-league-one", "2009-10"): (("Southampton", -10, (2009, 4, 23)),),
    ("eng-league-one", "2010-11"): (("Plymouth Argyle", -10, (2011, 2, 21)),),
    ("eng-league-one", "2013-14"): (("Coventry City", -10, (2013, 8, 2)),),
    ("eng-league-one", "2019-20"): (("Bolton Wanderers", -12, (2019, 5, 14)),),
    ("eng-league-one", "2023-24"): (
        ("Wigan Athletic", -8, (2023, 7, 1)),
        ("Reading", -1, (2023, 8, 16)),
        ("Reading", -3, (2023, 9, 13)),
        ("Reading", -2, (2024, 2, 27)),
    ),
    ("eng-league-two", "2008-09"): (
        ("Luton Town", -30, (2008, 7, 16)),
        ("AFC Bournemouth", -17, (2008, 8, 7)),
        ("Rotherham United", -17, (2008, 8, 7)),
    ),
    ("ita-serie-a", "2006-07"): (
        ("AC Milan", -8, (2006, 7, 25)),
        ("ACF Fiorentina", -19, (2006, 7, 25)),
        ("ACF Fiorentina", 4, (2006, 10, 27)),
        ("Lazio Roma", -11, (2006, 7, 25)),
        ("Lazio Roma", 8, (2006, 10, 27)),
        ("Reggina 1914", -15, (2006, 8, 17)),
        ("Reggina 1914", 4, (2006, 12, 5)),
        ("AC Siena", -1, (2006, 9, 1)),
    ),
    ("ita-serie-b", "2006-07"): (
        ("Juventus", -17, (2006, 7, 25)),
        ("Juventus", 8, (2006, 10, 27)),
    ),
    ("ita-serie-a", "2011-12"): (("Atalanta", -6, (2011, 8, 9)),),
    ("ita-serie-a", "2012-13"): (
        ("AC Siena", -6, (2012, 8, 10)),
        ("Atalanta", -2, (2012, 8, 10)),
        ("Sampdoria", -1, (2012, 8, 10)),
        ("Torino FC", -1, (2012, 8, 10)),
    ),
    ("ita-serie-a", "2014-15"): (
        ("Parma Calcio 1913", -1, (2014, 12, 9)),
        ("Parma Calcio 1913", -2, (2015, 3, 13)),
        ("Parma Calcio 1913", -4, (2015, 4, 16)),
    ),
    ("ita-serie-a", "2018-19"): (("Chievo Verona", -3, (2018, 9, 13)),),
    ("ita-serie-a", "2020-21"): (
        ("Hellas Verona", 2, (2020, 9, 22)),
        ("AS Roma", -1, (2020, 9, 22)),
    ),  # Verona and Roma drew, and the match was awarded to Verona
    ("ita-serie-a", "2022-23"): (
        ("Juventus", -15, (2023, 1, 20)),
        ("Juventus", 15, (2023, 4, 20)),
        ("Juventus", -10, (2023, 5, 22)),
    ),
    ("fra-ligue-1", "2021-22"): (
        ("OGC Nice", -1, (2021, 9, 8)),
        ("Olympique Lyonnais", -1, (2021, 12, 8)),
    ),
    ("fra-ligue-1", "2023-24"): (("Montpellier HSC", -1, (2023, 11, 8)),),
    ("ger-bundesliga", "2003-04"): (("1. FC Kaiserslautern", -3, (2003, 7, 1)),),
    ("sco-premiership", "2007-08"): (("Gretna", -10, (2008, 3, 13)),),
    ("sco-premiership", "2011-12"): (("Rangers", -10, (2012, 2, 14)),),
    ("sco-premiership", "2013-14"): (("Hearts", -15, (2013, 7, 1)),),
    ("ned-eredivisie", "2023-24"): (("Vitesse", -18, (2024, 4, 19)),),
}
"""Decisions by competition and season: club, points and day of the decision. The list is not complete."""


def rulings_of(competition: str, season: str, as_of: datetime, own: Sequence[Ruling] = ()) -> tuple[Ruling, ...]:
    """List the rulings of a season that had been decided by `as_of`.

    Parameters
    ----------
    own : rulings that a user has entered. They replace the listed ones of the same club in the same season.
    """
    entered = [ruling for ruling in own if (ruling.competition, ruling.season) == (competition, season)]
    clubs = {ruling.club for ruling in entered}
    listed = [ruling for ruling in _listed(competition, season) if ruling.club not in clubs]
    return tuple(ruling for ruling in [*listed, *entered] if ruling.decided <= as_of)


def _listed(competition: str, season: str) -> list[Ruling]:
    return [
        Ruling(competition, season, club, points, datetime(*day, tzinfo=UTC))
        for club, points, day in DECISIONS.get((competition, season), ())
    ]
