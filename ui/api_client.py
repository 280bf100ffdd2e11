"""The only way to the platform: its REST API over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from time import monotonic, sleep
from typing import TypeVar
from urllib.parse import quote

import httpx
from pydantic import ValidationError

from ui.answers import Accepted, Answer, Match, MatchPage, Problem, TaskStatus

A = TypeVar("A", bound=Answer)
Params = dict[str, str | int]


class ApiError(Exception):
    """The API gave no usable answer; the message is for the user."""


class UnreachableError(ApiError):
    """Nothing answers at the address, or not in time."""


class NotReadyError(ApiError):
    """The API is up but something behind it is not (503), or it is shedding load."""


class NotFoundError(ApiError):
    """The API does not know what was asked for (404)."""


class RefusedError(ApiError):
    """The API refused the request and said why."""


_BY_STATUS: dict[int, type[ApiError]] = {404: NotFoundError, 502: NotReadyError, 503: NotReadyError, 504: NotReadyError}


class ApiClient:
    """Typed access to the endpoints that the pages use. Safe to share between threads."""

    def __init__(self, base_url: str, timeout: float, api_key: str | None = None) -> None:
        headers = {"X-API-Key": api_key} if api_key else {}
        self.base_url = base_url
        self._http = httpx.Client(base_url=base_url, timeout=timeout, headers=headers, follow_redirects=True)

    def matches(self, **filters: str | int | None) -> MatchPage:
        """A page of matches; filters that are None or empty are not sent."""
        params: Params = {name: value for name, value in filters.items() if value not in (None, "")}
        return self._get("/matches", MatchPage, params)

    def match(self, match_id: str) -> Match:
        return self._get(f"/matches/{quote(match_id, safe='')}", Match)

    def predict_later(self, home_team: str, away_team: str, competition: str | None, key: str) -> Accepted:
        """Queue a forecast. `key` makes sending the same request twice harmless."""
        body = {"home_team": home_team, "away_team": away_team}
        if competition:
            body["competition"] = competition
        answer = self._send("POST", "/predict/async/", json=body, headers={"Idempotency-Key": key})
        return _parsed(Accepted, answer)

    def task_status(self, task_id: str) -> TaskStatus:
        return self._get(f"/monitoring/task_status/{quote(task_id, safe='')}", TaskStatus)

    def follow(self, task_id: str, patience: float, interval: float = 0.2) -> Iterator[TaskStatus]:
        """Poll a task until it is over or patience runs out; the last status is the one that ended it."""
        deadline = monotonic() + patience
        while True:
            status = self.task_status(task_id)
            yield status
            if status.status in ("success", "failure"):
                return
            if monotonic() > deadline:
                raise NotReadyError(
                    f"The forecast is still “{status.status}” after {patience:.0f} seconds. Its task {task_id} stays "
                    "on the queue; if this goes on, no worker is taking work."
                )
            sleep(interval)

    def _get(self, path: str, shape: type[A], params: Params | None = None) -> A:
        return _parsed(shape, self._send("GET", path, params=params or {}))

    def _send(
        self,
        method: str,
        path: str,
        params: Params | None = None,
        json: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
    ) -> httpx.Response:
        try:
            answer = self._http.request(method, path, params=params, json=json, headers=headers)
        except httpx.TimeoutException as error:
            raise UnreachableError(f"The API at {self.base_url} did not answer in time.") from error
        except httpx.HTTPError as error:
            raise UnreachableError(f"Nothing answers at {self.base_url} ({error}).") from error
        if answer.is_error:
            raise _BY_STATUS.get(answer.status_code, RefusedError)(_explanation(answer))
        return answer


def _parsed(shape: type[A], answer: httpx.Response) -> A:
    try:
        return shape.model_validate_json(answer.content)
    except ValidationError as error:
        raise RefusedError(
            f"The API's answer to {answer.request.url.path} is not in the form this viewer knows; "
            f"are both of the same version? ({error.error_count()} fields differ)"
        ) from error


def _explanation(answer: httpx.Response) -> str:
    """The detail of a problem document, or the bare status when it is none."""
    try:
        problem = Problem.model_validate_json(answer.content)
    except ValidationError:
        problem = Problem()
    return problem.detail or problem.title or f"The API answered {answer.status_code} {answer.reason_phrase}."
