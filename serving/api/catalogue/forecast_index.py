"""Published forecasts by match_id: a million of them in about 100 MB, looked up in well under a millisecond."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import structlog
from numpy.typing import NDArray

from features.errors import CorruptArtefactError, NotPublishedError, StorageUnavailableError
from features.io.store import Fingerprint, Lake
from features.matches import build_match_id

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class _Part:
    """One week: hashes of its match_ids and its rows, repeated values stored once."""

    stamp: Fingerprint | None
    hashes: NDArray[np.uint64]
    rows: pa.Table


@dataclass(frozen=True)
class _Index:
    """All weeks by hash; of several rows of one match the latest week comes last."""

    hashes: NDArray[np.uint64]
    places: NDArray[np.uint64]
    parts: tuple[_Part, ...]


class Published:
    """One weekly table of the lake, kept up to date by `refresh`; readers never see half of one.

    A week that vanishes from the lake stays in use until the process ends, like one that is damaged: nobody can tell a
    week that was taken away from one that was lost.
    """

    def __init__(self, lake: Lake, noun: str, schema: pa.Schema) -> None:
        self._lake = lake
        self._noun = noun
        self._schema = schema
        self._parts: dict[str, _Part] = {}
        self._index = _index({})
        self.damaged: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._index.hashes)

    def get(self, match_id: str) -> dict[str, Any] | None:
        """The latest row of a match, or None."""
        index = self._index
        wanted = _hashes([match_id])[0]
        at = int(np.searchsorted(index.hashes, wanted, side="right")) - 1
        while at >= 0 and index.hashes[at] == wanted:
            part, row = divmod(int(index.places[at]), 1 << 32)
            found = _row(index.parts[part].rows, row)
            if _is(found, match_id):
                return {"match_id": match_id, **found}
            at -= 1
        return None

    def refresh(self) -> bool:
        """Read the weeks that were published anew; one that is missing or cannot be read stays as it was."""
        changed = False
        try:
            for week in sorted({*self._lake.partitions(self._noun), *self._parts}):
                changed |= self._read(week)
        finally:  # what was read counts as read, whatever happened to the rest
            if changed:
                self._index = _index(self._parts)
                pa.default_memory_pool().release_unused()
        return changed

    def _read(self, week: str) -> bool:
        try:
            stamp, known = self._lake.table_fingerprint(self._noun, week), self._parts.get(week)
            new = stamp is None or known is None or known.stamp != stamp
            if new:
                table = self._lake.read_arrow(self._noun, week, schema=self._schema)
                self._parts[week] = _part(stamp, table.select(self._schema.names), self._schema)
            self.damaged.pop(week, None)
            return new
        except (NotPublishedError, CorruptArtefactError, StorageUnavailableError) as error:
            if self.damaged.get(week) != str(error):
                log.warning("published.unreadable", noun=self._noun, week=week, error=str(error))
            self.damaged[week] = str(error)
            return False


def _part(stamp: Fingerprint | None, table: pa.Table, schema: pa.Schema) -> _Part:
    if gaps := [field.name for field in schema if table.column(field.name).null_count]:
        raise CorruptArtefactError(f"{gaps} have gaps: it was written by another version")
    hashes = _hashes(table.column("match_id").to_pylist())
    kept = {}
    for name in schema.names[1:]:
        column = table.column(name).combine_chunks()
        exact = pa.types.is_floating(column.type)
        kept[name] = column if exact else pc.dictionary_encode(column)
    return _Part(stamp, hashes, pa.table(kept))


def _row(table: pa.Table, row: int) -> dict[str, Any]:
    # Value by value: slicing the table would slice every dictionary in it.
    return {name: table.column(at).chunk(0)[row].as_py() for at, name in enumerate(table.column_names)}


def _hashes(match_ids: list[str]) -> NDArray[np.uint64]:
    return pd.util.hash_array(np.array(match_ids, dtype=object), categorize=False)


def _index(parts: dict[str, _Part]) -> _Index:
    ordered = tuple(parts[week] for week in sorted(parts))
    if not ordered:
        return _Index(np.empty(0, np.uint64), np.empty(0, np.uint64), ())
    hashes = np.concatenate([part.hashes for part in ordered])
    places = np.concatenate(
        [np.arange(len(part.hashes), dtype=np.uint64) + np.uint64(number << 32) for number, part in enumerate(ordered)]
    )
    order = np.argsort(hashes, kind="stable")
    return _Index(hashes[order], places[order], ordered)


def _is(row: dict[str, Any], match_id: str) -> bool:
    first = build_match_id(row["competition"], row["season"], row["home_team"], row["away_team"])
    return match_id == first or match_id.removeprefix(first).removeprefix("-").isdigit()
