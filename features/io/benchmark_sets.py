"""The frozen sets of the arena: which matches they have, and how the files of others are read.

Only the bundled league is part of the package. The other sets are read from files that the user has; their licences do
not allow us to hand them on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.arena import BenchmarkSet
from features.backtest import top_tier
from features.competitions import COMPETITIONS
from features.errors import SourceError
from features.io.backtest_cli import read, with_odds_and_shots
from features.io.forecast_file import ForecastFile, read_forecasts
from features.io.forecast_matching import match_forecasts
from features.io.sources import bundled
from features.io.sources.calendar_day import DayOrder, day_order, parse_day
from features.io.sources.cells import BadRowError, is_empty, parse_count
from features.io.sources.club_aliases import load_aliases
from features.io.sources.decompression import unpack
from features.io.sources.file_listing import list_files, read_file
from features.io.sources.season_label import parse_season
from features.io.sources.text_table import read_text_table
from features.matches import Status, conform, decided_on_pitch, with_match_ids
from features.splits import season_starts

PREMIER_LEAGUE_MATCHES, TOP_FIVE_MATCHES, CHALLENGE_MATCHES = 1900, 8955, 736
"""Sizes of the frozen sets. Of the challenge's, its organisers scored the 714 that were played as scheduled."""

FIVETHIRTYEIGHT_LEAGUES = {
    "Barclays Premier League": "eng-premier-league",
    "German Bundesliga": "ger-bundesliga",
    "Spanish Primera Division": "esp-la-liga",
    "Italy Serie A": "ita-serie-a",
    "French Ligue 1": "fra-ligue-1",
}
"""Names of the first tiers in FiveThirtyEight's archive."""

CHALLENGE_BEGINS = pd.Timestamp("2023-04-13", tz="UTC")
"""The first day of the challenge's prediction set."""

_CHALLENGE_COLUMNS = ("Sea", "Lge", "Date", "HT", "AT", "HS", "AS")


def premier_league(data: Path | None) -> BenchmarkSet:
    """Return the bundled league, seasons 2021/22 to 2025/26, with odds where `data` has them.

    Parameters
    ----------
    data : folder of football-data.co.uk files named E0_2324.csv and so on; None if there is none.
    """
    matches = (
        bundled.load() if data is None else with_odds_and_shots(bundled.load(), read(data, ("eng-premier-league",)))
    )
    forecast = season_starts(matches["season"]) >= 2021
    return _entry("premier-league", "Premier League, bundled data", matches, 2021, forecast, PREMIER_LEAGUE_MATCHES)


def top_five(data: Path) -> BenchmarkSet:
    """Return the first tiers of five countries, seasons 2019/20 to 2023/24; lower tiers are learnt from."""
    matches = _played(read(data))
    starts = season_starts(matches["season"])
    matches = matches[starts <= 2023].reset_index(drop=True)
    forecast = top_tier(matches) & (season_starts(matches["season"]) >= 2019)
    return _entry("top-five", "Top five leagues", matches, 2019, forecast, TOP_FIVE_MATCHES)


def fivethirtyeight(archive: Path, data: Path) -> BenchmarkSet:
    """Return the matches that FiveThirtyEight's archive of club forecasts has of the top five leagues.

    Parameters
    ----------
    archive : their file `spi_matches.csv`.
    data : folder of football-data.co.uk files, from which ratings and results come.

    Raises
    ------
    SourceError
        If the file is another one, or none of its matches is in `data`.
    """
    file = read_forecasts(archive.name, read_file(archive))
    if not file.rows:
        raise SourceError(f"{archive} has no forecasts; expected FiveThirtyEight's spi_matches.csv")
    rows = [
        row._replace(competition=FIVETHIRTYEIGHT_LEAGUES[row.competition])
        for row in file.rows
        if row.competition in FIVETHIRTYEIGHT_LEAGUES
    ]
    matches = _played(read(data))
    found = match_forecasts(ForecastFile(rows), matches, load_aliases())
    if not len(found.rows):
        raise SourceError(f"{archive}: none of its matches of the top five leagues is in {data}")
    p = np.full((len(matches), 3), np.nan)
    p[found.rows] = found.probabilities
    forecast = ~np.isnan(p).any(axis=1)
    notes = (
        f"{len(found.rows)} of {len(rows)} forecasts of these leagues, {len(file.refused)} rows unreadable, "
        f"{len(found.refused)} without a match in the data" + (f" ({found.refused[0]})" if found.refused else ""),
    )
    first = int(season_starts(matches["season"][forecast]).min())
    return BenchmarkSet(
        "fivethirtyeight",
        "FiveThirtyEight's forecasts of the top five leagues",
        matches,
        first,
        forecast,
        {"FiveThirtyEight": p},
        notes,
    )


