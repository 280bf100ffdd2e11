"""Operations: clock, model, queues, workers and health of the service."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from features.io.clock import ClockMode
from serving.api.schemas.timestamps import UtcDatetime


class ClockInfo(BaseModel):
    """The date and time that the platform treats as now. Matches after it are fixtures."""

    as_of: UtcDatetime | None = None
    clock: ClockMode | None = Field(
        None,
        description="How `as_of` advances: `now` is real time, `replay` replays a past season (`touchline advance` "
        "moves it on), `fixed` is set by configuration.",
    )


class ProvisionalModel(BaseModel):
    """Why the version in production is provisional: too few matches to judge a first version by."""

    reason: str
    matches: int = Field(description="Matches that it was judged by.")
    missing: int = Field(description="Matches that are missing before it can be judged; 0 if they did not show enough.")


class ModelInfo(BaseModel):
    """The model that the workers have loaded, with its registry metadata."""

    name: str
    version: int
    trained_through: UtcDatetime = Field(description="Kick-off of the last match in the training data.")
    created_at: UtcDatetime
    loaded_at: UtcDatetime
    features: list[str]
    tags: dict[str, str]
    workers: int = Field(description="Number of worker processes that have loaded this version.")
    provisional: ProvisionalModel | None = Field(description="Null once the version is confirmed.")
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
    seen_at: UtcDatetime = Field(description="When the process last reported its status.")
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
