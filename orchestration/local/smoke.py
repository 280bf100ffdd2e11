"""Whether a service answers, and whether a forecast is served."""

from __future__ import annotations

import threading
import time

import httpx

from orchestration.local.preflight import CannotStartError

TIMEOUT_SECONDS = 300.0
"""How long a service may take to answer; a first start on a slow disk takes minutes."""

SEASON_OVER = "no upcoming matches"


def wait_for(
    name: str, address: str, path: str, stopping: threading.Event, timeout_seconds: float = TIMEOUT_SECONDS
) -> None:
    """Return when `address + path` answers 200; raises CannotStartError with the last answer after the timeout."""
    deadline = time.monotonic() + timeout_seconds
    answer = "no answer"
    while time.monotonic() < deadline:
        if stopping.is_set():
            raise CannotStartError("stopped while starting")
        try:
            response = httpx.get(address + path, timeout=5)
            if response.status_code == 200:
                return
            answer = f"{response.status_code} {response.text[:200]}"
        except httpx.HTTPError as error:
            answer = str(error)
        stopping.wait(0.3)
    raise CannotStartError(f"{name} did not answer at {address + path} within {timeout_seconds:.0f} s ({answer})")


def probe(api: str) -> str | None:
    """Request a published forecast, then a fresh one through the queue, as an application would.

    Returns None if both were answered, otherwise the failed answer; SEASON_OVER if there are no upcoming matches.
    """
    try:
        page = httpx.get(f"{api}/matches", params={"status": "scheduled", "limit": 100}, timeout=10).json()
        if not page["items"]:
            return SEASON_OVER
        match = next((match for match in page["items"] if match["forecast"]), None)
        if match is None:
            return "no scheduled match has a forecast"
        published = httpx.get(f"{api}/predict/{match['match_id']}", timeout=10)
        clubs = {name: match[name] for name in ("home_team", "away_team")}
        fresh = httpx.post(f"{api}/predict", json=clubs, timeout=35)
    except (httpx.HTTPError, LookupError, TypeError, ValueError) as error:
        return repr(error)
    if published.status_code == fresh.status_code == 200:
        return None
    return f"{published.status_code} {published.text[:200]} / {fresh.status_code} {fresh.text[:200]}"


def first_forecast(api: str, stopping: threading.Event, timeout_seconds: float = TIMEOUT_SECONDS) -> bool:
    """True once a forecast is served, False if there are no upcoming matches; raises CannotStartError on timeout."""
    deadline = time.monotonic() + timeout_seconds
    answer: str | None = "no answer"
    while time.monotonic() < deadline and not stopping.is_set():
        answer = probe(api)
        if answer is None or answer == SEASON_OVER:
            return answer is None
        stopping.wait(0.5)
    raise CannotStartError(f"every service started, but no forecast was served: {answer}")
