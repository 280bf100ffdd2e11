"""Reads documents of the result store, which may hold anything, before a client is told what they say."""

from __future__ import annotations

from array import array
from datetime import datetime
from functools import lru_cache
from typing import Annotated, Any, Literal

import msgspec
import numpy as np

from serving.errors import InvalidResultError, from_wire
from serving.wire.columns import MatchErrors
from serving.wire.forecast_json import EncodedForecasts
from serving.wire.limits import MAX_RESULT_BYTES

SUM_TOLERANCE = 1e-6
"""How far the probabilities of a match may be from one in sum."""
_MAX_TEXT_LENGTH = 2000
_ShortText = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
_Probability = Annotated[float, msgspec.Meta(ge=0, le=1)]
_Index = Annotated[int, msgspec.Meta(ge=0)]


class StoredResult(msgspec.Struct):
    """How a task ended. A revoked task had expired before a worker began with it."""

    status: Literal["SUCCESS", "FAILURE", "REVOKED"]
    result: msgspec.Raw = msgspec.Raw(b"null")


class _Error(msgspec.Struct):
    exc_type: _ShortText
    exc_message: str | list[Any] | None = None


class _Model(msgspec.Struct):
    name: _ShortText
    version: _Index
    trained_through: _ShortText


class _Forecasts(msgspec.Struct):
    model: _Model
    probabilities: str
    variants: list[tuple[Literal["home", "draw", "away"], _ShortText]]
    variant_index: list[int]
    errors: list[tuple[_Index, _Error]]


class _Probabilities(msgspec.Struct):
    home: _Probability
    draw: _Probability
    away: _Probability


class _Forecast(msgspec.Struct):
    probabilities: _Probabilities
    model: _Model


_decode_stored = msgspec.json.Decoder(StoredResult).decode
_decode_error = msgspec.json.Decoder(_Error).decode
_decode_forecasts = msgspec.json.Decoder(_Forecasts).decode
_decode_forecast = msgspec.json.Decoder(_Forecast).decode
_decode_probabilities = msgspec.json.Decoder(list[float]).decode
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError)


def read_stored(document: bytes) -> StoredResult:
    """The status in a document; raises InvalidResultError if it is no result of a task."""
    if len(document) > MAX_RESULT_BYTES:
        raise InvalidResultError(
            f"the stored result has {len(document):,} bytes; at most {MAX_RESULT_BYTES:,} are read"
        )
    try:
        return _decode_stored(document)
    except _UNREADABLE as error:
        raise InvalidResultError(f"the stored result cannot be read: {error}") from error


def read_forecasts(stored: StoredResult, matches: int) -> EncodedForecasts:
    """The forecasts of a columnar task; raises its error if it failed, and InvalidResultError if they are none."""
    _raise_failure(stored)
    try:
        forecasts = _decode_forecasts(stored.result)
        _check_timestamps([forecasts.model.trained_through, *(as_of for _, as_of in forecasts.variants)])
        errors = _read_errors(forecasts.errors, matches)
        _check_probabilities(forecasts.probabilities, matches, errors)
        _check_variants(forecasts, matches)
    except _UNREADABLE as error:
        raise InvalidResultError(f"the stored result is no forecast: {error}") from error
    return EncodedForecasts.from_wire(
        {
            "model": msgspec.structs.asdict(forecasts.model),
            "probabilities": forecasts.probabilities,
            "variants": list(forecasts.variants),
            "variant_index": forecasts.variant_index,
            "errors": errors,
        }
    )


def read_forecast(stored: StoredResult) -> dict[str, Any]:
    """The forecast of an asynchronous task; raises its error if it failed, and InvalidResultError if it is none."""
    _raise_failure(stored)
    try:
        forecast = _decode_forecast(stored.result)
        p = forecast.probabilities
        _check_sums(np.array([[p.home, p.draw, p.away]]))
        document = msgspec.json.decode(stored.result, type=dict[str, Any])
    except _UNREADABLE as error:
        raise InvalidResultError(f"the stored result is no forecast: {error}") from error
    return document


def _raise_failure(stored: StoredResult) -> None:
    if stored.status == "SUCCESS":
        return
    try:
        error = _decode_error(stored.result)
    except _UNREADABLE as reason:
        raise InvalidResultError(f"the stored error cannot be read: {reason}") from reason
    raise from_wire(_error_document(error))


def _error_document(error: _Error) -> dict[str, Any]:
    messages = error.exc_message if isinstance(error.exc_message, list) else [error.exc_message]
    texts = [str(message)[:_MAX_TEXT_LENGTH] for message in messages[:1] if message is not None]
    return {"exc_type": error.exc_type, "exc_message": texts}


def _read_errors(errors: list[tuple[int, _Error]], matches: int) -> MatchErrors:
    indices = [index for index, _ in errors]
    if indices != sorted(set(indices)) or (indices and indices[-1] >= matches):
        raise ValueError(f"the errors are not of {matches} matches in their order")
    return [(index, _error_document(error)) for index, error in errors]


def _check_probabilities(text: str, matches: int, errors: MatchErrors) -> None:
    values = _decode_probabilities(b"[%b]" % text.encode())
    if len(values) != 3 * matches:
        raise ValueError(f"it has {len(values)} probabilities; {matches} matches need {3 * matches}")
    if not errors and matches == 1:  # the most frequent case, without numpy
        if not (min(values) >= 0 and max(values) <= 1 and abs(sum(values) - 1) <= SUM_TOLERANCE):
            raise ValueError(f"{values} are not probabilities that sum to one")
        return
    p = np.frombuffer(array("d", values)).reshape(matches, 3)  # half the time of `np.array(values)`
    _check_sums(np.delete(p, [index for index, _ in errors], axis=0) if errors else p)


def _check_sums(p: np.ndarray[Any, np.dtype[np.float64]]) -> None:
    sums = p[:, 0] + p[:, 1] + p[:, 2]  # a fifth of the time of `p.sum(axis=1)`
    if len(p) and (p.min() < 0 or p.max() > 1 or np.abs(sums - 1).max() > SUM_TOLERANCE):
        worst = p[int(np.argmax(np.abs(sums - 1)))].tolist()
        raise ValueError(f"the probabilities are not between 0 and 1, or do not sum to one, such as {worst}")


def _check_variants(forecasts: _Forecasts, matches: int) -> None:
    index = forecasts.variant_index
    if len(index) != matches or min(index) < 0 or max(index) >= len(forecasts.variants):
        raise ValueError(f"variant_index does not have one of {len(forecasts.variants)} variants for each match")


def _check_timestamps(texts: list[str]) -> None:
    for text in texts:
        if not _is_timestamp(text):
            raise ValueError(f"{text[:60]!r} is not a timestamp with a time zone")


@lru_cache(maxsize=1024)
def _is_timestamp(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False
