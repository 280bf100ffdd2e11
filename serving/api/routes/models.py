"""The model that answers."""

from __future__ import annotations

from collections import Counter
from typing import Any

from fastapi import APIRouter

from features.errors import ModelUnavailableError
from serving.api.dependencies import DeskDep, problems
from serving.api.query_params import StrictRoute
from serving.api.responses import OrjsonResponse
from serving.api.schemas.operations import ModelInfo

router = APIRouter(tags=["model"], route_class=StrictRoute)


@router.get("/predict/model/info", response_model=ModelInfo, responses=problems(401, 422, 503))
@router.get("/predict/model/info/", include_in_schema=False)
async def model_info(desk: DeskDep) -> Any:
    """The model that the workers really use, as the registry tells it."""
    workers = await desk.results.workers()
    loaded = [one for one in workers if one["model_version"] is not None]
    if not loaded:
        why = next((one["error"] for one in workers if one["error"]), None)
        raise ModelUnavailableError(why or ("the workers are still loading" if workers else "no worker is alive"))
    counts = Counter(one["model_version"] for one in loaded)
    newest = max(loaded, key=lambda one: one["loaded_at"])
    return OrjsonResponse(
        {
            "name": newest["name_of_model"],
            "version": newest["model_version"],
            **{key: newest[key] for key in ("trained_through", "created_at", "loaded_at", "features", "tags")},
            "workers": counts[newest["model_version"]],
            "other_versions": sorted(set(counts) - {newest["model_version"]}),
        }
    )
