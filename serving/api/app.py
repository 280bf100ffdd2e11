"""The REST API: `python -m serving.api`."""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from typing import Any, cast

import anyio.lowlevel
import structlog
from fastapi import FastAPI, Request
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import RedirectResponse, Response
from fastapi_offline import FastAPIOffline

from features.errors import SourceError
from features.io.clock import Clock
from features.io.sources.club_aliases import load_aliases
from features.io.store import Lake
from monitoring.exporter import ReportCollector
from monitoring.metrics import registry
from serving.api import problem_details
from serving.api.api_keys import ApiKeys
from serving.api.catalogue.catalogue import Catalogue
from serving.api.connection_limits import BoundedHttpProtocol
from serving.api.dispatch.broker import create_broker
from serving.api.dispatch.dispatcher import Dispatcher
from serving.api.dispatch.result_store import ResultStore
from serving.api.draining import DrainState, remove_leftover
from serving.api.fast_path import FastPathMiddleware
from serving.api.middleware import ErrorMiddleware, RequestContextMiddleware, RequestGuardMiddleware
from serving.api.openapi import document
from serving.api.routes import health, insights, matches, models, monitoring, predictions, ratings
from serving.settings import ServingSettings
from serving.telemetry import memory, tracing
from serving.telemetry.logging import configure_logging

log = structlog.get_logger(__name__)
DESCRIPTION = """Calibrated home / draw / away probabilities of football matches: published weekly or on demand.

Every error is a problem document (RFC 9457). It names the invalid fields and suggests known values that are similar."""


def create_app(settings: ServingSettings | None = None) -> FastAPI:
    """Build the application. It opens no connection until it is started."""
    settings = settings or ServingSettings()
    app = FastAPIOffline(  # serves the assets of /docs itself
        title="Touchline",
        version="1",
        description=DESCRIPTION,
        lifespan=_lifespan,
        redoc_url=None,
        static_url="/docs/assets",
        separate_input_output_schemas=False,
        # Off: `serving.telemetry` and `monitoring.metrics` do this.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.settings = settings
    app.state.catalogue = Catalogue(Lake(settings.lake_root), _aliases(settings), Clock(settings))
    app.state.draining = DrainState(settings.drain_file)
    app.state.metrics = registry(ReportCollector(app.state.catalogue.lake))
    for part in (predictions, matches, ratings, insights, models, monitoring, health):
        app.include_router(part.router)
    app.add_route("/", _redirect_to_docs, include_in_schema=False)
    problem_details.install(app)
    keys = ApiKeys.read(settings.api_keys_file) if settings.api_keys_file else None
    app.add_middleware(FastPathMiddleware, routes=predictions.FAST_ROUTES)
    app.add_middleware(
        RequestGuardMiddleware,
        keys=keys,
        max_body_bytes=settings.max_body_bytes,
        timeout_seconds=settings.http_io_timeout_seconds,
    )
    app.add_middleware(ErrorMiddleware)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST"],
            allow_headers=["*"],
            expose_headers=["X-Request-ID", "Retry-After"],
        )
    app.add_middleware(RequestContextMiddleware, draining=app.state.draining)
    app.openapi = cache(partial(document.build, app, keys is not None))  # type: ignore[method-assign]  # FastAPI wants it so
    return app


def _aliases(settings: ServingSettings) -> Mapping[str, Mapping[str, str]]:
    """Load the aliases of clubs. If the user's own file is unreadable here, only the bundled ones apply."""
    try:
        return load_aliases(settings.aliases).tables
    except SourceError as error:
        log.warning("aliases.unreadable", error=str(error))
        return load_aliases().tables


async def _redirect_to_docs(_: Request) -> Response:
    """Redirect the root path to the documentation."""
    return RedirectResponse("/docs")


@contextlib.asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    settings: ServingSettings = app.state.settings
    configure_logging(settings.log_level)
    memory.use_system_allocator()
    await anyio.lowlevel.checkpoint()  # imports anyio's backend now; in a request the import would delay others
    tracing.configure(settings.otlp_endpoint, "api")
    results = ResultStore(settings.results_url, settings.result_ttl_seconds)
    broker = create_broker(settings)
    app.state.dispatcher = Dispatcher(settings, broker, results)
    results.start()
    background = [
        asyncio.create_task(app.state.dispatcher.supervise()),
        asyncio.create_task(app.state.draining.watch()),
        asyncio.create_task(_refresh_catalogue(app.state.catalogue, settings.catalogue_refresh_seconds)),
    ]
    try:
        yield
    finally:
        for task in background:
            task.cancel()
        await asyncio.gather(*background, return_exceptions=True)
        await results.close()
        await broker.close()
        tracing.shutdown()


async def _refresh_catalogue(catalogue: Catalogue, seconds: float) -> None:
    """Refresh the catalogue periodically in a thread of its own."""
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(1, "catalogue") as thread:
        while True:
            before = catalogue.snapshot
            try:
                await loop.run_in_executor(thread, catalogue.refresh)
                if catalogue.snapshot is not before:
                    await loop.run_in_executor(thread, memory.freeze_heap)
            except Exception as error:
                log.warning("catalogue.refresh_failed", error=str(error), exc_info=error)
            await asyncio.sleep(seconds)


def main() -> None:
    """Serve on the configured address; a stop waits for requests in progress."""
    import uvicorn

    settings = ServingSettings()
    remove_leftover(settings.drain_file)
    serve = partial(
        uvicorn.run,
        "serving.api.app:create_app",
        factory=True,
        http=cast(
            Any,
            partial(
                BoundedHttpProtocol,
                timeout_seconds=settings.http_io_timeout_seconds,
                max_connections=settings.max_connections,
            ),
        ),
        ws="none",
        host=settings.api_host,
        port=settings.api_port,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=int(settings.sync_timeout_seconds) + 5,
        server_header=False,
    )
    if settings.api_processes == 1:
        serve()
    else:
        with _shared_metrics():
            serve(workers=settings.api_processes)


@contextlib.contextmanager
def _shared_metrics() -> Iterator[None]:
    """Set the folder in which API processes share their metrics, unless it is set already."""
    with tempfile.TemporaryDirectory(prefix="touchline-metrics-") as folder:
        os.environ.setdefault("PROMETHEUS_MULTIPROC_DIR", folder)
        yield
