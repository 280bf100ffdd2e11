"""Forecasts written as JSON straight from their columns, as `schemas.Forecast` and `schemas.BatchItem` have them.

A thousand forecasts are half a megabyte of mostly the same text: what belongs to a fixture is written once and kept
with it, and only what differs is put between.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import orjson

from serving.errors import from_task
from serving.slates import MOST_MATCHES, SIDES, Fixture, Forecasts

_DRAW, _AWAY = b',"draw":', b',"away":'
_HEADS = tuple(b',{"index":%d,"forecast":' % index for index in range(MOST_MATCHES))


def document(fixture: Fixture, forecasts: Forecasts) -> bytes:
    """The only forecast there is; raises the error that stands in its place."""
    for _, error in forecasts["errors"]:
        raise from_task(error)
    home, draw, away = (forecasts[side].encode() for side in SIDES)
    return b"".join((fixture.opening, home, _DRAW, draw, _AWAY, away, _closing(forecasts, forecasts["kinds"][0])))


def batch(
    indices: Sequence[int], fixtures: Sequence[Fixture], forecasts: Forecasts | None, errors: Mapping[int, bytes]
) -> bytes:
    """The answer to a batch: forecasts of fixtures, the items at `indices`, and problem documents by their index.

    What has both has the problem. `forecasts` may be None where there are no fixtures.
    """
    pieces: list[bytes] = []
    if forecasts is not None:
        home, draw, away = (forecasts[side].encode().split(b",") for side in SIDES)
        closings = [_closing(forecasts, kind) + b',"error":null}' for kind in forecasts["kinds"]]
        columns = (
            [_HEADS[index] for index in indices],
            [fixture.opening for fixture in fixtures],
            home,
            [_DRAW] * len(home),
            draw,
            [_AWAY] * len(home),
            away,
            [closings[kind] for kind in forecasts["kind"]],
        )
        # Pieces that are put between each other and joined once are quicker than a text for each item.
        pieces = [b""] * (len(home) * len(columns))
        for place, column in enumerate(columns):
            pieces[place :: len(columns)] = column
    if errors:
        width = len(pieces) // max(len(indices), 1)
        items = {index: b"".join(pieces[row * width : (row + 1) * width]) for row, index in enumerate(indices)}
        items |= {
            index: b',{"index":%d,"forecast":null,"error":%b}' % (index, error) for index, error in errors.items()
        }
        pieces = [items[index] for index in sorted(items)]
    return b'{"items":[%b]}' % b"".join(pieces)[1:]


def _closing(forecasts: Forecasts, kind: Sequence[str]) -> bytes:
    outcome, as_of = kind
    told = orjson.dumps({"predicted_outcome": outcome, "model": forecasts["model"], "features_as_of": as_of})
    return b"}," + told[1:]