def challenge(folder: Path) -> BenchmarkSet:
    """Return the prediction set of the 2023 Soccer Prediction Challenge.

    Parameters
    ----------
    folder : CSV files with the columns Sea, Lge, Date, HT, AT, HS and AS: the training set, and the prediction set with
        the scores filled in. Matches from 13 April 2023 on are forecast.

    Raises
    ------
    SourceError
        If a file cannot be read or lacks a column, or no match of the prediction set has a score.
    """
    rows: list[dict[str, object]] = []
    refused: list[str] = []
    for name, path in list_files(folder).files.items():
        for table_name, content in unpack(name, read_file(path))[0]:
            _read_challenge_file(table_name, content, rows, refused)
    if not rows:
        raise SourceError(f"{folder} has no match with a score")
    table = pd.DataFrame(rows).drop_duplicates(["competition", "season", "kick_off", "home_team", "away_team"])
    matches = _played(conform(with_match_ids(table)))
    forecast = (matches["kick_off"] >= CHALLENGE_BEGINS).to_numpy()
    if not forecast.any():
        raise SourceError(f"{folder} has no score of the prediction set (from {CHALLENGE_BEGINS.date()} on)")
    first = int(season_starts(matches["season"][forecast]).min())
    notes = (f"{len(refused)} rows refused ({refused[0]})",) if refused else ()
    title = "2023 Soccer Prediction Challenge"
    # its leagues are too many to refit Dixon-Coles for each month of the season
    return _entry("challenge-2023", title, matches, first, forecast, CHALLENGE_MATCHES, notes, with_dixon_coles=False)


def _entry(
    name: str,
    title: str,
    matches: pd.DataFrame,
    first: int,
    forecast: NDArray[np.bool_],
    expected: int,
    notes: tuple[str, ...] = (),
    *,
    with_dixon_coles: bool = True,
) -> BenchmarkSet:
    """Build a set, with a note if it does not have the matches of the frozen one."""
    if (n := int(forecast.sum())) != expected:
        notes = (*notes, f"{n:,} matches in place of {expected:,}: not comparable with figures of the whole set")
    return BenchmarkSet(name, title, matches, first, forecast, notes=notes, with_dixon_coles=with_dixon_coles)


def _played(matches: pd.DataFrame) -> pd.DataFrame:
    return matches[decided_on_pitch(matches)].reset_index(drop=True)


def _read_challenge_file(file: str, content: bytes, rows: list[dict[str, object]], refused: list[str]) -> None:
    table = read_text_table(file, content)
    if missing := [name for name in _CHALLENGE_COLUMNS if name not in table.header]:
        raise SourceError(f"{file} has no column {', '.join(missing)}; it has {', '.join(table.header)[:200]}")
    at = {name: table.header.index(name) for name in _CHALLENGE_COLUMNS}
    parsed = [
        (line, {name: cells[i] if i < len(cells) else "" for name, i in at.items()}) for line, cells in table.rows
    ]
    order = day_order(Counter(cells["Date"] for _, cells in parsed), lambda _: False) or DayOrder.DAY_FIRST
    refused += [f"{file} row {broken.line}: {broken.reason}" for broken in table.broken]
    for line, cells in parsed:
        if is_empty(cells["HS"]) and is_empty(cells["AS"]):  # the prediction set before its matches
            continue
        try:
            rows.append(_challenge_match(cells, order))
        except BadRowError as error:
            refused.append(f"{file} row {line}: {error}")


def _challenge_match(cells: Mapping[str, str], order: DayOrder) -> dict[str, object]:
    if any(is_empty(cells[name]) for name in ("Lge", "HT", "AT")):
        raise BadRowError("league or club is empty")
    if cells["HT"] == cells["AT"]:
        raise BadRowError(f"{cells['HT'][:60]!r} plays itself")
    return {
        "competition": challenge_competition(cells["Lge"]),
        "season": parse_season(cells["Sea"]),
        "kick_off": pd.Timestamp(parse_day(cells["Date"], order), tz="UTC") + pd.Timedelta(hours=15),
        "kick_off_exact": False,
        "home_team": cells["HT"],
        "away_team": cells["AT"],
        "neutral": False,
        "status": Status.PLAYED.value,
        "awarded": False,
        "home_goals": parse_count(cells["HS"], "HS"),
        "away_goals": parse_count(cells["AS"], "AS"),
        "source": "files",
    }


def challenge_competition(code: str) -> str:
    """Return the slug of a league of the challenge: ENG1 is eng-premier-league, an unknown CHL1 is chl-tier-1."""
    country, tier = code[:3].lower(), code[3:]
    if not (len(country) == 3 and country.isascii() and country.isalpha() and tier.isdigit()):
        raise BadRowError(f"league {code[:40]!r} is not a country and a tier, such as ENG1")
    known = (league.slug for league in COMPETITIONS if (league.country, str(league.tier)) == (country, tier))
    return next(known, f"{country}-tier-{tier}")
