"""HEAD is answered as GET without a body, so that uptime monitors find the service up."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import httpx
import pytest

from serving.api.app import create_app
from serving.settings import ServingSettings
from tests.support.prometheus_samples import samples
from tests.support.raw_http import RawConnection
from tests.support.service_harness import Service

MATCH = "eng-premier-league-2025-26-arsenal-chelsea"
VALUES = {"match_id": MATCH, "competition": "eng-premier-league", "week": "2026-03-09", "task_id": "none"}
VARYING = {"date", "x-request-id", "transfer-encoding"}


def _paths() -> Iterator[str]:
    """Every documented path of GET in both its forms, and those that are not documented."""
    document: dict[str, Any] = create_app(ServingSettings()).openapi()
    for path, methods in document["paths"].items():
        if "get" in methods:
            filled = path.format(**VALUES)
            yield from (filled.rstrip("/"), filled.rstrip("/") + "/")
    yield from ("/", "/docs", "/openapi.json", "/docs/assets/swagger-ui.css", "/nowhere", "/matches?limit=many")


@pytest.mark.parametrize(("path", "coding"), list(product(_paths(), ["identity", "gzip"])))
def test_head_has_the_status_and_headers_of_get(api: httpx.Client, path: str, coding: str) -> None:
    got, head = (api.request(method, path, headers={"accept-encoding": coding}) for method in ("GET", "HEAD"))
    assert head.content == b""
    assert head.status_code == got.status_code
    assert head.headers.keys() | {"transfer-encoding"} == got.headers.keys() | {"transfer-encoding"}
    if not path.startswith(("/metrics", "/healthcheck/ready", "/monitoring/celery")):  # their content changes
        names = got.headers.keys() - VARYING
        if got.status_code >= 400:  # a problem repeats the method
            names -= {"content-length"}
        assert {name: head.headers[name] for name in names} == {name: got.headers[name] for name in names}


def test_no_byte_of_a_body_follows_a_head(service: Service) -> None:
    with RawConnection(service.port) as raw:
        for path in (b"/matches", b"/openapi.json", b"/healthcheck/", b"/nowhere", b"/docs/assets/swagger-ui.css"):
            raw.send(b"HEAD %b HTTP/1.1\r\nHost: x\r\n\r\n" % path)
            assert int(raw.response("HEAD").headers["content-length"]) > 0
            assert raw.is_silent(0.2)
        raw.send(b"GET /healthcheck/ HTTP/1.1\r\nHost: x\r\n\r\n")
        assert raw.response().json() == {"status": "ok"}


def test_only_paths_of_get_answer_head(api: httpx.Client) -> None:
    assert api.head("/predict").status_code == 405
    refused = api.post("/matches")
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD")


def test_head_is_counted_under_its_route(api: httpx.Client) -> None:
    series = ("touchline_requests_total", "HEAD", "/matches/{match_id}", "200")

    def count() -> float:
        return samples(api.get("/metrics").text).get(series, 0)

    before = count()
    assert api.head(f"/matches/{MATCH}").status_code == 200
    assert count() == before + 1
