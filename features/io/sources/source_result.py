"""Result of loading a source: matches, rejected or repaired rows, and a report for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
import pyarrow as pa

QUARANTINE_SCHEMA = pa.schema(
    [
        pa.field("source", pa.string(), nullable=False),
        pa.field("file", pa.string(), nullable=False),
        pa.field("row", pa.int64(), nullable=False),  # as an editor counts lines: the header is row 1
        pa.field("reason", pa.string(), nullable=False),
        pa.field("repaired", pa.bool_(), nullable=False),  # True: the row was accepted after a correction
        pa.field("content", pa.string(), nullable=False),
    ]
)


@dataclass(frozen=True)
class Defect:
    """Problem in one row of a file; `skipped`: no error, but it counts for nothing, such as an annulled match."""

    source: str
    file: str
    row: int
    reason: str
    content: str
    repaired: bool = False
    skipped: bool = False


@dataclass(frozen=True)
class SourceResult:
    """Matches of one competition from its sources.

    Attributes
    ----------
    matches : table with the columns of `features.matches.SCHEMA`.
    quarantine : table with the columns of `QUARANTINE_SCHEMA`, one row for each rejected or repaired row.
    report : counts and findings for a person. `rows` are those of the competition: each is `accepted`, `rejected` or
        `skipped`; `quarantined` are the last two together, `repaired` are accepted. `stale`, `unusable` and `missing`
        list files, `crowded` days on which a club plays more than once.
    origins : file and row of each match, by match_id: "mine.csv row 17". Sources without files have none.
    defects : the rows of `quarantine`, and which of them are no errors.
    """

    matches: pd.DataFrame
    quarantine: pd.DataFrame
    report: dict[str, Any] = field(default_factory=dict)
    origins: Mapping[str, str] = field(default_factory=dict)
    defects: Sequence[Defect] = ()


def quarantine_table(defects: Sequence[Defect]) -> pd.DataFrame:
    """Build a table of the defects with the columns of `QUARANTINE_SCHEMA`, even if there are none."""
    rows = {name: [getattr(defect, name) for defect in defects] for name in QUARANTINE_SCHEMA.names}
    table = pd.DataFrame(rows)
    types = {"source": "str", "file": "str", "row": "int64", "reason": "str", "repaired": "bool", "content": "str"}
    return table.astype(types)
