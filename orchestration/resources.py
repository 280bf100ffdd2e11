"""What assets and sensors are given: the lake, the registry, the clock, the source of matches, the settings."""

from __future__ import annotations

from typing import Any

import pandas as pd

from features.errors import InvalidInput
from features.io.clock import Clock
from features.io.registry import Registry
from features.io.settings import Settings
from features.io.sources import bundled
from features.io.store import Lake
from orchestration.settings import PipelineSettings


class MatchSource:
    """Results and fixtures of one competition, from the source that the settings name."""

    def __init__(self, settings: Settings) -> None:
        self._name = settings.source

    def matches(self, competition: str) -> pd.DataFrame:
        """A matches table; raises SourceError or InvalidInput, never returns part of a broken file."""
        if self._name != "bundled":
            raise InvalidInput(f"TOUCHLINE_SOURCE={self._name!r} is unknown; known: bundled")
        table = bundled.load()
        if competition not in set(table["competition"]):
            raise InvalidInput(f"the bundled data has no {competition!r}; it has {bundled.COMPETITION}")
        return table[table["competition"] == competition].reset_index(drop=True)


def resources(settings: PipelineSettings) -> dict[str, Any]:
    """Everything that is wired into the definitions, by the names that assets ask for."""
    return {
        "settings": settings,
        "lake": Lake(settings.lake_root),
        "registry": Registry(settings.mlflow_tracking_uri),
        "clock": Clock(settings),
        "source": MatchSource(settings),
    }
