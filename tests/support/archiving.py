"""Fetching a file as a load does that can use it: what the server sends is archived."""

from __future__ import annotations

from datetime import datetime

from features.io.sources.client import Client, Fetched


def fetch_and_keep(client: Client, url: str, now: datetime) -> Fetched | None:
    """Fetch `url` at `now` and archive it; None if the server has no such file."""
    fetched = client.fetch(url, now)
    return client.keep(fetched) if fetched is not None else None
