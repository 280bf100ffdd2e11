"""The data inside the package is whole."""

import pandas as pd
import pytest

from features.errors import SourceError
from features.io.sources import bundled
from features.matches import SCHEMA


@pytest.fixture(scope="module")
def matches() -> pd.DataFrame:
    return bundled.load()


def test_twelve_whole_seasons_in_order(matches: pd.DataFrame) -> None:
    assert len(matches) == 12 * 380
    assert matches["season"].nunique() == 12
    assert list(matches.columns) == SCHEMA.names
    assert matches["kick_off"].is_monotonic_increasing
    assert matches["match_id"].is_unique


def test_kick_offs_are_in_utc_and_inside_their_season(matches: pd.DataFrame) -> None:
    assert str(matches["kick_off"].dt.tz) == "UTC"
    year = matches["season"].str[:4].astype(int)
    assert (matches["kick_off"] >= pd.to_datetime(year.astype(str) + "-07-15", utc=True)).all()
    assert (matches["kick_off"] < pd.to_datetime((year + 1).astype(str) + "-08-01", utc=True)).all()


def test_a_missing_match_is_noticed(matches: pd.DataFrame) -> None:
    with pytest.raises(SourceError, match="379"):
        bundled.check(matches.iloc[1:])


def test_a_club_with_too_many_home_matches_is_noticed(matches: pd.DataFrame) -> None:
    swapped = matches.copy()
    swapped["home_team"] = swapped["home_team"].where(swapped.index != 0, swapped["home_team"].iloc[1])
    with pytest.raises(SourceError, match="home_team"):
        bundled.check(swapped)


def test_a_missing_score_is_noticed(matches: pd.DataFrame) -> None:
    holed = matches.copy()
    holed.loc[5, "home_goals"] = float("nan")
    with pytest.raises(SourceError, match="no score"):
        bundled.check(holed)
