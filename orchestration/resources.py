"""Resources of assets and sensors: the lake, the registry, the clock, the source of matches, the settings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from features.io import sources
from features.io.clock import Clock
from features.io.installed_recipes import InstalledRecipes
from features.io.registry import Registry
from features.io.settings import Settings
from features.io.sources import SourceResult
from features.io.store import Lake
from orchestration.settings import PipelineSettings


class MatchSource:
    """Results and fixtures from the source that the settings name."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def load(self, competition: str, on_progress: Callable[[str], None]) -> SourceResult:
        """All matches of a competition; raises SourceError if a file is broken, instead of returning part of it."""
        return sources.load(self._settings, competition, on_progress=on_progress)


def resources(settings: PipelineSettings) -> dict[str, Any]:
    """The resources of one installation, by the parameter names of the assets."""
    return {
        "settings": settings,
        "lake": Lake(settings.lake_root),
        "registry": Registry(settings.mlflow_tracking_uri, InstalledRecipes(settings.recipes)),
        "clock": Clock(settings),
        "source": MatchSource(settings),
    }
