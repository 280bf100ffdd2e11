"""The only way to the platform: its REST API over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from time import monotonic, sleep
from typing import TypeVar
from urllib.parse import quote

import httpx
from pydantic import ValidationError

from ui.api_models import (
    ApiModel,
    Competitions,
    DriftWeeks,
    Insight,
    Match,
    MatchPage,
    ModelInfo,
    Performance,
    Problem,
    PublishedForecast,
    RatingHistory,
    SeasonTable,
    TaskAccepted,
    TaskStatus,
    Teams,
)

A = TypeVar("A", bound=ApiModel)
Params = dict[str, str | int]

MAX_PAGE_SIZE = 200


class ApiError(Exception):
    """The API gave no usable answer; the message is for the user."""


class UnreachableError(ApiError):
    """Nothing answers at the address, or not in time."""


class NotReadyError(ApiError):
    """The API is up but something behind it is not (503), or it is shedding load."""


class NotFoundError(ApiError):
    """The API does not know what was asked for (404)."""


class UnauthorizedError(ApiError):
    """The API wants a key, or another one (401, 403)."""


class BadRequestError(ApiError):
    """The API refused the request and said why."""


_ERROR_OF_STATUS: dict[int, type[ApiError]] = {
    401: UnauthorizedError,
    403: UnauthorizedError,
    404: NotFoundError,
    502: NotReadyError,
    503: NotReadyError,
    504: NotReadyError,
}


class ApiClient:
    """Typed access to the endpoints that the pages use. Safe to share between threads."""

    def __init__(self, base_url: str, timeout: float, api_key: str | None = None) -> None:
        headers = {"X-API-Key": api_key} if api_key else {}
        self.base_url = base_url
        self._http = httpx.Client(base_url=base_url, timeout=timeout, headers=headers, follow_redirects=True)

    def matches(
        self,
        *,
        competition: str | None = None,
        team: str | None = None,
        status: str | None = None,
        since: date | None = None,
        until: date | None = None,
        newest_first: bool = False,
        limit: int = 50,
        cursor: str | None = None,
    ) -> MatchPage:
        """A page of matches by kick-off; filters that are None or empty are not sent."""
        filters = {
            "competition": competition,
            "team": team,
            "status": status,
            "date_from": since and since.isoformat(),
            "date_to": until and until.isoformat(),
            "order": "desc" if newest_first else None,
            "cursor": cursor,
        }
        params: Params = {name: value for name, value in filters.items() if value}
        return self._get("/matches", MatchPage, params | {"limit": limit})

    def match(self, match_id: str) -> Match:
        return self._get(f"/matches/{quote(match_id, safe='')}", Match)

    def published(self, match_id: str) -> PublishedForecast:
        return self._get(f"/predict/{quote(match_id, safe='')}", PublishedForecast)

    def insight(self, match_id: str) -> Insight:
        return self._get(f"/matches/{quote(match_id, safe='')}/insight", Insight)

    def ratings(self, match_id: str) -> RatingHistory:
        return self._get(f"/matches/{quote(match_id, safe='')}/ratings", RatingHistory)

    def results(self, team: str, competition: str, until: datetime) -> Iterator[Match]:
        """Played matches of a club before a moment, newest first, fetched page by page as they are asked for."""
        cursor: str | None = None
        while True:
            page = self.matches(
                team=team,
                competition=competition,
                status="played",
                until=until.astimezone(UTC).date(),
                newest_first=True,
                limit=MAX_PAGE_SIZE,
                cursor=cursor,
            )
            yield from (match for match in page.items if match.kick_off < until)
            if page.next_cursor is None:
                return
            cursor = page.next_cursor

    def teams(self) -> Teams:
        return self._get("/teams", Teams)

    def competitions(self) -> Competitions:
        return self._get("/competitions", Competitions)

    def table(self, competition: str) -> SeasonTable:
        return self._get(f"/competitions/{quote(competition, safe='')}/table", SeasonTable)

    def model_info(self) -> ModelInfo:
        return self._get("/predict/model/info", ModelInfo)

    def performance(self) -> Performance:
        return self._get("/monitoring/performance", Performance)

    def drift(self) -> DriftWeeks:
        return self._get("/monitoring/drift", DriftWeeks)

    def drift_report(self, week: str) -> str:
        """The report as a self-contained HTML page, some megabytes."""
        return self._send("GET", f"/monitoring/drift/{quote(week, safe='')}/report").text

    def predict_later(self, home_team: str, away_team: str, competition: str | None, key: str) -> TaskAccepted:
        """Queue a forecast. `key` makes sending the same request twice harmless."""
        body = {"home_team": home_team, "away_team": away_team}
        if competition:
            body["competition"] = competition
        answer = self._send("POST", "/predict/async/", json=body, headers={"Idempotency-Key": key})
        return _parse(TaskAccepted, answer)

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
        return _parse(shape, self._send("GET", path, params=params or {}))

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
            raise _ERROR_OF_STATUS.get(answer.status_code, BadRequestError)(_error_message(answer))
        return answer


def _parse(shape: type[A], answer: httpx.Response) -> A:
    try:
        return shape.model_validate_json(answer.content)
    except ValidationError as error:
        raise BadRequestError(
            f"The API's answer to {answer.request.url.path} is not in the form this viewer knows; "
            f"are both of the same version? ({error.error_count()} fields differ)"
        ) from error


def _error_message(answer: httpx.Response) -> str:
    """The detail of a problem document, or the bare status when it is none."""
    try:
        problem = Problem.model_validate_json(answer.content)
    except ValidationError:
        problem = Problem()
    near = [name for error in problem.errors for name in error.suggestions]
    said = problem.detail or problem.title or f"The API answered {answer.status_code} {answer.reason_phrase}."
    return f"{said.rstrip('.')}. Nearest known: {', '.join(near)}." if near else said
