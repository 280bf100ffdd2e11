"""The platform's clock: real time, a fixed time, or a time within the replayed season of the bundled data."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path

from features.errors import InvalidInputError
from features.io.settings import Settings
from features.io.sources.bundled import REPLAY_AS_OF


class ClockMode(StrEnum):
    """How the clock gets its time."""

    NOW = "now"  # real time
    REPLAY = "replay"  # a time in the bundled season, moved on by `touchline advance`
    FIXED = "fixed"  # the setting TOUCHLINE_AS_OF


class Clock:
    """Gives entry points the current time; everything below them takes `as_of` as a parameter.

    The season of the bundled data is over, so its time is stored in the file `as_of` under home and
    changes only by `advance`.
    """

    def __init__(self, settings: Settings) -> None:
        self._fixed_time = settings.as_of
        self._bundled = settings.source == "bundled"
        self._file: Path = settings.home / "as_of"

    @property
    def kind(self) -> ClockMode:
        """How the clock gets its time."""
        if self._fixed_time is not None:
            return ClockMode.FIXED
        return ClockMode.REPLAY if self._bundled else ClockMode.NOW

    @property
    def replaying(self) -> bool:
        """True if the clock does not show real time. Forecasts of past weeks are then allowed."""
        return self.kind is not ClockMode.NOW

    def as_of(self) -> datetime:
        """Return the current time of the clock, in UTC."""
        if self._fixed_time is not None:
            return self._fixed_time
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
                f"{self._file} holds {text!r}, which is not a timestamp; delete the file to restart the replay"
            ) from error
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)

    @staticmethod
    def now() -> datetime:
        """Return the real time, for timestamps of the run itself."""
        return datetime.now(UTC)

    def advance(self, weeks: int) -> datetime:
        """Advance the replay by whole weeks and return the new time.

        Raises
        ------
        InvalidInputError
            If the clock is fixed by a setting or is real time.
        """
        if self._fixed_time is not None:
            raise InvalidInputError("the clock is fixed by TOUCHLINE_AS_OF; unset it to replay the bundled season")
        if not self._bundled:
            raise InvalidInputError("only the bundled season can be replayed; other sources use the real time")
        moment = self.as_of() + timedelta(weeks=weeks)
        self._file.parent.mkdir(parents=True, exist_ok=True)
        unfinished = self._file.with_name(".as_of")
        unfinished.write_text(moment.isoformat())
        unfinished.replace(self._file)
        return moment
