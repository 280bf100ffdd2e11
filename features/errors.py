"""What can go wrong, in the words of the domain.

Each class takes one message, because Celery's JSON result backend keeps no more than that; whatever else an error
carries does not come back from a worker. The message says what is wrong, where, and what to do; which HTTP status it
becomes is decided in `serving.errors` alone.
"""

from __future__ import annotations

from collections.abc import Sequence


class TouchlineError(Exception):
    """Any failure that Touchline explains itself."""


class InvalidInput(TouchlineError):
    """A value that a person or a program gave cannot be used."""


class UnknownTeam(InvalidInput):
    """A club that no competition in the lake has."""


class UnknownMatch(InvalidInput):
    """A match_id that no published match has."""


class UnknownCompetition(InvalidInput):
    """A competition that is neither in the catalogue nor in the lake, and the known ones nearest to it."""

    def __init__(self, message: str, *, nearest: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.nearest = list(nearest)


class SourceError(TouchlineError):
    """A source could not be read, or a whole file of it is unusable."""


class LeakageError(TouchlineError):
    """A forecast would use what was not known before kick-off."""


class NotPublished(TouchlineError):
    """An artefact is not in the lake (yet)."""


class DamagedArtefact(TouchlineError):
    """An artefact is in the lake but cannot be read with today's schema."""


class StorageUnavailable(TouchlineError):
    """The storage of the lake does not answer, or refuses."""


class ModelUnavailable(TouchlineError):
    """No model could be loaded from the registry."""


class GateShut(TouchlineError):
    """A promotion was asked for while a condition of the gate is shut."""
