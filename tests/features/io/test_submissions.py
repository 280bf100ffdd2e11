"""Submitted estimators in the lake: what is written is what is trained, and each gets an outcome."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from features.errors import InvalidInputError, ModelUnavailableError
from features.io import submissions
from features.io.store import Lake

NOW = datetime(2026, 3, 13, 12, tzinfo=UTC)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "lake"))


def write(lake: Lake, penalty: float = 1.0, second: int = 0) -> submissions.Submission:
    estimator = make_pipeline(StandardScaler(), LogisticRegression(C=penalty))
    return submissions.write(lake, estimator, "mine", ("elo", "pi"), "a test", NOW.replace(second=second))


def test_estimator_comes_back_as_it_was_submitted(lake: Lake) -> None:
    """Equal parameters have equal digests, whenever they were submitted; other ones have another."""
    first, again, other = write(lake), write(lake, second=1), write(lake, penalty=2.0, second=2)
    assert submissions.waiting(lake) == [first.id, again.id, other.id]
    assert submissions.read(lake, first.id) == first
    recipe = submissions.load_recipe(lake, first)
    assert recipe.columns == ("elo", "pi")
    assert repr(recipe.build()) == first.estimator
    assert recipe.build() is not recipe.build()
    digests = [submissions.load_recipe(lake, submission).revision() for submission in (first, again, other)]
    assert digests[0] == digests[1] != digests[2]


def test_file_that_was_exchanged_is_refused(lake: Lake) -> None:
    first, other = write(lake), write(lake, penalty=2.0, second=1)
    lake.write_bytes(f"submissions/{first.id}/model.skops", lake.read_bytes(f"submissions/{other.id}/model.skops"))
    with pytest.raises(InvalidInputError, match="not the one that was submitted"):
        submissions.load_recipe(lake, first)


@pytest.mark.parametrize("name", ["mine-20260313T120000000000", "../secrets", ""])
def test_unknown_submission_is_named(lake: Lake, name: str) -> None:
    with pytest.raises(InvalidInputError, match="no submission"):
        submissions.read(lake, name)


def test_refusal_is_an_outcome_and_an_outage_is_not(lake: Lake) -> None:
    first, second = write(lake), write(lake, second=1)
    with pytest.raises(ZeroDivisionError), submissions.recorded_outcome(lake, first.id):
        _ = 1 / 0
    with pytest.raises(ModelUnavailableError), submissions.recorded_outcome(lake, second.id):
        raise ModelUnavailableError("the registry does not respond")
    assert submissions.outcome(lake, first.id) == {"refused": "division by zero"}
    assert submissions.outcome(lake, second.id) is None
    assert submissions.waiting(lake) == [second.id]
