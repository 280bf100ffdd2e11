"""The model in use."""

from __future__ import annotations

from collections import Counter

from features.errors import ModelUnavailableError
from serving.api.dependencies import DeskDep, problems
from serving.api.query_params import NoQuery
from serving.api.routes.router import SlashRouter
from serving.api.schemas.operations import ModelInfo

router = SlashRouter(tags=["model"])


@router.get("/predict/model/info", responses=problems(401, 422, 503))
async def model_info(_: NoQuery, desk: DeskDep) -> ModelInfo:
    """The model that the workers have loaded, with its registry metadata."""
    workers = await desk.results.workers()
    loaded = [worker for worker in workers if worker["model_version"] is not None]
    if not loaded:
        reason = next((worker["error"] for worker in workers if worker["error"]), None)
        raise ModelUnavailableError(reason or ("the workers are still loading" if workers else "no worker is alive"))
    counts = Counter(worker["model_version"] for worker in loaded)
    newest = max(loaded, key=lambda worker: worker["loaded_at"])
    return ModelInfo(
        name=newest["name_of_model"],
        version=newest["model_version"],
        **{key: newest[key] for key in ("trained_through", "created_at", "loaded_at", "features", "tags")},
        workers=counts[newest["model_version"]],
        other_versions=sorted(set(counts) - {newest["model_version"]}),
    )
