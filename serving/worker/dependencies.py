"""The objects that a worker process builds once: settings, connection to the result store, predictor."""

from __future__ import annotations

import threading
from functools import cache
from typing import TYPE_CHECKING

from redis import Redis

from serving.settings import ServingSettings

if TYPE_CHECKING:
    from serving.worker.predictor import Predictor


@cache
def get_settings() -> ServingSettings:
    """The settings. Built in the main process and inherited by its children."""
    return ServingSettings()


@cache
def get_redis() -> Redis:
    """The connection of a child process to the result store."""
    return Redis.from_url(
        get_settings().results_url, socket_timeout=5, socket_connect_timeout=5, health_check_interval=30
    )


_building_predictor = threading.Lock()


def get_predictor() -> Predictor:
    """The predictor of a child process. Safe to call from its first task and its refresh thread at the same time."""
    with _building_predictor:
        return _build_predictor()


@cache
def _build_predictor() -> Predictor:
    from features.io.registry import Registry
    from features.io.store import Lake
    from serving.worker.predictor import Predictor

    return Predictor(Registry(get_settings().mlflow_tracking_uri), Lake(get_settings().lake_root))


def preload() -> None:
    """Import the libraries behind the predictor."""
    import serving.worker.predictor  # noqa: F401 - with everything that it imports
    from features.io.registry import Registry

    Registry.preload()
