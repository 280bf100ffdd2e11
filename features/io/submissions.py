"""Estimators that were submitted to the pipeline: `submissions/<id>/` in the lake holds each, and what became of it.

A notebook writes the estimator, the pipeline's sensor sees it and trains it with the job `train_model`, and that run
writes the outcome. So a notebook needs the lake alone, and every version is made by the pipeline.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from features.errors import (
    CorruptArtefactError,
    InvalidInputError,
    ModelUnavailableError,
    NotPublishedError,
    StorageUnavailableError,
)
from features.io import model_artefact
from features.io.store import Lake

if TYPE_CHECKING:
    from features.recipes import SubmittedRecipe

FOLDER = "submissions"

NAME = re.compile(r"[a-z][a-z0-9_]{0,49}")
"""Form of the name of a submission."""

_ID = re.compile(rf"{NAME.pattern}-\d{{8}}T\d{{12}}")

PASSING = (ModelUnavailableError, NotPublishedError, StorageUnavailableError, CorruptArtefactError, OSError)
"""Errors that are not the estimator's: the same training may succeed later."""


@dataclass(frozen=True)
class Submission:
    """An unfitted estimator that waits for its training, or has had it.

    Attributes
    ----------
    id : name and time of submission.
    columns : names of its input columns, from `features.matrix.FEATURES`.
    reason : why it was submitted, in the words of its author.
    estimator : the estimator in words.
    sha256 : of its file.
    """

    id: str
    name: str
    columns: tuple[str, ...]
    reason: str
    estimator: str
    sha256: str


def write(lake: Lake, estimator: Any, name: str, columns: Sequence[str], reason: str, now: datetime) -> Submission:
    """Submit an unfitted estimator.

    Raises
    ------
    InvalidInputError
        If the name has another form than `NAME`, or the reason is empty.
    """
    import skops.io

    if not NAME.fullmatch(name):
        raise InvalidInputError(f"a submission's name has lower-case letters, digits and _, but got {name[:60]!r}")
    if not reason.strip():
        raise InvalidInputError("a submission needs a reason: what is new in this model?")
    data = skops.io.dumps(estimator)
    submission = Submission(
        id=f"{name}-{now:%Y%m%dT%H%M%S%f}",
        name=name,
        columns=tuple(columns),
        reason=reason,
        estimator=repr(estimator),
        sha256=hashlib.sha256(data).hexdigest(),
    )
    lake.write_bytes(f"{FOLDER}/{submission.id}/{model_artefact.FILE}", data)
    # the document comes last: the pipeline takes up what has one
    lake.write_json(f"{FOLDER}/{submission.id}/submission.json", asdict(submission))
    return submission


def waiting(lake: Lake) -> list[str]:
    """List the ids of the submissions without an outcome, sorted by name and time."""
    files = set(lake.list(FOLDER))
    ids = [file.removesuffix("/submission.json") for file in files if file.endswith("/submission.json")]
    return sorted(id_ for id_ in ids if _ID.fullmatch(id_) and f"{id_}/outcome.json" not in files)


def read(lake: Lake, submission_id: str) -> Submission:
    """Read a submission.

    Raises
    ------
    InvalidInputError
        If there is none with this id.
    CorruptArtefactError
        If its document is damaged.
    """
    path = f"{FOLDER}/{submission_id}/submission.json"
    if not _ID.fullmatch(submission_id) or lake.fingerprint(path) is None:
        raise InvalidInputError(f"there is no submission {submission_id[:100]!r} in {lake.root}")
    document = lake.read_json(path)
    try:
        return Submission(**{**document, "columns": tuple(document["columns"])})
    except (TypeError, KeyError) as error:
        raise CorruptArtefactError(f"{lake.root}/{path} is no submission: {error!r}") from error


def load_recipe(lake: Lake, submission: Submission) -> SubmittedRecipe:
    """Load the estimator of a submission as a recipe; nothing but types of scikit-learn and this package is loaded.

    Raises
    ------
    InvalidInputError
        If the file is not the one that was submitted, or contains another type.
    """
    import joblib
    import skops.io
    from sklearn.base import clone

    from features.recipes import SubmittedRecipe, SubmittedTypes  # imported here: it loads scikit-learn

    data = lake.read_bytes(f"{FOLDER}/{submission.id}/{model_artefact.FILE}")
    if hashlib.sha256(data).hexdigest() != submission.sha256:
        raise InvalidInputError(f"the file of submission {submission.id} is not the one that was submitted")
    try:
        estimator = skops.io.loads(data, trusted=list(SubmittedTypes().all_trusted_types()))
    except Exception as error:  # skops raises whatever its reading of a damaged file leads to
        raise InvalidInputError(f"submission {submission.id} cannot be loaded: {error!r}"[:300]) from error
    digest = str(joblib.hash(estimator))[:16]
    return SubmittedRecipe(lambda: clone(estimator), submission.columns, digest=digest)


def outcome(lake: Lake, submission_id: str) -> dict[str, Any] | None:
    """Return what became of a submission: `version` and `what_happened`, or `refused`; None if it still waits."""
    try:
        return lake.read_json(f"{FOLDER}/{submission_id}/outcome.json")
    except NotPublishedError:
        return None


@contextmanager
def recorded_outcome(lake: Lake, submission_id: str) -> Iterator[dict[str, Any]]:
    """Write the outcome that the block fills in, or why the block refused the submission.

    After one of the errors `PASSING`, the submission waits for another attempt.
    """
    document: dict[str, Any] = {}
    try:
        yield document
    except PASSING:
        raise
    except Exception as error:  # also whatever the engineer's estimator raises
        lake.write_json(f"{FOLDER}/{submission_id}/outcome.json", {"refused": str(error) or repr(error)})
        raise
    lake.write_json(f"{FOLDER}/{submission_id}/outcome.json", document)
