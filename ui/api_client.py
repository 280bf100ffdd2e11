"""HTTP client of the REST API, the only connection between the viewer and the platform."""

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
    PromotionGate,
    PublishedForecast,
    RatingHistory,
    SeasonTable,
    TaskAccepted,
    TaskStatus,
    Teams,
)
from ui.environment import certificate_problem

ModelT = TypeVar("ModelT", bound=ApiModel)
Params = dict[str, str | int]

MAX_PAGE_SIZE = 200


class ApiError(Exception):
    """The API gave no usable response. The page shows the message."""


class UnreachableError(ApiError):
    """No connection to the API, or no response in time."""


class NotReadyError(ApiError):
    """The API or a service behind it is not available, or the API is shedding load (502, 503, 504)."""


class NotFoundError(ApiError):
    """The requested object does not exist (404)."""


class UnauthorizedError(ApiError):
    """The API key is missing or not accepted (401, 403)."""


class BadRequestError(ApiError):
    """The API rejected the request (any other 4xx)."""


class UnexpectedResponseError(ApiError):
    """The API failed with an undocumented error (any other 5xx), or its response does not match the models here."""


_NO_PROXY_ON_LOOPBACK: dict[str, httpx.BaseTransport | None] = {
    f"all://{host}": None for host in ("127.0.0.1", "localhost", "[::1]")
}
"""A proxy of the environment does not know the services of this machine."""
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
        self.timeout = timeout
        try:
            self._http = httpx.Client(
                base_url=base_url, timeout=timeout, headers=headers, follow_redirects=True, mounts=_NO_PROXY_ON_LOOPBACK
            )
        except OSError as error:  # the certificates of the environment, which httpx loads now
            raise ApiError(certificate_problem() or str(error)) from error

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
        """Fetch one page of matches, ordered by kick-off. Filters that are None or empty are not sent."""
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

    def published_forecast(self, match_id: str) -> PublishedForecast:
        return self._get(f"/predict/{quote(match_id, safe='')}", PublishedForecast)

    def insight(self, match_id: str) -> Insight:
        return self._get(f"/matches/{quote(match_id, safe='')}/insight", Insight)

    def ratings(self, match_id: str) -> RatingHistory:
        return self._get(f"/matches/{quote(match_id, safe='')}/ratings", RatingHistory)

    def results(self, team: str, competition: str, before: datetime) -> Iterator[Match]:
        """Iterate over a club's results before a timestamp, newest first; pages are fetched as they are needed."""
        cursor: str | None = None
        while True:
            page = self.matches(
                team=team,
                competition=competition,
                status="played",
                until=before.astimezone(UTC).date(),
                newest_first=True,
                limit=MAX_PAGE_SIZE,
                cursor=cursor,
            )
            yield from (match for match in page.items if match.kick_off < before)
            if page.next_cursor is None:
                return
            cursor = page.next_cursor

    def teams(self) -> Teams:
        return self._get("/teams", Teams)

    def competitions(self) -> Competitions:
        return self._get("/competitions", Competitions)

    def season_table(self, competition: str) -> SeasonTable:
        return self._get(f"/competitions/{quote(competition, safe='')}/table", SeasonTable)

    def model_info(self) -> ModelInfo:
        return self._get("/predict/model/info", ModelInfo)

    def performance(self) -> Performance:
        return self._get("/monitoring/performance", Performance)

    def gate(self) -> PromotionGate:
        return self._get("/monitoring/gate", PromotionGate)

    def drift(self) -> DriftWeeks:
        return self._get("/monitoring/drift", DriftWeeks)

    def drift_report(self, week: str) -> str:
        """Fetch the report as a self-contained HTML page of several megabytes."""
        return self._send("GET", f"/monitoring/drift/{quote(week, safe='')}/report").text

    def predict_async(
        self, home_team: str, away_team: str, competition: str | None, idempotency_key: str
    ) -> TaskAccepted:
        """Queue a forecast. Sending the same key again does not queue a second task."""
        body = {"home_team": home_team, "away_team": away_team}
        if competition:
            body["competition"] = competition
        response = self._send("POST", "/predict/async/", json=body, headers={"Idempotency-Key": idempotency_key})
        return _parse(TaskAccepted, response)

    def task_status(self, task_id: str) -> TaskStatus:
        return self._get(f"/monitoring/task_status/{quote(task_id, safe='')}", TaskStatus)

    def poll_task(self, task_id: str, timeout: float, interval: float = 0.2) -> Iterator[TaskStatus]:
        """Yield the status of a task until it has finished; raise NotReadyError after `timeout` seconds."""
        deadline = monotonic() + timeout
        while True:
            status = self.task_status(task_id)
            yield status
            if status.status in ("success", "failure"):
                return
            if monotonic() > deadline:
                raise NotReadyError(
                    f"Task {task_id} is still “{status.status}” after {timeout:.0f} seconds. It stays in the queue. "
                    "If this happens again, check that a worker is running."
                )
            sleep(interval)

    def _get(self, path: str, model: type[ModelT], params: Params | None = None) -> ModelT:
        return _parse(model, self._send("GET", path, params=params or {}))

    def _send(
        self,
        method: str,
        path: str,
        params: Params | None = None,
        json: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
    ) -> httpx.Response:
        try:
            response = self._http.request(method, path, params=params, json=json, headers=headers)
        except httpx.TimeoutException as error:
            raise UnreachableError(f"No response from {self.base_url} within {self.timeout:g} seconds.") from error
        except httpx.HTTPError as error:
            raise UnreachableError(f"No connection to {self.base_url} ({error}).") from error
        if response.is_error:
            default = BadRequestError if response.is_client_error else UnexpectedResponseError
            raise _ERROR_OF_STATUS.get(response.status_code, default)(_error_message(response))
        return response


def _parse(model: type[ModelT], response: httpx.Response) -> ModelT:
    try:
        return model.model_validate_json(response.content)
    except ValidationError as error:
        raise UnexpectedResponseError(
            f"The response of {response.request.url.path} does not have the expected fields "
            f"({error.error_count()} differ). Check that the API and this viewer have the same version."
        ) from error


def _error_message(response: httpx.Response) -> str:
    """Return the detail and suggestions of a problem document as sentences; without a document, the HTTP status."""
    try:
        problem = Problem.model_validate_json(response.content)
    except ValidationError:
        problem = Problem()
    detail = (problem.detail or problem.title).rstrip(".")
    if not detail:
        return f"The API responded with {response.status_code} {response.reason_phrase}."
    sentence = f"{detail[0].upper()}{detail[1:]}."
    suggestions = [name for error in problem.errors for name in error.suggestions]
    return f"{sentence} Did you mean {', '.join(suggestions)}?" if suggestions else sentence
