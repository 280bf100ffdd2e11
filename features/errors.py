"""What can go wrong, in the words of the domain.

Each class takes one message, because Celery's JSON result backend keeps no more than that. The message says what is
wrong, where, and what to do; which HTTP status it becomes is decided in `serving.errors` alone.
"""


class TouchlineError(Exception):
    """Any failure that Touchline explains itself."""


class InvalidInput(TouchlineError):
    """A value that a person or a program gave cannot be used."""


class UnknownTeam(InvalidInput):
    """A club that no competition in the lake has."""


class UnknownMatch(InvalidInput):
    """A match_id that no published match has."""


class UnknownCompetition(InvalidInput):
    """A competition that is neither in the catalogue nor in the lake."""


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
