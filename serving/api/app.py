"""The REST API: `python -m serving.api`."""

from __future__ import annotations

import asyncio
import contextlib
import logging
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
from starlette.concurrency import run_in_threadpool
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from features.errors import InvalidInputError, SourceError
from features.io.clock import Clock
from features.io.formats import load_formats
from features.io.sources.club_aliases import load_aliases
from features.io.store import Lake
from features.league_rules import LeagueRules
from monitoring.exporter import ReportCollector
from monitoring.metrics import registry
from serving.api import problem_details
from serving.api.api_key_file import ApiKeyFile
from serving.api.catalogue.catalogue import Catalogue
from serving.api.compression import CompressionMiddleware
from serving.api.connection_limits import BoundedHttpProtocol
from serving.api.dispatch.broker import create_broker
from serving.api.dispatch.dispatcher import Dispatcher
from serving.api.dispatch.result_store import ResultStore
from serving.api.draining import DrainState, remove_leftover
from serving.api.fast_path import FastPathMiddleware
from serving.api.head_requests import HeadMiddleware
from serving.api.middleware import ErrorMiddleware, RequestContextMiddleware, RequestGuardMiddleware
from serving.api.openapi import document
from serving.api.routes import forecasts, health, insights, matches, models, monitoring, predictions, ratings
from serving.settings import ServingSettings, read_settings
from serving.telemetry import memory, tracing
from serving.telemetry.logging import configure_logging

log = structlog.get_logger(__name__)
CHILD_ANSWER_SECONDS = 60
"""How long a process of several may take to answer its parent, which otherwise replaces it. On a slow or busy machine
the imports alone take longer than uvicorn's five seconds: every process would be ended before it has started."""
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
    app.state.catalogue = Catalogue(Lake(settings.lake_root), _aliases(settings), Clock(settings), _formats(settings))
    app.state.draining = DrainState(settings.drain_file)
    app.state.metrics = registry(ReportCollector(app.state.catalogue.lake))
    for part in (predictions, matches, forecasts, ratings, insights, models, monitoring, health):
        app.include_router(part.router)
    app.add_route("/", _redirect_to_docs, include_in_schema=False)
    problem_details.install(app)
    keys = ApiKeyFile(settings.api_keys_file) if settings.api_keys_file else None
    app.state.keys = keys
    app.add_middleware(HeadMiddleware)
    app.add_middleware(CompressionMiddleware)
    app.add_middleware(FastPathMiddleware, routes=predictions.FAST_ROUTES)
    app.add_middleware(
        RequestGuardMiddleware,
        keys=keys,
        max_body_bytes=settings.max_body_bytes,
        timeout_seconds=settings.http_io_timeout_seconds,
        cors_origins=settings.cors_origins,
    )
    app.add_middleware(ErrorMiddleware)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST"],
            allow_headers=["*"],
            expose_headers=["X-Request-ID", "Retry-After", "Location"],
        )
    app.add_middleware(RequestContextMiddleware, draining=app.state.draining)
    app.openapi = cache(partial(document.build, app, keys is not None))  # type: ignore[method-assign]  # FastAPI wants it so
    _build_document_in_thread(app)
    return app


def _build_document_in_thread(app: FastAPI) -> None:
    """Make the first request for the OpenAPI document build it in a thread. It takes 0.2 s, and others would wait."""
    (route,) = (route for route in app.routes if isinstance(route, Route) and route.path == app.openapi_url)
    answer = route.app

    async def build_and_answer(scope: Scope, receive: Receive, send: Send) -> None:
        await run_in_threadpool(app.openapi)
        await answer(scope, receive, send)

    route.app = build_and_answer


def _aliases(settings: ServingSettings) -> Mapping[str, Mapping[str, str]]:
    """Load the aliases of clubs. If the user's own file is unreadable here, only the bundled ones apply."""
    try:
        return load_aliases(settings.aliases).tables
    except SourceError as error:
        log.warning("aliases.unreadable", error=str(error))
        return load_aliases().tables


def _formats(settings: ServingSettings) -> Mapping[str, LeagueRules]:
    """Load the formats of the user's own competitions. If they are unreadable here, only the listed ones apply."""
    try:
        return load_formats(settings.formats)
    except InvalidInputError as error:
        log.warning("formats.unreadable", error=str(error))
        return {}


async def _redirect_to_docs(request: Request) -> Response:
    """Redirect the root path to the documentation."""
    return RedirectResponse(f"{request.scope.get('root_path', '')}/docs")


@contextlib.asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    settings: ServingSettings = app.state.settings
    configure_logging(settings.log_level)
    memory.use_system_allocator()
    await anyio.lowlevel.checkpoint()  # imports anyio's backend now; in a request the import would delay others
    tracing.configure(settings.otlp_endpoint, "api")
    results = ResultStore(settings.results, settings.result_ttl_seconds)
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

    settings = read_settings()
    configure_logging(settings.log_level)
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
        root_path=settings.api_root_path,
        log_config=None,
        access_log=False,
        timeout_keep_alive=settings.keep_alive_seconds,
        timeout_graceful_shutdown=int(settings.sync_timeout_seconds) + 5,
        server_header=False,
        forwarded_allow_ips="127.0.0.1",  # not what the environment says
    )
    if settings.api_processes == 1:
        serve(workers=1)
    else:
        logging.getLogger("uvicorn.error").setLevel(logging.INFO)  # in the parent: which process died, and was replaced
        with _shared_metrics():
            serve(workers=settings.api_processes, timeout_worker_healthcheck=CHILD_ANSWER_SECONDS)


@contextlib.contextmanager
def _shared_metrics() -> Iterator[None]:
    """Set the folder in which API processes share their metrics, unless it is set already."""
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="touchline-metrics-") as folder:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
        try:
            yield
        finally:
            del os.environ["PROMETHEUS_MULTIPROC_DIR"]
