"""Index of a weekly table by match_id. A million forecasts take 100 MB, a look-up well under a millisecond."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import structlog
from numpy.typing import NDArray

from features.errors import CorruptArtefactError
from features.io.store import Fingerprint, Lake
from features.matches import is_id_of
from serving.api.catalogue.row_builders import failure_reason

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class _Week:
    """One week: hashes of its match_ids, and its rows with dictionary-encoded columns."""

    fingerprint: Fingerprint | None
    hashes: NDArray[np.uint64]
    rows: pa.Table


@dataclass(frozen=True)
class _Index:
    """All weeks, sorted by hash. If a match has rows in several weeks, the latest week comes last."""

    hashes: NDArray[np.uint64]
    positions: NDArray[np.uint64]
    """Number of the week in the upper 32 bits, number of the row in the lower 32."""
    weeks: tuple[_Week, ...]
    names: tuple[str, ...]


class WeeklyTableIndex:
    """Rows of one weekly table of the lake. `refresh` swaps the whole index, so readers never see a partial one.

    If a week disappears or becomes unreadable, its last good version stays in use until restart, because a deleted week
    cannot be told from a lost one.
    """

    def __init__(self, lake: Lake, table: str, schema: pa.Schema) -> None:
        self._lake = lake
        self._table = table
        self._schema = schema
        self._weeks: dict[str, _Week] = {}
        self._index = _build_index({})
        self.unreadable_weeks: dict[str, str] = {}
        """Why each unreadable week cannot be read."""

    def __len__(self) -> int:
        return len(self._index.hashes)

    def get(self, match_id: str) -> dict[str, Any] | None:
        """Return the latest row of a match, or None."""
        index = self._index
        match_hash = _hashes([match_id])[0]
        position = int(np.searchsorted(index.hashes, match_hash, side="right")) - 1
        while position >= 0 and index.hashes[position] == match_hash:
            week, row_number = divmod(int(index.positions[position]), 1 << 32)
            row = _row(index.weeks[week].rows, row_number)
            if _is_row_of(row, match_id):
                return {"match_id": match_id, **row}
            position -= 1
        return None

    @property
    def weeks(self) -> tuple[str, ...]:
        """Mondays of the weeks that were read, sorted."""
        return self._index.names

    def has(self, match_ids: list[str]) -> NDArray[np.bool_]:
        """Return whether each match has a row in any week."""
        return np.asarray(self._last_weeks(match_ids) != "", dtype=np.bool_)

    def is_latest(self, week: str, match_ids: list[str]) -> NDArray[np.bool_]:
        """Return whether no later week than `week` has a row of each match."""
        return np.asarray(self._last_weeks(match_ids) <= week, dtype=np.bool_)

    def _last_weeks(self, match_ids: list[str]) -> NDArray[np.str_]:
        """Return the last week of each match; an empty text for a match without a row."""
        index, hashes = self._index, _hashes(match_ids)
        if not len(index.hashes):
            return np.full(len(hashes), "")
        last = np.maximum(np.searchsorted(index.hashes, hashes, side="right") - 1, 0)
        weeks = np.array(index.names)[index.positions[last] >> np.uint64(32)]
        return np.where(index.hashes[last] == hashes, weeks, "")

    def refresh(self) -> bool:
        """Read new and changed weeks and return whether there were any; an unreadable week keeps its last good rows."""
        changed = False
        try:
            for week in sorted({*self._lake.partitions(self._table), *self._weeks}):
                changed |= self._read(week)
        finally:  # index the weeks that were read even if reading another one failed
            if changed:
                self._index = _build_index(self._weeks)
                pa.default_memory_pool().release_unused()
        return changed

    def _read(self, week: str) -> bool:
        try:
            fingerprint, cached = self._lake.table_fingerprint(self._table, week), self._weeks.get(week)
            changed = fingerprint is None or cached is None or cached.fingerprint != fingerprint
            if changed:
                table = self._lake.read_arrow(self._table, week, schema=self._schema)
                self._weeks[week] = _build_week(fingerprint, table.select(self._schema.names), self._schema)
            self.unreadable_weeks.pop(week, None)
            return changed
        except Exception as error:  # of any class: a damaged week must not keep others from being read
            reason = failure_reason(error)
            if self.unreadable_weeks.get(week) != reason:
                log.warning("forecast_week.read_failed", table=self._table, week=week, error=reason)
            self.unreadable_weeks[week] = reason
            return False


def _build_week(fingerprint: Fingerprint | None, table: pa.Table, schema: pa.Schema) -> _Week:
    if gaps := [field.name for field in schema if table.column(field.name).null_count]:
        raise CorruptArtefactError(f"columns {gaps} have missing values; another release wrote the file")
    hashes = _hashes(table.column("match_id").to_pylist())
    columns = {}
    for name in schema.names[1:]:
        column = table.column(name).combine_chunks()
        columns[name] = column if pa.types.is_floating(column.type) else pc.dictionary_encode(column)
    return _Week(fingerprint, hashes, pa.table(columns))


def _row(table: pa.Table, row_number: int) -> dict[str, Any]:
    # Read single values: slicing the table would slice every dictionary in it.
    return {name: table.column(number).chunk(0)[row_number].as_py() for number, name in enumerate(table.column_names)}


def _hashes(match_ids: list[str]) -> NDArray[np.uint64]:
    return pd.util.hash_array(np.array(match_ids, dtype=object), categorize=False)


def _build_index(weeks: dict[str, _Week]) -> _Index:
    names, ordered = tuple(sorted(weeks)), tuple(week for _, week in sorted(weeks.items()))
    if not ordered:
        return _Index(np.empty(0, np.uint64), np.empty(0, np.uint64), (), ())
    hashes = np.concatenate([week.hashes for week in ordered])
    positions = np.concatenate(
        [np.arange(len(week.hashes), dtype=np.uint64) + np.uint64(number << 32) for number, week in enumerate(ordered)]
    )
    order = np.argsort(hashes, kind="stable")
    return _Index(hashes[order], positions[order], ordered, names)


def _is_row_of(row: dict[str, Any], match_id: str) -> bool:
    """Whether a row has this match_id, since hashes can collide. The table holds the parts of the id, not the id."""
    return is_id_of(match_id, row["competition"], row["season"], row["home_team"], row["away_team"])
