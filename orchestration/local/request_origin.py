"""Refuses what other web pages send to the local Dagster, which has no login and starts runs for whoever asks.

A browser sends a page's request to addresses of its user's machine, wherever the page comes from.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, MutableMapping
from ipaddress import ip_address
from typing import Any
from urllib.parse import SplitResult, parse_qsl, urlsplit

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]
"""An ASGI application: Dagster's, or the guard around it."""

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
FOREIGN_SITES = ("cross-site", "same-site")  # another port of this machine is another origin of the same site
FRAME_RULE = (b"x-frame-options", b"SAMEORIGIN")
"""Without it, a page could show Dagster's buttons in a frame of its own and have its visitors click on them."""


class OriginGuard:
    """Dagster's ASGI application, for this machine's own pages and programs alone.

    Parameters
    ----------
    hosts : names under which Dagster may be opened, in addition to those of the loopback interface.
    """

    def __init__(self, application: Application, hosts: Collection[str] = ()) -> None:
        self._application, self._hosts = application, frozenset(name.lower() for name in hosts)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer a refused request with 403 and the reason, a refused websocket with 403, any other as Dagster does."""
        if scope["type"] not in ("http", "websocket"):
            await self._application(scope, receive, send)
            return
        if reason := refusal(scope, self._hosts):
            await _refuse(scope, send, reason)
            return

        async def send_with_frame_rule(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), FRAME_RULE]
            await send(message)

        await self._application(scope, receive, send_with_frame_rule)


def refusal(scope: Message, hosts: Collection[str]) -> str | None:
    """Return why a request or websocket is refused, None if it is not; the scope is ASGI's."""
    headers = {name: value.decode("latin-1").strip().lower() for name, value in scope["headers"]}
    host = headers.get(b"host", "")
    name = _parts(f"//{host}").hostname or ""
    if not _is_loopback(name) and name not in hosts:  # a name of another site may point to this machine
        return f"Dagster does not answer under the name {name[:100]!r}; add it to TOUCHLINE_DAGSTER_HOSTS"
    is_read = scope["type"] == "http" and scope["method"] in SAFE_METHODS
    is_link = is_read and headers.get(b"sec-fetch-mode") == "navigate"
    if not is_link and _is_foreign(headers, host, hosts):
        page = headers.get(b"origin", "another site")
        return f"a page of {page[:100]!r} may not use Dagster"
    if is_read and _is_graphql_operation(scope):
        return "Dagster takes GraphQL by POST only"  # a link may be foreign, and an operation may start a run
    return None


def _is_foreign(headers: Mapping[bytes, str], host: str, hosts: Collection[str]) -> bool:
    """Whether a page of another origin sends this; programs send neither header, a typed address sends `none`."""
    if site := headers.get(b"sec-fetch-site"):
        return site in FOREIGN_SITES
    if (origin := headers.get(b"origin")) is None:
        return False
    page = _parts(origin)
    return page.netloc != host and page.hostname not in hosts  # a proxy may send another Host than the page has


def _is_graphql_operation(scope: Message) -> bool:
    names = {name for name, _ in parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)}
    return scope["path"].rstrip("/").endswith("/graphql") and "query" in names


def _parts(address: str) -> SplitResult:
    """The parts of an address, all empty if it is none."""
    try:
        return urlsplit(address)
    except ValueError:
        return urlsplit("")


def _is_loopback(name: str) -> bool:
    try:
        return name == "localhost" or ip_address(name).is_loopback
    except ValueError:
        return False


async def _refuse(scope: Message, send: Send, reason: str) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": reason})
        return
    body = f"{reason}\n".encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 403, "headers": headers})
    await send({"type": "http.response.body", "body": body})
