"""Which requests reach the local Dagster; decided from their headers alone."""

from __future__ import annotations

from typing import Any

import pytest

from orchestration.local.request_origin import refusal

HOST = "127.0.0.1:3000"


def request(method: str = "POST", query: str = "", kind: str = "http", **headers: str) -> dict[str, Any]:
    """The scope of a request to /graphql; `_` in the names of headers stands for `-`."""
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in {"host": HOST, **headers}.items()]
    scope = {"type": kind, "path": "/graphql", "query_string": query.encode(), "headers": raw}
    return scope if kind == "websocket" else {**scope, "method": method}


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": f"http://{HOST}"},
        {"origin": f"http://{HOST}", "sec_fetch_site": "same-origin"},
        {"host": "localhost:3000", "origin": "http://localhost:3000"},
        {"host": "[::1]:3000"},
        {"host": "Touchline.example", "origin": "https://touchline.example"},
        {"origin": "https://touchline.example"},
    ],
    ids=str,
)
@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_programs_and_own_pages_are_answered(kind: str, headers: dict[str, str]) -> None:
    """A proxy with a configured name may send either Host."""
    assert refusal(request(kind=kind, **headers), {"touchline.example"}) is None


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:5000"},
        {"origin": "http://localhost:3000"},
        {"origin": "http://[bad"},
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "Same-Site"},
        {"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate", "origin": "null"},
    ],
    ids=str,
)
@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_pages_of_other_origins_change_nothing_and_subscribe_to_nothing(kind: str, headers: dict[str, str]) -> None:
    """A form is a navigation, too."""
    assert "may not use Dagster" in str(refusal(request(kind=kind, **headers), ()))


@pytest.mark.parametrize("host", ["evil.example", "evil.example:3000", "127.0.0.1.evil.example", "[bad", ""])
@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_names_of_other_sites_are_refused_although_they_point_here(kind: str, host: str) -> None:
    """The browser takes such a page for one of Dagster's own."""
    headers = {"host": host, "origin": f"http://{host}", "sec_fetch_site": "same-origin"}
    assert "TOUCHLINE_DAGSTER_HOSTS" in str(refusal(request("GET", kind=kind, **headers), {"touchline.example"}))


@pytest.mark.parametrize("query", ["query={version}", "%71uery=mutation{x}", "a=1&query=", "query"])
def test_graphql_is_taken_by_post_only(query: str) -> None:
    assert "POST" in str(refusal(request("GET", query), ()))


def test_links_from_other_pages_work() -> None:
    """The viewer links to Dagster from another port; an image or a script of a foreign page is no link."""
    link = {"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate"}
    assert refusal(request("GET", **link), ()) is None
    assert refusal(request("GET", "query={version}", **link), ()) is not None
    assert refusal(request("GET", sec_fetch_site="cross-site", sec_fetch_mode="no-cors"), ()) is not None
