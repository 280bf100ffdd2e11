"""The model in use."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime

from features.errors import ModelUnavailableError
from serving.api.dependencies import DispatcherDep, problems
from serving.api.query_params import NoQuery
from serving.api.routes.slash_router import SlashRouter
from serving.api.schemas.operations import ModelInfo, ProvisionalModel
from serving.wire.fixtures import to_iso_utc

router = SlashRouter(tags=["model"])


@router.get("/predict/model/info", responses=problems(401, 422, 503))
async def model_info(_: NoQuery, dispatcher: DispatcherDep) -> ModelInfo:
    """The model that the workers have loaded, with its registry metadata."""
    workers = await dispatcher.results.workers()
    loaded = [worker for worker in workers if worker.model_version is not None]
    if not loaded:
        reason = next((worker.error for worker in workers if worker.error), None)
        raise ModelUnavailableError(reason or ("the workers are still loading" if workers else "no worker is running"))
    counts = Counter(worker.model_version for worker in loaded)
    newest = max(loaded, key=lambda worker: worker.loaded_at or worker.seen_at)
    return ModelInfo(
        name=newest.model_name,
        version=newest.model_version,
        trained_through=newest.trained_through,
        created_at=newest.created_at,
        loaded_at=newest.loaded_at,
        features=newest.features,
        tags={name: _in_utc(value) for name, value in newest.tags.items()},
        provisional=_provisional(newest.tags),
        workers=counts[newest.model_version],
        other_versions=sorted(version for version in counts if version not in (None, newest.model_version)),
    )


def _provisional(tags: Mapping[str, str]) -> ProvisionalModel | None:
    """Why a version is provisional, from the tags that promotion wrote; None if it is not."""
    reason, matches, missing = (tags.get(f"provisional_{name}", "") for name in ("because", "matches", "missing"))
    if not (reason and matches.isdecimal() and missing.isdecimal()):
        return None
    return ProvisionalModel(reason=reason, matches=int(matches), missing=int(missing))


def _in_utc(tag: str) -> str:
    """Write a tag that is a timestamp with a time zone as every other timestamp of the API."""
    try:
        timestamp = datetime.fromisoformat(tag)
        return tag if timestamp.tzinfo is None else to_iso_utc(timestamp)
    except (ValueError, OverflowError):
        return tag
