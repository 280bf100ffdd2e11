"""Why a file could not be downloaded: it may work later, or it will not."""

from __future__ import annotations

from features.errors import SourceError


class UnreachableError(SourceError):
    """The server does not answer, or is busy: the same request may succeed later."""


class RefusedError(SourceError):
    """The server refuses a file, or sends something that cannot be used: the same request would fail again."""
