"""Whether the services of a local run answer. A process may be alive while the child that does its work is gone."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping

import httpx

CHECK_SECONDS = 5.0
UNHEALTHY_SECONDS = 20.0
"""How long a service that has answered before must fail without a break before it counts as unhealthy."""
ANSWER_SECONDS = 10.0
Check = Callable[[], str | None]
"""Returns what is wrong with a service; None if nothing is."""
_LOCATIONS = """{ workspaceOrError { ... on Workspace { locationEntries { name locationOrLoadError {
  __typename ... on PythonError { message } } } } } }"""


def answers(url: str) -> Check:
    """Return a check that any HTTP answer passes, since only the process itself is in question."""

    def check() -> str | None:
        try:
            httpx.get(url, timeout=ANSWER_SECONDS)
        except httpx.HTTPError as error:
            return f"it does not answer at {url} ({error})"
        return None

    return check


def code_location_answers(dagster: str) -> Check:
    """Return a check that Dagster's webserver answers and reaches the process that holds our code."""

    def check() -> str | None:
        try:
            answer = httpx.post(f"{dagster}/graphql", json={"query": _LOCATIONS}, timeout=ANSWER_SECONDS).json()
            entries = answer["data"]["workspaceOrError"]["locationEntries"]
        except (httpx.HTTPError, ValueError, LookupError, TypeError) as error:
            return f"it does not answer at {dagster} ({error})"
        for entry in entries:
            state = entry["locationOrLoadError"] or {"__typename": "still loading"}
            if state["__typename"] == "PythonError":
                reason = state["message"].strip().splitlines()[0][:200]
                return f"its code location {entry['name']} is unreachable ({reason})"
        return None

    return check


class HealthMonitor:
    """Runs the checks of services in a thread, and lists those that have been unhealthy for long."""

    def __init__(
        self,
        checks: Mapping[str, Check],
        check_seconds: float = CHECK_SECONDS,
        unhealthy_seconds: float = UNHEALTHY_SECONDS,
    ) -> None:
        self._checks, self._check_seconds, self._unhealthy_seconds = dict(checks), check_seconds, unhealthy_seconds
        self._healthy_at: dict[str, float] = {}
        self._failures: dict[str, str] = {}
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._watch, args=(name,), daemon=True) for name in self._checks]

    def start(self) -> None:
        """Start checking; a service that has not answered yet is starting, not unhealthy."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stop checking."""
        self._stopping.set()

    def forget(self, name: str) -> None:
        """Treat a service as starting, since it was started again."""
        self._healthy_at.pop(name, None)
        self._failures.pop(name, None)

    def unhealthy(self) -> dict[str, str]:
        """Return the services that answered once and have failed for long, with the reasons."""
        now = time.monotonic()
        healthy_at = dict(self._healthy_at)
        return {
            name: reason
            for name, reason in dict(self._failures).items()
            if name in healthy_at and now - healthy_at[name] >= self._unhealthy_seconds
        }

    def _watch(self, name: str) -> None:
        while not self._stopping.wait(self._check_seconds):
            if (reason := self._checks[name]()) is None:
                self._healthy_at[name] = time.monotonic()
                self._failures.pop(name, None)
            else:
                self._failures[name] = reason
