"""What assets and sensors are given: the lake, the registry, the clock, the source of matches, the settings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from features.io import sources
from features.io.clock import Clock
from features.io.registry import Registry
from features.io.settings import Settings
from features.io.sources import SourceResult
from features.io.store import Lake
from orchestration.settings import PipelineSettings


class MatchSource:
    """Results and fixtures from the source that the settings name."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def load(self, competition: str, say: Callable[[str], None]) -> SourceResult:
        """Everything the source knows of one competition; raises SourceError rather than give part of a broken file."""
        return sources.load(self._settings, competition, say=say)


def resources(settings: PipelineSettings) -> dict[str, Any]:
    """Everything that is wired into the definitions, by the names that assets ask for."""
    return {
        "settings": settings,
        "lake": Lake(settings.lake_root),
        "registry": Registry(settings.mlflow_tracking_uri),
        "clock": Clock(settings),
        "source": MatchSource(settings),
    }
