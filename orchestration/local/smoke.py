"""Whether a service really answers, and whether a forecast is really served."""

from __future__ import annotations

import threading
import time

import httpx

from orchestration.local.preflight import CannotStartError

PATIENCE = 300.0
"""Seconds that a service gets to answer; a slow disk on a first start takes its time."""

SEASON_OVER = "no match is to come"


def wait_for(name: str, address: str, path: str, stopping: threading.Event, patience: float = PATIENCE) -> None:
    """Return when `address + path` answers 200; raises CannotStartError with the last answer when patience ends."""
    deadline = time.monotonic() + patience
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
    raise CannotStartError(f"{name} did not answer at {address + path} within {patience:.0f} s ({answer})")


def ask(api: str) -> str | None:
    """Ask like an application would: a published forecast, then a fresh one through the queue.

    None when both were answered, otherwise what came instead; SEASON_OVER when no match is to come.
    """
    try:
        page = httpx.get(f"{api}/matches", params={"status": "scheduled", "limit": 100}, timeout=10).json()
        if not page["items"]:
            return SEASON_OVER
        match = next((match for match in page["items"] if match["forecast"]), None)
        if match is None:
            return "no scheduled match has a forecast"
        published = httpx.get(f"{api}/predict/{match['match_id']}", timeout=10)
        fresh = httpx.post(
            f"{api}/predict", json={name: match[name] for name in ("home_team", "away_team")}, timeout=35
        )
    except (httpx.HTTPError, LookupError, TypeError, ValueError) as error:
        return repr(error)
    if published.status_code == fresh.status_code == 200:
        return None
    return f"{published.status_code} {published.text[:200]} / {fresh.status_code} {fresh.text[:200]}"


def first_forecast(api: str, stopping: threading.Event, patience: float = PATIENCE) -> bool:
    """Return True once a forecast is served, False if the season is over; raises CannotStartError when patience ends."""
    deadline = time.monotonic() + patience
    answer: str | None = "no answer"
    while time.monotonic() < deadline and not stopping.is_set():
        answer = ask(api)
        if answer is None or answer == SEASON_OVER:
            return answer is None
        stopping.wait(0.5)
    raise CannotStartError(f"everything started, but no forecast was served: {answer}")
