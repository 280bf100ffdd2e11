"""Errors of serving, and the table of every error's HTTP status and metrics label.

Imports no web framework. A class may be renamed, because clients and stored results contain only its `code`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, ClassVar

from features import errors as domain
from features.errors import TouchlineError
from monitoring.metrics import ErrorKind


class BrokerUnavailableError(TouchlineError):
    """The broker does not accept tasks."""

    code: ClassVar[str] = "broker-unavailable"


class ResultsUnavailableError(TouchlineError):
    """The result store does not answer."""

    code: ClassVar[str] = "results-unavailable"


class OverloadedError(TouchlineError):
    """The service could not answer in time."""

    code: ClassVar[str] = "overloaded"

    retry_after_seconds = 2


class NoWorkersAvailableError(TouchlineError):
    """No worker is alive."""

    code: ClassVar[str] = "no-worker"


class ClientDisconnectedError(TouchlineError):
    """The client disconnected before the response was ready."""

    code: ClassVar[str] = "caller-gone"


class PredictionTimeoutError(TouchlineError):
    """No worker answered while the client waited."""

    code: ClassVar[str] = "no-answer-in-time"


class UnknownTaskError(TouchlineError):
    """A task id that was never accepted, or that has expired."""

    code: ClassVar[str] = "unknown-task"


class PayloadTooLargeError(TouchlineError):
    """A request body over the limit."""

    code: ClassVar[str] = "too-large"


class RequestTimeoutError(TouchlineError):
    """A request body that did not arrive in time."""

    code: ClassVar[str] = "too-slow"


class UnsupportedMediaTypeError(TouchlineError):
    """A request body in a media type or a content coding that the API does not read."""

    code: ClassVar[str] = "unsupported-media-type"


class UnauthorizedError(TouchlineError):
    """A missing or unknown API key."""

    code: ClassVar[str] = "unauthorised"


class ForeignOriginError(TouchlineError):
    """A request that may change something, sent by a web page of another origin."""

    code: ClassVar[str] = "foreign-origin"


class TaskFailedError(TouchlineError):
    """A task that no worker can finish, or that was revoked."""

    code: ClassVar[str] = "task-given-up"


class MalformedMessageError(TaskFailedError):
    """A message on the queue that is not one of our tasks. Its text names the part that is wrong."""

    code: ClassVar[str] = "malformed-message"


class InvalidResultError(TouchlineError):
    """A stored result that is no result of ours. Its text names the part that is wrong."""

    code: ClassVar[str] = "invalid-result"


class IncompatibleWorkerError(TouchlineError):
    """A worker of another version of this program refused a task."""

    code: ClassVar[str] = "other-version"


class InvalidFieldError(TouchlineError):
    """A field with an unusable value, and the known values that are most similar."""

    code: ClassVar[str] = "bad-field"

    def __init__(
        self, message: str, field: str = "", suggestions: Sequence[str] | Callable[[], Sequence[str]] = ()
    ) -> None:
        """`suggestions` may be a function, because a search for similar names takes longer than all else."""
        super().__init__(message)
        self.field = field
        self._suggestions = suggestions
        self._joined: Sequence[InvalidFieldError] = ()

    @property
    def fields(self) -> Sequence[InvalidFieldError]:
        """This error, or those of the fields that it joins."""
        return self._joined or (self,)  # not an attribute: an error that refers to itself is garbage to collect

    @property
    def suggestions(self) -> list[str]:
        """The known values that are most similar; looked up when first asked for."""
        if callable(self._suggestions):
            self._suggestions = self._suggestions()
        return list(self._suggestions)

    @classmethod
    def joined(cls, errors: Sequence[InvalidFieldError]) -> InvalidFieldError:
        """Return one error about all fields; the first error itself if it is the only one."""
        if len(errors) == 1:
            return errors[0]
        error = cls("; ".join(str(each) for each in errors), errors[0].field, lambda: errors[0].suggestions)
        error._joined = list(errors)
        return error


@dataclass(frozen=True)
class ErrorSpec:
    """How the service answers and counts an error class."""

    status: HTTPStatus
    kind: ErrorKind
    """Label of the metric `touchline_errors_total`."""


_SPECS: Mapping[type[TouchlineError], ErrorSpec] = {
    domain.UnknownMatchError: ErrorSpec(HTTPStatus.NOT_FOUND, ErrorKind.NOT_FOUND),
    domain.UnknownCompetitionError: ErrorSpec(HTTPStatus.NOT_FOUND, ErrorKind.NOT_FOUND),
    domain.UnknownTeamError: ErrorSpec(HTTPStatus.UNPROCESSABLE_ENTITY, ErrorKind.INVALID_INPUT),
    domain.NotPublishedError: ErrorSpec(HTTPStatus.NOT_FOUND, ErrorKind.NOT_FOUND),
    domain.InvalidInputError: ErrorSpec(HTTPStatus.UNPROCESSABLE_ENTITY, ErrorKind.INVALID_INPUT),
    domain.LeakageError: ErrorSpec(HTTPStatus.UNPROCESSABLE_ENTITY, ErrorKind.INVALID_INPUT),
    domain.ModelUnavailableError: ErrorSpec(HTTPStatus.SERVICE_UNAVAILABLE, ErrorKind.MODEL_UNAVAILABLE),
    domain.CorruptArtefactError: ErrorSpec(HTTPStatus.SERVICE_UNAVAILABLE, ErrorKind.DAMAGED_ARTEFACT),
    domain.StorageUnavailableError: ErrorSpec(HTTPStatus.SERVICE_UNAVAILABLE, ErrorKind.DAMAGED_ARTEFACT),
    InvalidFieldError: ErrorSpec(HTTPStatus.UNPROCESSABLE_ENTITY, ErrorKind.INVALID_INPUT),
    UnknownTaskError: ErrorSpec(HTTPStatus.NOT_FOUND, ErrorKind.NOT_FOUND),
    PayloadTooLargeError: ErrorSpec(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, ErrorKind.TOO_LARGE),
    RequestTimeoutError: ErrorSpec(HTTPStatus.REQUEST_TIMEOUT, ErrorKind.INVALID_INPUT),
    UnsupportedMediaTypeError: ErrorSpec(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, ErrorKind.INVALID_INPUT),
    UnauthorizedError: ErrorSpec(HTTPStatus.UNAUTHORIZED, ErrorKind.UNAUTHORISED),
    ForeignOriginError: ErrorSpec(HTTPStatus.FORBIDDEN, ErrorKind.UNAUTHORISED),
    OverloadedError: ErrorSpec(HTTPStatus.SERVICE_UNAVAILABLE, ErrorKind.SHED),
    NoWorkersAvailableError: ErrorSpec(HTTPStatus.SERVICE_UNAVAILABLE, ErrorKind.NO_WORKER),
    ClientDisconnectedError: ErrorSpec(HTTPStatus.REQUEST_TIMEOUT, ErrorKind.CLIENT_DISCONNECTED),
    BrokerUnavailableError: ErrorSpec(HTTPStatus.SERVICE_UNAVAILABLE, ErrorKind.BROKER_UNAVAILABLE),
    ResultsUnavailableError: ErrorSpec(HTTPStatus.SERVICE_UNAVAILABLE, ErrorKind.BROKER_UNAVAILABLE),
    PredictionTimeoutError: ErrorSpec(HTTPStatus.GATEWAY_TIMEOUT, ErrorKind.TIMEOUT),
    IncompatibleWorkerError: ErrorSpec(HTTPStatus.SERVICE_UNAVAILABLE, ErrorKind.NO_WORKER),
    TaskFailedError: ErrorSpec(HTTPStatus.INTERNAL_SERVER_ERROR, ErrorKind.INTERNAL),
    MalformedMessageError: ErrorSpec(HTTPStatus.INTERNAL_SERVER_ERROR, ErrorKind.INTERNAL),
    InvalidResultError: ErrorSpec(HTTPStatus.INTERNAL_SERVER_ERROR, ErrorKind.INTERNAL),
}
_BY_CODE = {error_class.code: error_class for error_class in _SPECS}
_CELERY_FAILURES = {"TaskRevokedError", "WorkerLostError", "TimeLimitExceeded"}


def spec_of(error: Exception) -> ErrorSpec | None:
    """Status and label of one of our errors; None for any other exception."""
    return next((_SPECS[error_class] for error_class in type(error).__mro__ if error_class in _SPECS), None)


def kind_of(error: Exception) -> ErrorKind:
    """The metrics label of an error."""
    spec = spec_of(error)
    return spec.kind if spec else ErrorKind.INTERNAL


def to_wire(error: Exception) -> dict[str, Any]:
    """An error in the form in which Celery stores exceptions, with the code in place of the class name."""
    return {
        "exc_type": error.code if isinstance(error, TouchlineError) else type(error).__name__,
        "exc_message": [str(error)],
        "exc_module": type(error).__module__,
    }


def from_wire(stored: Mapping[str, Any]) -> TouchlineError:
    """The error that a worker stored. An unknown code becomes a TaskFailedError without details."""
    name = str(stored.get("exc_type"))
    messages = stored.get("exc_message") or [name]
    message = messages if isinstance(messages, str) else str(messages[0])
    if name in _CELERY_FAILURES:
        return TaskFailedError(f"the task failed: {message}")
    if name == "NotRegistered":
        return IncompatibleWorkerError(f"a worker of another version does not know the task {message}")
    # Up to version 0.1 the class name was stored; the code is derived from it.
    error_class = _BY_CODE.get(name) or _BY_CODE.get(re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower())
    return error_class(message) if error_class else TaskFailedError("the worker failed; see its log for the cause")
