"""The moment the platform stands at: now, a given moment, or inside the replayed season of the bundled data."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path

from features.errors import InvalidInputError
from features.io.settings import Settings
from features.io.sources.bundled import REPLAY_AS_OF


class ClockMode(StrEnum):
    """What moves the moment on."""

    NOW = "now"  # it is the real time
    REPLAY = "replay"  # `touchline advance`, through the bundled season
    FIXED = "fixed"  # nothing: TOUCHLINE_AS_OF gives it


class Clock:
    """Tells entry points where they stand; everything below them takes `as_of` as a parameter.

    With the bundled data the season is over, so the moment is kept in the file `as_of` under home and moved by hand.
    """

    def __init__(self, settings: Settings) -> None:
        self._given = settings.as_of
        self._bundled = settings.source == "bundled"
        self._file: Path = settings.home / "as_of"

    @property
    def kind(self) -> ClockMode:
        """What moves the moment on."""
        if self._given is not None:
            return ClockMode.FIXED
        return ClockMode.REPLAY if self._bundled else ClockMode.NOW

    @property
    def replaying(self) -> bool:
        """True where the moment is not now: past weeks may then be forecast as they would have been."""
        return self.kind is not ClockMode.NOW

    def as_of(self) -> datetime:
        """The moment to stand at, in UTC."""
        if self._given is not None:
            return self._given
        if not self._bundled:
            return datetime.now(UTC)
        try:
            text = self._file.read_text().strip()
        except FileNotFoundError:
            return REPLAY_AS_OF
        try:
            moment = datetime.fromisoformat(text)
        except ValueError as error:
            raise InvalidInputError(
                f"{self._file} holds {text!r}, which is not a moment; delete it to start again"
            ) from error
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)

    @staticmethod
    def now() -> datetime:
        """The real time, for what is about the run itself and not about football."""
        return datetime.now(UTC)

    def advance(self, weeks: int) -> datetime:
        """Move the replayed moment on by whole weeks; returns where it stands then.

        Raises
        ------
        InvalidInputError
            If the moment is given by a setting or by the real clock: neither can be moved from here.
        """
        if self._given is not None:
            raise InvalidInputError("the clock is fixed by TOUCHLINE_AS_OF; unset it to replay the bundled season")
        if not self._bundled:
            raise InvalidInputError("only the bundled season can be replayed; other sources use the real time")
        moment = self.as_of() + timedelta(weeks=weeks)
        self._file.parent.mkdir(parents=True, exist_ok=True)
        unfinished = self._file.with_name(".as_of")
        unfinished.write_text(moment.isoformat())
        unfinished.replace(self._file)
        return moment
