"""Forecasts written as JSON straight from their columns, as `schemas.Forecast` and `schemas.BatchItem` have them.

A thousand forecasts are half a megabyte of mostly the same text: what belongs to a fixture is written once and kept
with it, and only what differs is put between.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter

import orjson

from serving.errors import from_task
from serving.wire.columns import MOST_MATCHES, Errors, Fixture, Forecasts, shares

_DRAW, _AWAY = b',"draw":', b',"away":'
_HEADS = tuple(b',{"index":%d,"forecast":' % index for index in range(MOST_MATCHES))


@dataclass(frozen=True, eq=False)
class Answers:
    """Forecasts as pieces of their JSON; what stands in the place of a match that has an error means nothing."""

    probabilities: list[bytes]
    """Home, draw and away of each match."""
    closings: list[bytes]
    """What follows them, by the places that `kind` has."""
    kind: list[int]
    errors: Errors

    @classmethod
    def read(cls, forecasts: Forecasts) -> Answers:
        """From the columns that a worker answered with."""
        closings = [
            b"},"
            + orjson.dumps({"predicted_outcome": outcome, "model": forecasts["model"], "features_as_of": as_of})[1:]
            for outcome, as_of in forecasts["kinds"]
        ]
        return cls(forecasts["probabilities"].encode().split(b","), closings, forecasts["kind"], forecasts["errors"])

    def parted(self, counts: Sequence[int]) -> Iterator[Answers]:
        """The answers to fixtures that were asked for together, each asker's own; `counts` are the matches of each."""
        for rows, numbers, errors in shares(self.errors, counts):
            yield Answers(self.probabilities[numbers], self.closings, self.kind[rows], errors)


def document(fixture: Fixture, answers: Answers) -> bytes:
    """The only forecast there is; raises the error that stands in its place."""
    for _, error in answers.errors:
        raise from_task(error)
    home, draw, away = answers.probabilities
    return b"".join((fixture.opening, home, _DRAW, draw, _AWAY, away, answers.closings[answers.kind[0]]))


def batch(
    indices: Sequence[int], fixtures: Sequence[Fixture], answers: Answers | None, errors: Mapping[int, bytes]
) -> bytes:
    """The answer to a batch: forecasts of fixtures, the items at `indices`, and problem documents by their index.

    What has both has the problem. `answers` may be None where there are no fixtures.
    """
    pieces: list[bytes] = []
    if answers is not None:
        closings = [one + b',"error":null}' for one in answers.closings]
        columns = (
            [_HEADS[index] for index in indices],
            list(map(attrgetter("opening"), fixtures)),
            answers.probabilities[0::3],
            [_DRAW] * len(indices),
            answers.probabilities[1::3],
            [_AWAY] * len(indices),
            answers.probabilities[2::3],
            [closings[kind] for kind in answers.kind],
        )
        # Pieces that are put between each other and joined once are quicker than a text for each item.
        pieces = [b""] * (len(indices) * len(columns))
        for place, column in enumerate(columns):
            pieces[place :: len(columns)] = column
    if errors:
        width = len(pieces) // max(len(indices), 1)
        items = {index: b"".join(pieces[row * width : (row + 1) * width]) for row, index in enumerate(indices)}
        items |= {
            index: b',{"index":%d,"forecast":null,"error":%b}' % (index, error) for index, error in errors.items()
        }
        pieces = [items[index] for index in sorted(items)]
    # Written once, not copied: it is half a megabyte.
    pieces[0] = b'{"items":[' + pieces[0][1:]
    pieces.append(b"]}")
    return b"".join(pieces)
