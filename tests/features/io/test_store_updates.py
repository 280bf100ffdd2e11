"""Changes of published tables by several writers: none is lost, and the last one knows those before it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from features.errors import CorruptArtefactError, StorageUnavailableError
from features.io.settings import Settings
from features.io.store import Lake

pytestmark = pytest.mark.medium

SCHEMA = pa.schema([pa.field("n", pa.int64(), nullable=False)])
WRITER = """
import sys
import pandas as pd
import pyarrow as pa
from features.io.store import Lake

lake, first, schema = Lake(sys.argv[1]), int(sys.argv[2]), pa.schema([pa.field("n", pa.int64(), nullable=False)])
for n in range(first, first + 4):
    lake.update_table("t", "2026-03-09", lambda rows: pd.DataFrame({"n": [*rows["n"], n]}), schema)
"""


@pytest.fixture(params=["folder", "s3"])
def lake(request: pytest.FixtureRequest) -> Lake:
    lake: Lake = request.getfixturevalue(f"{request.param}_lake")
    return lake


def numbers(lake: Lake) -> list[int]:
    return list(lake.read_table("t", "2026-03-09", schema=SCHEMA)["n"])


def test_writers_in_other_processes_lose_no_change(lake: Lake, repository: Path) -> None:
    """Two processes that each add four rows to one week leave eight."""
    environment = {**os.environ, "PYTHONPATH": str(repository)}
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, lake.root, first], env=environment) for first in ("0", "100")
    ]
    assert [writer.wait(60) for writer in writers] == [0, 0]
    assert sorted(numbers(lake)) == [*range(4), *range(100, 104)]
    assert lake.partitions("t") == ["2026-03-09"], "the lock is not a table"


def test_slow_writer_changes_what_a_fast_one_published(s3_lake: Lake) -> None:
    """On S3 the change is made again, on the table that was published while it was made first."""
    seen: list[list[int]] = []

    def slow(rows: pd.DataFrame) -> pd.DataFrame:
        seen.append(list(rows["n"]))
        if len(seen) <= 2:
            s3_lake.write_table("t", "2026-03-09", pd.DataFrame({"n": [len(seen)]}), SCHEMA)
        return pd.DataFrame({"n": [*rows["n"], 9]})

    s3_lake.update_table("t", "2026-03-09", slow, SCHEMA)
    assert seen == [[], [1], [2]]
    assert numbers(s3_lake) == [2, 9]


def test_writer_that_never_wins_gives_up_with_a_sentence(s3_lake: Lake) -> None:
    """It does not try for ever."""

    def disturbed(content: bytes | None) -> bytes:
        s3_lake.write_bytes("noun/doc", (content or b"") + b"x")
        return b"mine"

    with pytest.raises(StorageUnavailableError, match="noun/doc was changed by others"):
        s3_lake.update_bytes("noun/doc", disturbed)
    assert set(s3_lake.read_bytes("noun/doc")) == set(b"x")


def test_change_that_is_none_leaves_the_object(lake: Lake) -> None:
    """Nothing is written, so that nothing downstream is outdated."""
    lake.write_table("t", "2026-03-09", pd.DataFrame({"n": [1]}), SCHEMA)
    before = lake.table_fingerprint("t", "2026-03-09")
    lake.update_table("t", "2026-03-09", lambda _: None, SCHEMA)
    assert lake.table_fingerprint("t", "2026-03-09") == before


def test_damaged_table_is_not_replaced(lake: Lake) -> None:
    """Its rows cannot be kept, so a person decides."""
    lake.write_bytes("t/week=2026-03-09.parquet", b"not parquet")
    with pytest.raises(CorruptArtefactError, match=r"t/week=2026-03-09\.parquet"):
        lake.update_table("t", "2026-03-09", lambda rows: rows, SCHEMA)
    assert lake.read_bytes("t/week=2026-03-09.parquet") == b"not parquet"


def test_failed_change_frees_the_table(lake: Lake) -> None:
    """The next writer does not wait for one that failed."""

    def fail(_: bytes | None) -> bytes:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        lake.update_bytes("noun/doc", fail)
    lake.update_bytes("noun/doc", lambda content: b"new" if content is None else None)
    assert lake.read_bytes("noun/doc") == b"new"


def test_s3_storage_that_is_away_is_named(
    s3_lake: Lake, free_port: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Updating a table on storage that does not answer is one of our errors."""
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    away = Lake(Settings(lake="s3://bucket/lake", s3_endpoint=f"http://127.0.0.1:{free_port()}").lake_root)
    with pytest.raises(StorageUnavailableError, match="s3://bucket/lake/noun/doc"):
        away.update_bytes("noun/doc", lambda _: b"x")
