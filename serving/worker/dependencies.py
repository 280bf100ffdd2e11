"""The objects that a worker process builds once: settings, connection to the result store, predictor."""

from __future__ import annotations

import threading
from functools import cache
from typing import TYPE_CHECKING

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.retry import Retry

from serving.settings import ServingSettings, read_settings
from serving.sockets import redis_options
from serving.wire.store_clock import StoreClock
from serving.worker.consumption import Consumption

if TYPE_CHECKING:
    from serving.worker.predictor import Predictor


@cache
def get_settings() -> ServingSettings:
    """The settings. Built in the main process and inherited by its children."""
    return read_settings()


@cache
def get_redis() -> Redis:
    """The connection of a child process to the result store."""
    return _client(5)


@cache
def get_consumption() -> Consumption:
    """What the main process's event loop reports about itself."""
    return Consumption()


@cache
def get_store_clock() -> StoreClock:
    """The result store's time. Synchronised in the main process and, later, in each child."""
    return StoreClock()


@cache
def get_redis_of_main_process() -> Redis:
    """The main process's connection to the result store. Its event loop waits for it, so it is impatient."""
    return _client(1)


def _client(answer_seconds: float) -> Redis:
    # One retry, at once: the first command after the store was restarted meets a connection that is closed.
    options = redis_options(get_settings().results, answer_seconds=answer_seconds)
    return Redis(**options, retry=Retry(NoBackoff(), 1, (RedisConnectionError,)))


_building_predictor = threading.Lock()


def get_predictor() -> Predictor:
    """The predictor of a child process. Safe to call from its first task and its refresh thread at the same time."""
    with _building_predictor:
        return _build_predictor()


@cache
def _build_predictor() -> Predictor:
    from features.io.installed_recipes import InstalledRecipes
    from features.io.registry import Registry
    from features.io.store import Lake
    from serving.worker.predictor import Predictor

    settings = get_settings()
    registry = Registry(settings.mlflow_tracking_uri, InstalledRecipes(settings.recipes))
    lake = Lake(settings.lake_root)
    return Predictor(registry, lake, require_decision=settings.require_promotion_decision)


def preload() -> None:
    """Import the libraries behind the predictor."""
    import serving.worker.predictor  # noqa: F401 - with everything that it imports
    from features.io.registry import Registry

    Registry.preload()
