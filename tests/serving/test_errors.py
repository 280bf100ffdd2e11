"""An error that a worker raised reaches the client with its code, message and status."""

from __future__ import annotations

from http import HTTPStatus

import pytest

from features import errors as domain
from serving.api.problem_details import to_problem
from serving.errors import TaskFailedError, from_wire, spec_of, to_wire


@pytest.mark.parametrize(
    ("raised", "status"),
    [
        (domain.UnknownTeamError("club 'Wrexham' has no state"), HTTPStatus.UNPROCESSABLE_ENTITY),
        (domain.LeakageError("refused"), HTTPStatus.UNPROCESSABLE_ENTITY),
        (domain.NotPublishedError("no club has a state yet"), HTTPStatus.NOT_FOUND),
        (domain.ModelUnavailableError("no version"), HTTPStatus.SERVICE_UNAVAILABLE),
        (domain.StorageUnavailableError("away"), HTTPStatus.SERVICE_UNAVAILABLE),
    ],
)
def test_an_error_keeps_its_class_message_and_status(raised: Exception, status: HTTPStatus) -> None:
    renamed = not isinstance(raised, domain.LeakageError)
    old_name = type(raised).__name__.removesuffix("Error" if renamed else "")
    for stored in (to_wire(raised), {"exc_type": old_name, "exc_message": [str(raised)]}):  # now, and in 0.1
        read = from_wire(stored)
        spec = spec_of(read)
        assert (type(read), str(read)) == (type(raised), str(raised))
        assert spec is not None
        assert spec.status == status


@pytest.mark.parametrize("name", ["ZeroDivisionError", "TouchlineError", "PromotionBlockedError"])
def test_an_unexplained_error_is_a_failed_task_without_details(name: str) -> None:
    read = from_wire({"exc_type": name, "exc_message": ["a secret"]})
    assert isinstance(read, TaskFailedError)
    assert "secret" not in str(read)


def test_an_unknown_competition_lists_similar_ones() -> None:
    document, _ = to_problem(
        domain.UnknownCompetitionError("'eng-premier' is unknown", suggestions=["eng-premier-league"])
    )
    (error,) = document.errors
    assert (document.status, error.field, error.suggestions) == (404, "competition", ["eng-premier-league"])


def test_an_unknown_competition_of_a_worker_keeps_its_message() -> None:
    read = from_wire({"exc_type": "unknown-competition", "exc_message": ["'eng-premier' is unknown"]})
    (error,) = to_problem(read)[0].errors
    assert (error.field, error.message, error.suggestions) == ("competition", "'eng-premier' is unknown", [])


def test_public_codes_are_those_that_clients_know() -> None:
    """Codes are a contract: renaming a class does not change its code."""
    codes = {error_class.code for error_class in _classes(domain.TouchlineError) if spec_of(error_class("why"))}
    assert codes == {
        *("unknown-match", "unknown-competition", "unknown-team", "unknown-task", "not-published", "bad-field"),
        *("invalid-input", "leakage-error", "too-large", "too-slow", "unauthorised", "overloaded", "no-worker"),
        *("caller-gone", "broker-unavailable", "results-unavailable", "model-unavailable", "damaged-artefact"),
        *("storage-unavailable", "no-answer-in-time", "other-version", "task-given-up"),
        *("foreign-origin", "malformed-message", "invalid-result", "unsupported-media-type"),
    }


def _classes(base: type[domain.TouchlineError]) -> list[type[domain.TouchlineError]]:
    """A base class and all of our classes that derive from it."""
    below = [subclass for direct in base.__subclasses__() for subclass in _classes(direct)]
    return [base, *(cls for cls in below if cls.__module__ in {"features.errors", "serving.errors"})]
