"""Errors of serving, and the one place that knows which error becomes which status. Imports no web framework."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from features import errors as domain
from features.errors import TouchlineError
from monitoring.metrics import ErrorKind


class BrokerUnavailable(TouchlineError):
    """The broker takes no tasks."""


class ResultsUnavailable(TouchlineError):
    """The result backend does not answer."""


class Overloaded(TouchlineError):
    """The queue is too deep to answer in time."""

    retry_after = 2
    """Seconds after which a caller may try again."""


class NoWorker(TouchlineError):
    """Nobody takes tasks from the queue."""


class CallerGone(TouchlineError):
    """The client hung up; its answer reaches nobody."""


class NoAnswerInTime(TouchlineError):
    """The worker did not answer while the caller waited."""


class UnknownTask(TouchlineError):
    """A task id that was never accepted, or has been forgotten."""


class TooLarge(TouchlineError):
    """A request body over the limit."""


class TooSlow(TouchlineError):
    """A request body that did not arrive in time."""


class Unauthorised(TouchlineError):
    """A missing or unknown API key."""


class TaskGivenUp(TouchlineError):
    """A task that no worker can finish, or that nobody waits for any more."""


class OtherVersion(TouchlineError):
    """A worker of another version of this program refused a task."""


class BadField(TouchlineError):
    """A value that cannot be used, the field it stood in, and the known values nearest to it."""

    def __init__(self, message: str, field: str = "", suggestions: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.field = field
        self.suggestions = list(suggestions)


_STATUS: Mapping[type[Exception], tuple[HTTPStatus, ErrorKind]] = {
    domain.UnknownMatchError: (HTTPStatus.NOT_FOUND, ErrorKind.NOT_FOUND),
    domain.UnknownCompetitionError: (HTTPStatus.NOT_FOUND, ErrorKind.NOT_FOUND),
    UnknownTask: (HTTPStatus.NOT_FOUND, ErrorKind.NOT_FOUND),
    domain.NotPublishedError: (HTTPStatus.NOT_FOUND, ErrorKind.NOT_FOUND),
    BadField: (HTTPStatus.UNPROCESSABLE_ENTITY, ErrorKind.INVALID_INPUT),
    domain.InvalidInputError: (HTTPStatus.UNPROCESSABLE_ENTITY, ErrorKind.INVALID_INPUT),
    domain.LeakageError: (HTTPStatus.UNPROCESSABLE_ENTITY, ErrorKind.INVALID_INPUT),
    TooLarge: (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, ErrorKind.TOO_LARGE),
    TooSlow: (HTTPStatus.REQUEST_TIMEOUT, ErrorKind.INVALID_INPUT),
    Unauthorised: (HTTPStatus.UNAUTHORIZED, ErrorKind.UNAUTHORISED),
    Overloaded: (HTTPStatus.SERVICE_UNAVAILABLE, ErrorKind.SHED),
    NoWorker: (HTTPStatus.SERVICE_UNAVAILABLE, ErrorKind.NO_WORKER),
    CallerGone: (HTTPStatus.REQUEST_TIMEOUT, ErrorKind.CLIENT_DISCONNECTED),
    BrokerUnavailable: (HTTPStatus.SERVICE_UNAVAILABLE, ErrorKind.BROKER_UNAVAILABLE),
    ResultsUnavailable: (HTTPStatus.SERVICE_UNAVAILABLE, ErrorKind.BROKER_UNAVAILABLE),
    domain.ModelUnavailableError: (HTTPStatus.SERVICE_UNAVAILABLE, ErrorKind.MODEL_UNAVAILABLE),
    domain.CorruptArtefactError: (HTTPStatus.SERVICE_UNAVAILABLE, ErrorKind.DAMAGED_ARTEFACT),
    domain.StorageUnavailableError: (HTTPStatus.SERVICE_UNAVAILABLE, ErrorKind.DAMAGED_ARTEFACT),
    NoAnswerInTime: (HTTPStatus.GATEWAY_TIMEOUT, ErrorKind.TIMEOUT),
    OtherVersion: (HTTPStatus.SERVICE_UNAVAILABLE, ErrorKind.NO_WORKER),
    TaskGivenUp: (HTTPStatus.INTERNAL_SERVER_ERROR, ErrorKind.INTERNAL),
}


def _family(kind: type[TouchlineError]) -> dict[str, type[TouchlineError]]:
    """A class and all that are derived from it, by name."""
    return {kind.__name__: kind} | {name: one for sub in kind.__subclasses__() for name, one in _family(sub).items()}


_BY_NAME = _family(TouchlineError)
_BY_NAME |= {
    "".join(map(str.capitalize, kind.code.split("-"))): kind for kind in _BY_NAME.values() if "code" in vars(kind)
}
"""By class name, and by the name that earlier workers store."""


def to_task(error: Exception) -> dict[str, Any]:
    """An error as Celery stores it."""
    return {"exc_type": type(error).__name__, "exc_message": [str(error)], "exc_module": type(error).__module__}


def from_task(error: Mapping[str, Any]) -> TouchlineError:
    """The error that a worker stored, as an exception again."""
    kind = str(error.get("exc_type"))
    messages = error.get("exc_message") or [kind]
    message = messages if isinstance(messages, str) else str(messages[0])
    if kind in {"TaskRevokedError", "WorkerLostError", "TimeLimitExceeded"}:
        return TaskGivenUp(f"the task was given up: {message}")
    if kind == "NotRegistered":
        return OtherVersion(f"a worker of another version does not know the task {message}")
    error_again = _BY_NAME.get(kind, TouchlineError)(message)
    return error_again if classify(error_again) else TaskGivenUp("the worker failed; its log says why")


def classify(error: Exception) -> tuple[HTTPStatus, ErrorKind] | None:
    """Status and kind of one of our errors; None for what is not ours."""
    return next((_STATUS[kind] for kind in type(error).__mro__ if kind in _STATUS), None)


def kind_of(error: Exception) -> ErrorKind:
    """What an error is counted as."""
    found = classify(error)
    return found[1] if found else ErrorKind.INTERNAL
