"""Errors of the domain.

Each class takes one message, because Celery's JSON result backend keeps only the message: other attributes of an error
are lost between worker and API. The message says what is wrong, where, and what to do. `serving.errors` maps the
classes to HTTP statuses.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar


class TouchlineError(Exception):
    """Base class of all errors of Touchline."""

    code: ClassVar[str] = "touchline-error"
    """Public name of the error: the last part of a problem's type URN. Clients compare it, so it never changes."""


class InvalidInputError(TouchlineError):
    """An input value cannot be used."""

    code: ClassVar[str] = "invalid-input"


class UnknownTeamError(InvalidInputError):
    """No competition in the lake has this club."""

    code: ClassVar[str] = "unknown-team"


class UnknownMatchError(InvalidInputError):
    """No published match has this match_id."""

    code: ClassVar[str] = "unknown-match"


class UnknownCompetitionError(InvalidInputError):
    """A competition is neither in the catalogue nor in the lake; `suggestions` lists similar ones."""

    code: ClassVar[str] = "unknown-competition"

    def __init__(self, message: str, *, suggestions: Sequence[str] | Callable[[], Sequence[str]] = ()) -> None:
        """`suggestions` may be a function, because a search for similar names takes longer than all else."""
        super().__init__(message)
        self._suggestions = suggestions

    @property
    def suggestions(self) -> list[str]:
        """The known slugs that are most similar; looked up when first asked for."""
        if callable(self._suggestions):
            self._suggestions = self._suggestions()
        return list(self._suggestions)


class SourceError(TouchlineError):
    """A source cannot be read, or a whole file of it is unusable."""

    code: ClassVar[str] = "source-error"


class LeakageError(TouchlineError):
    """A forecast would use information from after kick-off."""

    code: ClassVar[str] = "leakage-error"


class NotPublishedError(TouchlineError):
    """An artefact is not in the lake (yet)."""

    code: ClassVar[str] = "not-published"


class CorruptArtefactError(TouchlineError):
    """An artefact is in the lake but cannot be read with today's schema."""

    code: ClassVar[str] = "damaged-artefact"


class StorageUnavailableError(TouchlineError):
    """The storage of the lake does not respond, or denies access."""

    code: ClassVar[str] = "storage-unavailable"


class ModelUnavailableError(TouchlineError):
    """No model could be loaded from the registry."""

    code: ClassVar[str] = "model-unavailable"


class PromotionBlockedError(TouchlineError):
    """A promotion, its approval or a rollback is not allowed; the message says why."""

    code: ClassVar[str] = "promotion-blocked"
