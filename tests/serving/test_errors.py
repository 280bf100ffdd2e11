"""What was raised reaches the caller as what it was, from a worker too."""

from __future__ import annotations

from http import HTTPStatus

import pytest

from features import errors as domain
from serving.api.problem_details import to_problem
from serving.errors import TaskGivenUp, classify, from_task


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
def test_an_error_of_the_domain_keeps_its_class_message_and_status(raised: Exception, status: HTTPStatus) -> None:
    again = from_task({"exc_type": type(raised).__name__, "exc_message": [str(raised)]})
    found = classify(again)
    assert (type(again), str(again)) == (type(raised), str(raised))
    assert found is not None and found[0] == status


@pytest.mark.parametrize("name", ["ZeroDivisionError", "TouchlineError", "PromotionBlockedError"])
def test_an_error_that_no_status_explains_is_a_task_given_up_and_tells_nothing_else(name: str) -> None:
    again = from_task({"exc_type": name, "exc_message": ["a secret"]})
    assert isinstance(again, TaskGivenUp)
    assert "secret" not in str(again)


def test_an_unknown_competition_is_a_problem_that_lists_the_nearest_ones_beside_its_text() -> None:
    document, _ = to_problem(
        domain.UnknownCompetitionError("'eng-premier' is unknown", suggestions=["eng-premier-league"])
    )
    (field,) = document.errors
    assert (document.status, field.field, field.suggestions) == (404, "competition", ["eng-premier-league"])


def test_an_unknown_competition_that_a_worker_met_keeps_its_message() -> None:
    again = from_task({"exc_type": "UnknownCompetitionError", "exc_message": ["'eng-premier' is unknown"]})
    (error,) = to_problem(again)[0].errors
    assert (error.field, error.message, error.suggestions) == ("competition", "'eng-premier' is unknown", [])
