"""The web page behind a request: pages of other origins may change nothing.

A browser sends a page's request with whatever lets its user reach the API: the network, or a key that a proxy adds.
"""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.types import Scope

from serving.errors import ForeignOriginError

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_FOREIGN_SITES = (b"cross-site", b"same-site")


def check_origin(scope: Scope, allowed: Collection[str]) -> None:
    """Raise ForeignOriginError for a request that may change something and comes from a page of another origin.

    Parameters
    ----------
    allowed : origins of other pages that may call the API (setting `cors_origins`), or `*` for every page.
    """
    if scope["method"] in SAFE_METHODS:
        return
    origin = site = None
    for name, value in scope["headers"]:
        if name == b"origin":
            origin = value.decode("latin-1")
        elif name == b"sec-fetch-site":
            site = value.lower()
    if origin is None and site is None:  # not a browser
        return
    if (origin in allowed or "*" in allowed) or not _is_foreign(scope, origin, site):
        return
    page = (origin or "another site")[:100]
    raise ForeignOriginError(f"a page of {page!r} may not call this API; add its origin to TOUCHLINE_CORS_ORIGINS")


def _is_foreign(scope: Scope, origin: str | None, site: bytes | None) -> bool:
    if site is not None:
        return site in _FOREIGN_SITES
    host = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"host"), "")
    return urlsplit(origin or "").netloc.lower() != host.lower()
