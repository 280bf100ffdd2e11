"""One way into all sources."""

import pytest

from features.errors import InvalidInput
from features.io.settings import Settings
from features.io.sources import QUARANTINE_SCHEMA, competitions, load


def test_the_bundled_source_has_the_premier_league_and_quarantines_nothing() -> None:
    settings = Settings(source="bundled")
    (only,) = competitions(settings)
    result = load(settings, only)
    assert len(result.matches) == result.report["rows"] == 4560
    assert result.quarantine.empty
    assert list(result.quarantine.columns) == QUARANTINE_SCHEMA.names


def test_a_competition_that_the_source_does_not_have_is_an_error() -> None:
    with pytest.raises(InvalidInput, match="eng-championship"):
        load(Settings(source="bundled"), "eng-championship")


def test_an_unknown_source_names_the_known_ones() -> None:
    with pytest.raises(InvalidInput, match="bundled"):
        competitions(Settings(source="teletext"))
