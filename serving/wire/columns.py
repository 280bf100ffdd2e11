"""Matches and forecasts as columns, which cost less at every hop than one document per match.

Tasks carry only model inputs and results only model outputs. The API, which has the fixtures, builds the JSON.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Annotated, Any, TypedDict

import msgspec
import numpy as np
from numpy.typing import NDArray

from serving.errors import MalformedMessageError
from serving.wire.fixtures import CLUB_IDS, FIXTURE_DTYPE, Fixture
from serving.wire.limits import MAX_CLUB_NAME_LENGTH, MAX_MATCHES_PER_TASK

_NUMBER_COLUMNS = FIXTURE_DTYPE.names or ()


_Name = Annotated[str, msgspec.Meta(max_length=MAX_CLUB_NAME_LENGTH)]


class _Columns(msgspec.Struct):
    """The argument of task `PREDICT_COLUMNS`, before its number columns are read."""

    matches: Annotated[int, msgspec.Meta(ge=0, le=MAX_MATCHES_PER_TASK)]
    clubs: Annotated[list[tuple[_Name, _Name]], msgspec.Meta(max_length=2 * MAX_MATCHES_PER_TASK)]
    match: str
    home: str
    away: str
    neutral: str
    kick_off: str


def _read_column(name: str, text: str, matches: int) -> NDArray[Any]:
    dtype = FIXTURE_DTYPE[name]
    try:
        content = b64decode(text, validate=True)
    except ValueError as error:
        raise MalformedMessageError(f"argument: column {name} is not base64: {error}") from error
    if len(content) != matches * dtype.itemsize:
        raise MalformedMessageError(
            f"argument: column {name} has {len(content)} bytes; {matches} matches need {matches * dtype.itemsize}"
        )
    return np.frombuffer(content, dtype)


@dataclass(frozen=True, eq=False)
class FixtureBatch:
    """Matches to forecast. Every column except `clubs` has length n, one entry per match."""

    match: NDArray[np.uint64]
    """`match_key` of the match id; 0 for a match that is not in the lake."""
    clubs: Sequence[tuple[str, str]]
    """(competition, club)."""
    home: NDArray[np.uint32]
    """Index into `clubs`, like `away`."""
    away: NDArray[np.uint32]
    neutral: NDArray[np.bool_]
    """True if neither club plays at home."""
    kick_off: NDArray[np.datetime64]
    """In UTC, without a zone; NaT if unknown."""

    @classmethod
    def from_fixtures(cls, fixtures: Sequence[Fixture]) -> FixtureBatch:
        """Put fixtures into columns."""
        records = np.frombuffer(b"".join(map(attrgetter("packed"), fixtures)), FIXTURE_DTYPE)
        used = np.zeros(len(CLUB_IDS.names), bool)
        used[records["home"]] = used[records["away"]] = True
        index = np.cumsum(used, dtype=np.uint32) - 1
        return cls(
            records["match"],
            [CLUB_IDS.names[number] for number in np.flatnonzero(used).tolist()],
            index[records["home"]],
            index[records["away"]],
            records["neutral"],
            records["kick_off"],
        )

    def __len__(self) -> int:
        return len(self.home)

    def to_wire(self) -> dict[str, Any]:
        """The argument of task `PREDICT_COLUMNS`. Number columns are base64 of little-endian bytes."""
        columns = {name: b64encode(getattr(self, name).tobytes()).decode() for name in _NUMBER_COLUMNS}
        return {"matches": len(self), "clubs": self.clubs, **columns}

    @classmethod
    def from_wire(cls, arguments: Mapping[str, Any]) -> FixtureBatch:
        """Read the argument of task `PREDICT_COLUMNS`; raises MalformedMessageError, which names the wrong column."""
        try:
            columns = msgspec.convert(arguments, _Columns)
        except msgspec.ValidationError as error:
            raise MalformedMessageError(f"argument: {error}") from error
        numbers = {name: _read_column(name, getattr(columns, name), columns.matches) for name in _NUMBER_COLUMNS}
        batch = cls(clubs=columns.clubs, **numbers)
        if len(batch) and max(batch.home.max(), batch.away.max()) >= len(columns.clubs):
            raise MalformedMessageError(f"argument: home or away is not one of the {len(columns.clubs)} clubs")
        return batch


MatchErrors = list[tuple[int, dict[str, Any]]]
"""(index of the match, error as `serving.errors.to_wire` has it), in the order of the indices."""


class ForecastBatch(TypedDict):
    """Forecasts of a `FixtureBatch`. Ignore the column entries of matches that have an error."""

    model: dict[str, Any]
    probabilities: str
    """Home, draw and away of each match as JSON numbers, joined by commas. The API copies them without parsing."""
    variants: list[tuple[str, str]]
    """The distinct (predicted_outcome, features_as_of)."""
    variant_index: list[int]
    """Index into `variants`, one per match."""
    errors: MatchErrors


def concat(batches: Sequence[FixtureBatch]) -> FixtureBatch:
    """Join batches, one after the other."""
    if len(batches) == 1:
        return batches[0]
    offsets = np.cumsum([0, *(len(batch.clubs) for batch in batches[:-1])], dtype=np.uint32)
    return FixtureBatch(
        np.concatenate([batch.match for batch in batches]),
        [club for batch in batches for club in batch.clubs],
        np.concatenate([batch.home + offset for batch, offset in zip(batches, offsets, strict=True)]),
        np.concatenate([batch.away + offset for batch, offset in zip(batches, offsets, strict=True)]),
        np.concatenate([batch.neutral for batch in batches]),
        np.concatenate([batch.kick_off for batch in batches]),
    )


def slices(errors: MatchErrors, sizes: Sequence[int]) -> Iterator[tuple[slice, slice, MatchErrors]]:
    """Yield, for each batch that `concat` joined, its matches, their probabilities, and its errors.

    `sizes` are the numbers of matches of the batches; `errors` are the errors of all batches, ordered by index.
    """
    indices = [index for index, _ in errors]
    start = 0
    for size in sizes:
        end = start + size
        own = errors[bisect_left(indices, start) : bisect_left(indices, end)]
        yield slice(start, end), slice(3 * start, 3 * end), [(index - start, error) for index, error in own]
        start = end


def split(forecasts: ForecastBatch, sizes: Sequence[int]) -> Iterator[ForecastBatch]:
    """Split the forecasts of batches that `concat` joined; `sizes` are their numbers of matches."""
    if len(sizes) == 1:
        yield forecasts
        return
    probabilities = forecasts["probabilities"].split(",")
    for matches, numbers, errors in slices(forecasts["errors"], sizes):
        used = {variant: index for index, variant in enumerate(dict.fromkeys(forecasts["variant_index"][matches]))}
        yield {
            "model": forecasts["model"],
            "probabilities": ",".join(probabilities[numbers]),
            "variants": [forecasts["variants"][variant] for variant in used],
            "variant_index": [used[variant] for variant in forecasts["variant_index"][matches]],
            "errors": errors,
        }
