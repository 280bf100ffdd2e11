"""Publishing: readers see the old table or the new one, never half of one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pyarrow as pa
import pytest

from features.errors import CorruptArtefactError, NotPublishedError, StorageUnavailableError
from features.io.store import ABANDONED_AFTER, Lake, week_of
from tests.support.small_disk import fill, small_disk

pytestmark = pytest.mark.medium

WRITER = """
import sys
from features.io.store import Lake
lake = Lake(sys.argv[1])
print("writing", flush=True)
n = 0
while True:
    n += 1
    lake.write_bytes("noun/doc", str(n % 10).encode() * 5_000_000)
"""


@pytest.fixture(params=["folder", "s3"])
def lake(request: pytest.FixtureRequest) -> Lake:
    lake: Lake = request.getfixturevalue(f"{request.param}_lake")
    return lake


def is_whole(content: bytes) -> bool:
    return len(content) == content.count(content[:1]) == 5_000_000


def test_a_reader_sees_the_old_or_the_new_while_the_writer_is_killed(lake: Lake, repository: Path) -> None:
    lake.write_bytes("noun/doc", b"x" * 5_000_000)
    for _ in range(3):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, lake.root],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(repository)},
        ) as writer:
            assert writer.stdout is not None
            writer.stdout.readline()
            for _ in range(15):
                assert is_whole(lake.read_bytes("noun/doc"))
            writer.send_signal(signal.SIGKILL)
            writer.wait()
        assert is_whole(lake.read_bytes("noun/doc"))
        assert lake.list("noun") == ["doc"], "what a killed writer leaves must stay invisible"


def test_what_a_killed_writer_left_is_removed_once_nobody_can_be_writing_it(folder_lake: Lake) -> None:
    folder_lake.write_bytes("noun/doc", b"old")
    old, young = Path(folder_lake.root, "noun/.doc.old"), Path(folder_lake.root, "noun/.doc.young")
    old.write_bytes(b"half")
    young.write_bytes(b"half")
    long_ago = time.time() - ABANDONED_AFTER - 1
    os.utime(old, (long_ago, long_ago))
    folder_lake.write_bytes("noun/doc", b"new")
    assert not old.exists()
    assert young.exists()


def test_a_publish_that_fails_leaves_the_old_and_no_rest(folder_lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    folder_lake.write_bytes("noun/doc", b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        folder_lake.write_bytes("noun/doc", b"new")
    assert folder_lake.read_bytes("noun/doc") == b"old"
    assert [path.name for path in Path(folder_lake.root, "noun").iterdir()] == ["doc"]


def test_full_disk_is_one_sentence_and_publishing_goes_on(tmp_path: Path) -> None:
    """What was published stays; once there is room, the same publication succeeds."""
    with small_disk(tmp_path / "small", kilobytes=256) as disk:
        lake = Lake(str(disk / "lake"))
        lake.write_table("ratings", "a", pd.DataFrame({"x": [1]}))
        filler = fill(disk, leave_bytes=50_000)
        with pytest.raises(OSError, match=r"No space left on device: .*noun/doc was not published; what was"):
            lake.write_bytes("noun/doc", os.urandom(100_000))
        assert lake.list("noun") == []
        assert [path.name for path in Path(lake.root, "noun").iterdir()] == []
        assert list(lake.read_table("ratings", "a")["x"]) == [1]
        filler.unlink()
        lake.write_bytes("noun/doc", b"x" * 100_000)
        assert len(lake.read_bytes("noun/doc")) == 100_000


def test_many_writers_of_one_object_leave_one_whole_object(lake: Lake) -> None:
    contents = [bytes([n]) * 200_000 for n in range(8)]
    writers = [threading.Thread(target=lake.write_bytes, args=("noun/doc", content)) for content in contents]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert lake.read_bytes("noun/doc") in contents


def test_tables_come_back_as_they_were_published(lake: Lake) -> None:
    at = pd.to_datetime(["2026-03-01", None], utc=True)  # type: ignore[arg-type]  # the stubs know no missing dates
    frame = pd.DataFrame({"team": ["Arsenal", "Chelsea"], "elo": [1700.5, None], "at": at})
    lake.write_table("ratings", "eng-premier-league", frame)
    lake.write_table("ratings", "2026-03-09", frame)
    back = lake.read_table("ratings", "eng-premier-league")
    pd.testing.assert_frame_equal(back, frame, check_dtype=False)
    assert lake.partitions("ratings") == ["2026-03-09", "eng-premier-league"]
    assert lake.list("ratings") == ["eng-premier-league.parquet", "week=2026-03-09.parquet"]


def test_the_stamp_changes_with_each_publication(lake: Lake) -> None:
    assert lake.table_fingerprint("ratings", "a") is None
    lake.write_table("ratings", "a", pd.DataFrame({"x": [1]}))
    first = lake.table_fingerprint("ratings", "a")
    assert lake.table_fingerprint("ratings", "a") == first
    lake.write_table("ratings", "a", pd.DataFrame({"x": [2]}))
    second = lake.table_fingerprint("ratings", "a")
    assert first is not None
    assert second is not None
    assert second != first
    assert second.modified_ns >= first.modified_ns


def test_an_equally_large_publication_in_the_same_second_changes_the_stamp(lake: Lake) -> None:
    seen = set()
    for letter in b"abcdefgh":
        lake.write_bytes("noun/doc", bytes([letter]) * 100)
        seen.add(lake.fingerprint("noun/doc"))
    assert len(seen) == 8


@pytest.mark.parametrize("damage", [b"", b"not parquet", b"PAR1" + b"\0" * 40 + b"PAR1"])
def test_a_damaged_table_is_named_not_half_read(lake: Lake, damage: bytes) -> None:
    lake.write_bytes("ratings/a.parquet", damage)
    with pytest.raises(CorruptArtefactError, match=r"ratings/a\.parquet"):
        lake.read_table("ratings", "a")


def test_a_truncated_table_is_named_not_half_read(lake: Lake) -> None:
    lake.write_table("ratings", "a", pd.DataFrame({"x": range(1000)}))
    whole = lake.read_bytes("ratings/a.parquet")
    lake.write_bytes("ratings/a.parquet", whole[: len(whole) // 2])
    with pytest.raises(CorruptArtefactError):
        lake.read_table("ratings", "a")


def test_a_table_of_an_older_version_says_what_it_lacks_and_what_to_do(lake: Lake) -> None:
    lake.write_table("ratings", "a", pd.DataFrame({"x": [1]}))
    schema = pa.schema([("x", pa.int64()), ("y", pa.float64())])
    with pytest.raises(CorruptArtefactError, match=r"lacks \['y'\].*materialise 'ratings' again"):
        lake.read_table("ratings", "a", schema=schema)


def test_a_column_of_another_type_is_brought_to_todays_or_named(lake: Lake) -> None:
    lake.write_table("ratings", "a", pd.DataFrame({"x": [1, 2]}))
    as_float = lake.read_table("ratings", "a", schema=pa.schema([("x", pa.float64())]))
    assert as_float["x"].dtype == "float64"
    lake.write_table("ratings", "a", pd.DataFrame({"x": ["one"]}))
    with pytest.raises(CorruptArtefactError, match="'x' has another type"):
        lake.read_table("ratings", "a", schema=pa.schema([("x", pa.float64())]))


def test_what_is_not_there_is_not_published(lake: Lake) -> None:
    for read in (lambda: lake.read_table("ratings", "a"), lambda: lake.read_json("reports/x.json")):
        with pytest.raises(NotPublishedError, match="not published"):
            read()
    assert lake.partitions("ratings") == []


def test_storage_that_does_not_answer_is_told_apart_from_what_is_not_there(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise OSError("connection refused")

    monkeypatch.setattr(lake, "_fs", SimpleNamespace(open_input_file=away, get_file_info=away))
    for ask in (lake.read_bytes, lake.fingerprint, lake.list, lake.partitions, lake.read_json):
        with pytest.raises(StorageUnavailableError, match="connection refused"):
            ask("reports/x.json")


def test_a_broken_document_is_named(lake: Lake) -> None:
    lake.write_bytes("reports/x.json", b'{"half": ')
    with pytest.raises(CorruptArtefactError, match=r"reports/x\.json"):
        lake.read_json("reports/x.json")


def test_weeks_begin_on_monday() -> None:
    assert week_of(pd.Timestamp("2026-03-15T23:59", tz="UTC")) == "2026-03-09"
    assert week_of(pd.Timestamp("2026-03-16T00:00", tz="UTC")) == "2026-03-16"
