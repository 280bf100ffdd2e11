"""Operations: clock, model, queues, workers and health of the service."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

from features.io.clock import ClockMode


class ClockInfo(BaseModel):
    """The date and time that the platform treats as now. Matches after it are fixtures."""

    as_of: datetime | None = None
    clock: ClockMode | None = Field(
        None,
        description="How `as_of` advances: `now` is real time, `replay` replays a past season (`touchline advance` "
        "moves it on), `fixed` is set by configuration.",
    )


class ModelInfo(BaseModel):
    """The model that the workers have loaded, with its registry metadata."""

    name: str
    version: int
    trained_through: datetime = Field(description="Kick-off of the last match in the training data.")
    created_at: datetime
    loaded_at: datetime
    features: list[str]
    tags: dict[str, str]
    workers: int = Field(description="Number of worker processes that have loaded this version.")
    other_versions: list[int] = Field(description="Versions that other worker processes still have loaded.")


class Queue(BaseModel):
    """A queue of the broker."""

    name: str
    messages: int = Field(description="Messages that wait for a worker.")
    consumers: int


class Queues(BaseModel):
    """The queues of the broker."""

    items: list[Queue]


class Worker(BaseModel):
    """A live worker process."""

    name: str
    pid: int
    seen_at: datetime = Field(description="When the process last reported its status.")
    model_version: int | None
    error: str | None = Field(
        description="Why the model, the team states or the odds are not up to date; null if they are."
    )


class Workers(BaseModel):
    """Live worker processes."""

    items: list[Worker]


class Alive(BaseModel):
    """The API process responds."""

    status: Literal["ok"] = "ok"


class Part(BaseModel):
    """State of one dependency of the service."""

    ok: bool
    detail: str


class Readiness(ClockInfo):
    """Whether the service can answer predictions, and the state of each dependency."""

    status: Literal["ready", "unready"]
    parts: dict[str, Part]
