"""One bad file of a source: the others stay, its last good version is used, and a later good one heals it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from features.errors import SourceError
from features.io.settings import Settings
from features.io.sources import SourceResult, load
from features.io.sources.archive import FileArchive, Version
from features.io.sources.inspection import inspect_source
from features.io.store import Lake

pytestmark = pytest.mark.medium

PL = "eng-premier-league"
NOW = datetime.now(UTC)
LAST, THIS = "/mmz4281/2425/E0.csv", "/mmz4281/2526/E0.csv"
HEADER = "Div,Date,HomeTeam,AwayTeam,FTHG,FTAG\n"
OLD = (HEADER + "E0,17/08/2024,Arsenal,Chelsea,1,0\n").encode()
GOOD = (HEADER + "E0,16/08/2025,Arsenal,Chelsea,2,1\n").encode()
PAGE = b"<!DOCTYPE html><html><body>Service temporarily unavailable</body></html>"
BAD = {
    "page": PAGE,
    "nothing": b"",
    "header only": HEADER.encode(),
    "other columns": b"a,b\n1,2\n",
    "only bad rows": (HEADER + "E0,16/08/2025,Arsenal,,2,1\n").encode(),
}


@pytest.fixture
def settings(site: Any, tmp_path: Path) -> Settings:
    """A source of the two seasons 2024-25 and 2025-26, as of the spring of 2026."""
    site.files["/fixtures.csv"] = HEADER.encode()
    as_of = datetime(2026, 3, 13, tzinfo=UTC)
    return Settings(source="football_data", football_data_url=site.url, home=tmp_path, first_season=2024, as_of=as_of)


def _live(settings: Settings) -> SourceResult:
    """Load as a run of today does; the current season is then one that the site does not have."""
    return load(settings, PL, now=NOW)


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_a_season_that_cannot_be_used_does_not_take_the_others(site: Any, settings: Settings, bad: bytes) -> None:
    """The older season loads, and the file with its reason is told, also by inspect."""
    site.files |= {LAST: OLD, THIS: bad}
    result = _live(settings)
    assert result.matches["season"].tolist() == ["2024-25"]
    (told,) = result.report["unusable"]
    assert told.startswith(f"{site.url}{THIS}: ")
    assert result.report["files"] == 2, "the older season and the fixtures"
    assert f"unusable: {told}" in inspect_source(settings.model_copy(update={"as_of": NOW})).text


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_the_last_good_version_is_used_until_a_later_one_heals(site: Any, settings: Settings, bad: bytes) -> None:
    """Good, bad, gone, good again: the match is there all the time, and each time it is told why it is old."""
    site.files |= {LAST: OLD, THIS: GOOD}
    assert _live(settings).report["unusable"] == []
    site.files[THIS] = bad
    result = _live(settings)
    (told,) = result.report["unusable"]
    assert told.startswith(f"{site.url}{THIS}: ")
    assert f"; used version of {datetime.now(UTC):%Y-%m-%d}" in told
    assert len(result.matches) == 2
    del site.files[THIS]
    result = _live(settings)
    assert (len(result.matches), result.report["unusable"]) == (2, [])
    assert any("the server answered 404" in text for text in result.report["stale"])
    site.files[THIS] = GOOD.replace(b",2,1", b",3,1")
    result = _live(settings)
    assert (result.matches["home_goals"].max(), result.report["unusable"]) == (3, [])


def test_a_page_is_no_version_of_a_file_at_any_time(site: Any, settings: Settings) -> None:
    """Pages that an archive already holds are passed over, now and in replays of that time."""
    versions, url = FileArchive(Lake(settings.lake_root)), f"{site.url}{THIS}"
    for week, content in enumerate((GOOD, PAGE, GOOD.replace(b",2,1", b",4,4"))):
        versions.keep(Version.of(url, content, datetime(2026, 2, 1, tzinfo=UTC) + timedelta(weeks=week)), content)
    site.files[LAST] = OLD
    for day, goals in ((3, 2), (10, 2), (17, 4)):  # the page came on the eighth
        result = load(settings, PL, now=datetime(2026, 2, day, tzinfo=UTC))
        assert result.matches["home_goals"].tolist() == [1, goals]
        assert len(result.report["unusable"]) == (day == 10)


def test_a_page_first_and_nothing_else_is_an_error_with_its_reason(site: Any, settings: Settings) -> None:
    """Without any match the competition fails, and the error names each file with its reason."""
    site.files[THIS] = PAGE
    with pytest.raises(SourceError, match=rf"{THIS}: .*web page.*missing file: .*{LAST}|missing file.*web page"):
        _live(settings)
    assert FileArchive(Lake(settings.lake_root)).last(f"{site.url}{THIS}") is None


def test_a_refused_file_is_told_and_an_unreachable_one_fails(site: Any, settings: Settings) -> None:
    """A mirror may forbid one file for ever; a busy server has it later, so that a run without it would be wrong."""
    site.files[LAST] = OLD
    site.answers[THIS] = (403, {}, b"")
    result = _live(settings)
    (told,) = result.report["unusable"]
    assert "answered 403" in told
    assert len(result.matches) == 1
    site.answers[THIS] = (503, {"Retry-After": "9999"}, b"")
    with pytest.raises(SourceError, match="answered 503"):
        _live(settings)


def test_an_empty_season_of_openfootball_leaves_the_others(site: Any, settings: Settings) -> None:
    """A document without matches is what a new season looks like at first."""
    match = {"date": "2024-08-17", "team1": "Arsenal FC", "team2": "Chelsea FC", "score": {"ft": [1, 0]}}
    site.files["/2024-25/en.1.json"] = json.dumps({"matches": [match]}).encode()
    for empty in (b'{"name": "x", "matches": []}', b"{}", b"", PAGE):
        site.files["/2025-26/en.1.json"] = empty
        own = settings.model_copy(update={"source": "openfootball", "openfootball_url": site.url})
        result = _live(own)
        assert len(result.matches) == 1
        assert any("/2025-26/en.1.json: " in told for told in result.report["unusable"])
