"""Encode forecast columns directly to JSON, in the shapes of `schemas.Forecast` and `schemas.BatchItem`.

A thousand forecasts are half a megabyte of mostly identical text. The part that belongs to a fixture is encoded once
and cached with it; only the values that differ are inserted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter

import orjson

from serving.errors import from_wire
from serving.wire.columns import ForecastBatch, MatchErrors, slices
from serving.wire.fixtures import Fixture
from serving.wire.limits import MAX_BATCH_SIZE

_DRAW, _AWAY = b',"draw":', b',"away":'
_ITEM_PREFIXES = tuple(b',{"index":%d,"forecast":' % index for index in range(MAX_BATCH_SIZE))


@dataclass(frozen=True, eq=False)
class EncodedForecasts:
    """Forecasts as pieces of their JSON. Ignore the pieces of matches that have an error."""

    probabilities: list[bytes]
    """Home, draw and away of each match."""
    suffixes: list[bytes]
    """The text after the probabilities, for each variant."""
    variant_index: list[int]
    """Index into `suffixes`, one per match."""
    errors: MatchErrors

    @classmethod
    def from_wire(cls, forecasts: ForecastBatch) -> EncodedForecasts:
        """From a worker's columns."""
        suffixes = [
            b"},"
            + orjson.dumps({"predicted_outcome": outcome, "model": forecasts["model"], "features_as_of": as_of})[1:]
            for outcome, as_of in forecasts["variants"]
        ]
        probabilities = forecasts["probabilities"].encode().split(b",")
        return cls(probabilities, suffixes, forecasts["variant_index"], forecasts["errors"])

    def split(self, sizes: Sequence[int]) -> Iterator[EncodedForecasts]:
        """The forecasts of each request that shared a task; `sizes` are the numbers of matches of the requests."""
        for matches, numbers, errors in slices(self.errors, sizes):
            yield EncodedForecasts(self.probabilities[numbers], self.suffixes, self.variant_index[matches], errors)


def encode_forecast(fixture: Fixture, forecasts: EncodedForecasts) -> bytes:
    """The JSON of the only forecast; raises its error if it has one."""
    for _, error in forecasts.errors:
        raise from_wire(error)
    home, draw, away = forecasts.probabilities
    suffix = forecasts.suffixes[forecasts.variant_index[0]]
    return b"".join((fixture.json_prefix, home, _DRAW, draw, _AWAY, away, suffix))


def encode_batch(
    indices: Sequence[int],
    fixtures: Sequence[Fixture],
    forecasts: EncodedForecasts | None,
    problems: Mapping[int, bytes],
) -> bytes:
    """The JSON of a batch response.

    `indices` are the positions of the fixtures in the request, `problems` encoded problem documents by position. A
    position that has both gets the problem. `forecasts` may be None if there are no fixtures.
    """
    pieces: list[bytes] = []
    if forecasts is not None:
        suffixes = [suffix + b',"error":null}' for suffix in forecasts.suffixes]
        columns = (
            [_ITEM_PREFIXES[index] for index in indices],
            list(map(attrgetter("json_prefix"), fixtures)),
            forecasts.probabilities[0::3],
            [_DRAW] * len(indices),
            forecasts.probabilities[1::3],
            [_AWAY] * len(indices),
            forecasts.probabilities[2::3],
            [suffixes[variant] for variant in forecasts.variant_index],
        )
        # Interleaving the columns and joining once is faster than building a text for each item.
        pieces = [b""] * (len(indices) * len(columns))
        for position, column in enumerate(columns):
            pieces[position :: len(columns)] = column
    if problems:
        width = len(pieces) // max(len(indices), 1)
        items = {index: b"".join(pieces[row * width : (row + 1) * width]) for row, index in enumerate(indices)}
        items |= {
            index: b',{"index":%d,"forecast":null,"error":%b}' % (index, problem) for index, problem in problems.items()
        }
        pieces = [items[index] for index in sorted(items)]
    # Joined once and not copied again: the response is half a megabyte.
    pieces[0] = b'{"items":[' + pieces[0][1:]
    pieces.append(b"]}")
    return b"".join(pieces)
