"""Pages hold the right matches, and finding them takes no scan of every match."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest

from serving.api.catalogue.match_index import MatchIndex, MatchRow

START = datetime(2000, 8, 1, 15, tzinfo=UTC)


def matches(count: int) -> list[MatchRow]:
    dice = random.Random(1)
    rows = []
    for number in range(count):
        league = f"league-{number % 10}"
        home, away = dice.sample(range(20), 2)
        season = f"{2000 + number * 20 // count}"
        status = "played" if number < count * 0.98 else "scheduled"
        kick_off = START + timedelta(hours=number // 3)
        names = f"{league} club {home}", f"{league} club {away}"
        rows.append(MatchRow(kick_off, f"match-{number:06d}", league, season, None, *names, False, status, None, None))
    return rows


@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize(
    "query",
    [
        dict(zip(("competition", "status", "team"), values, strict=True))
        for values in product((None, "league-3"), (None, "played", "scheduled"), (None, "league-3 club 7"))
    ],
    ids=lambda query: " ".join(filter(None, query.values())) or "all",
)
def test_pages_hold_what_a_full_scan_finds(query: dict[str, str | None], newest_first: bool) -> None:
    rows = matches(3000)
    filters = {key: value for key, value in query.items() if value}
    since, until = START + timedelta(hours=50), START + timedelta(hours=990)
    expected = [
        row
        for row in sorted(rows, reverse=newest_first)
        if since <= row.kick_off <= until
        and all(
            value in (row.home_team, row.away_team) if key == "team" else getattr(row, key) == value
            for key, value in filters.items()
        )
    ]
    paged_rows: list[MatchRow] = []
    cursor: str | None = None
    while True:
        page, cursor = MatchIndex(rows).page(filters, since, until, 200, cursor, newest_first)
        paged_rows += page
        if cursor is None:
            break
    assert paged_rows == expected


@pytest.mark.parametrize(
    "filters",
    [
        {"status": "scheduled"},
        {"team": "league-3 club 7", "status": "scheduled"},
        {"competition": "league-3", "season": "2019", "status": "scheduled"},
        {"team": "league-3 club 7", "season": "1950"},
        {"competition": "no-league"},
    ],
)
def test_a_page_looks_at_few_of_many_matches(filters: dict[str, str]) -> None:
    """Of 100,000 matches only those of the most selective filter are candidates."""
    index = MatchIndex(matches(100_000))
    assert len(index.candidates(filters)) <= 2000
    page, _ = index.page(filters, None, None, 50, None, newest_first=False)
    assert set(page) <= set(index.candidates(filters))


def test_seasons_are_counted_and_clubs_are_listed() -> None:
    index = MatchIndex(matches(1000))
    assert sum(index.seasons["league-3"].values()) == 100
    assert "league-3 club 7" in index.club_names
