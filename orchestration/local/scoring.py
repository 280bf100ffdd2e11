"""`touchline score`: anybody's forecasts beside the platform's, the references and the bookmakers' odds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.backtest import CLOSING, Forecasts
from features.comparison import comparison, markdown
from features.errors import InvalidInputError, SourceError
from features.io.clock import Clock
from features.io.forecast_file import Refusal, read_forecasts
from features.io.forecast_matching import match_forecasts
from features.io.sources.club_aliases import load_aliases
from features.io.sources.file_listing import read_file
from features.io.store import Lake
from features.matches import ODDS, OUTCOMES, as_known_at, decided_on_pitch, outcomes
from features.matrix import FEATURE_GROUPS, REFERENCE_FEATURE
from features.models import outcome_model, walk_forward_forecasts
from features.odds import CLOSING_ODDS, shin
from features.splits import season_starts
from monitoring.calibration import calibration
from orchestration.evaluation_settings import EvaluationSettings
from orchestration.steps import lake_tables

Floats = NDArray[np.float64]

SUBJECT = "these forecasts"
"""Name of the forecasts of the file in the table."""

SHOWN = 10
"""Maximum number of refused rows to print; the others are counted, and `--json` has all."""

_TIMEOUT, _RETRIES, _PAUSE, _LONGEST = 20.0, 2, 0.5, 120.0
"""Limits of a download in seconds, and attempts after the first."""


@dataclass(frozen=True)
class Scoring:
    """Scores of a file of forecasts.

    Attributes
    ----------
    rows : number of rows of the file; each is scored, refused or without a result.
    has_times : whether the file says when its forecasts were made.
    table : columns of `features.comparison.comparison`.
    calibration : `error`, `limit` and `consistent` of `monitoring.calibration.calibration`.
    """

    file: str
    rows: int
    scored: int
    refused: Sequence[Refusal]
    without_result: int
    has_times: bool
    table: pd.DataFrame
    calibration: dict[str, Any]

    def text(self) -> str:
        """Format the report for a terminal."""
        error, limit = (f"{self.calibration[name]:.4f}" for name in ("error", "limit"))
        verdict = "within" if self.calibration["consistent"] else "above"
        lines = [
            f"{self.file}: {self.rows} rows, {self.scored} scored, {len(self.refused)} refused, "
            f"{self.without_result} of matches without a result",
            "",
            markdown(self.table, SUBJECT),
            "",
            f"calibration error {error}, {verdict} the limit of {limit} that a perfectly calibrated forecaster meets "
            "19 times in 20 on as many matches",
            "each forecaster is scored on the matches that it shares with these forecasts",
        ]
        if not self.has_times:
            lines.append("the file has no column made_at: whether the forecasts precede their matches is not known")
        lines += [f"refused: {refusal}" for refusal in self.refused[:SHOWN]]
        if len(self.refused) > SHOWN:
            lines.append(f"refused: {len(self.refused) - SHOWN} more rows")
        return "\n".join(lines)

    def document(self) -> dict[str, Any]:
        """Return the report as JSON."""
        table = self.table.astype(object).where(self.table.notna(), None)
        return {
            **{name: value for name, value in asdict(self).items() if name not in ("table", "refused")},
            "refused": [refusal._asdict() for refusal in self.refused],
            "forecasters": table.to_dict("records"),
        }


def score(settings: EvaluationSettings, forecasts: str, on_progress: Callable[[str], None] = lambda _: None) -> Scoring:
    """Score a file of forecasts, a path or an http(s) address, on the matches in the lake.

    Raises
    ------
    SourceError
        If the file cannot be read.
    InvalidInputError
        If no row can be scored.
    NotPublishedError
        If the lake has no matches or no ratings.
    """
    lake, as_of = Lake(settings.lake_root), Clock(settings).as_of()
    file, data = _content(forecasts, on_progress)
    read = read_forecasts(file, data)
    rows = len(read.rows) + len(read.refused)
    matches = as_known_at(lake_tables.matches(lake), as_of)
    found = match_forecasts(read, matches, load_aliases(settings.aliases))
    if not len(found.rows):
        reasons = "".join(f"\n  {refusal}" for refusal in found.refused[:SHOWN])
        raise InvalidInputError(f"{file} has no forecast of a played match in {rows} rows{reasons}")
    played = matches.iloc[found.rows].reset_index(drop=True)
    y = outcomes(played)
    probabilities = {SUBJECT: found.probabilities, **_others(settings, lake, matches, played)}
    judged = calibration(found.probabilities, y)
    return Scoring(
        file=file,
        rows=rows,
        scored=len(found.rows),
        refused=found.refused,
        without_result=found.without_result,
        has_times=read.has_times,
        table=comparison(Forecasts(played, y, probabilities), SUBJECT),
        calibration={name: judged[name] for name in ("error", "limit", "consistent")},
    )


def _content(forecasts: str, on_progress: Callable[[str], None]) -> tuple[str, bytes]:
    """Read a file or download it; returns its name for messages and its content."""
    scheme = forecasts.partition("://")[0].lower() if "://" in forecasts else ""
    if not scheme:
        return Path(forecasts).name, read_file(Path(forecasts))
    if scheme not in ("http", "https"):
        raise InvalidInputError(f"{forecasts} is neither a file nor an http(s) address")
    # imported here: a file needs no httpx
    from features.io.sources.download import MAX_FILE_BYTES, Downloader
    from features.io.sources.download_errors import RefusedError, UnreachableError

    on_progress(f"fetching {forecasts}")
    downloader = Downloader(_TIMEOUT, _RETRIES, _PAUSE, MAX_FILE_BYTES, _LONGEST)
    try:
        response = downloader.get(forecasts, {}, Clock.now())
    except (UnreachableError, RefusedError) as error:
        raise SourceError(f"{forecasts} cannot be fetched: {error}") from error
    finally:
        downloader.close()
    if response.status != 200:
        raise SourceError(f"{forecasts} cannot be fetched: the server answered {response.status}")
    return unquote(Path(urlsplit(forecasts).path).name) or forecasts, response.content


def _others(settings: EvaluationSettings, lake: Lake, matches: pd.DataFrame, played: pd.DataFrame) -> dict[str, Floats]:
    """The other forecasters' probabilities of the played matches, (n, 3) by name, NaN where they have none."""
    settled = lake_tables.settled_forecasts(lake)
    walked = _walk_forward(settings, lake, matches, int(season_starts(played["season"]).min()))
    odds = {"odds before the match": ODDS, CLOSING: CLOSING_ODDS}
    return {
        "Touchline, published": _by_match(settled, OUTCOMES, played),
        "Touchline, walk-forward": _by_match(walked, [f"model_{outcome}" for outcome in OUTCOMES], played),
        "plain Elo (K=20)": _by_match(walked, [f"elo_{outcome}" for outcome in OUTCOMES], played),
        "base rate": _by_match(walked, [f"base_{outcome}" for outcome in OUTCOMES], played),
        **{name: shin(played[list(columns)].to_numpy(float)) for name, columns in odds.items()},
    }


def _walk_forward(settings: EvaluationSettings, lake: Lake, matches: pd.DataFrame, first: int) -> pd.DataFrame:
    """Forecasts of the platform's model and the references, each season by models of the seasons before it."""
    inputs = FEATURE_GROUPS[settings.features]
    columns = [*inputs, REFERENCE_FEATURE]
    table = matches[decided_on_pitch(matches)].merge(lake_tables.features(lake)[["match_id", *columns]], on="match_id")
    return walk_forward_forecasts(
        table,
        table[columns].to_numpy(float),
        len(inputs),
        first,
        lambda: outcome_model(seed=settings.seed, features=inputs),
    )


def _by_match(table: pd.DataFrame, columns: Sequence[str], played: pd.DataFrame) -> Floats:
    """Look up columns (n, 3) by match_id; NaN for matches that the table does not have."""
    rows = table.drop_duplicates("match_id", keep="last").set_index("match_id")[list(columns)]
    return np.asarray(rows.reindex(played["match_id"]).to_numpy(float))
