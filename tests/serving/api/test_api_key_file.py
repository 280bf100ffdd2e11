"""The file of API keys is followed while the API runs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from features.errors import InvalidInputError
from serving.api.api_key_file import CHECK_SECONDS, ApiKeyFile
from serving.api.api_keys import create

OLD, OLD_LINE = create("old")
NEW, NEW_LINE = create("new")


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "keys").write_text(OLD_LINE)
    return tmp_path / "keys"


def owners(keys: ApiKeyFile, clock: Clock) -> tuple[str | None, str | None]:
    """Whom the old and the new key belong to, after the next look at the file."""
    clock.now += CHECK_SECONDS
    return keys.authenticate(OLD), keys.authenticate(NEW)


def test_replaced_key_works_and_the_old_one_stops(file: Path, clock: Clock) -> None:
    """A second change of the same length within the same moment is seen, too."""
    keys = ApiKeyFile(file, clock)
    assert owners(keys, clock) == ("old", None)
    written_at = file.stat().st_mtime_ns
    for line, expected in ((NEW_LINE, (None, "new")), (OLD_LINE, ("old", None)), ("", (None, None))):
        file.write_text(line)
        os.utime(file, ns=(written_at, written_at))
        assert owners(keys, clock) == expected


def test_file_that_was_swapped_for_an_older_one_is_read(file: Path, clock: Clock) -> None:
    """A mounted secret changes by a link to another file, whose time may be any."""
    os.utime(file, (1_000_000, 1_000_000))
    keys = ApiKeyFile(file, clock)
    other = file.with_name("other")
    other.write_text(NEW_LINE)
    os.utime(other, (1_000_000, 1_000_000))
    other.replace(file)
    assert owners(keys, clock) == (None, "new")


@pytest.mark.parametrize("content", [b"new:abc", b"\xff\xfe", None], ids=["no hash", "no text", "no file"])
def test_broken_file_keeps_the_old_keys_and_says_so(file: Path, clock: Clock, content: bytes | None) -> None:
    keys = ApiKeyFile(file, clock)
    file.unlink() if content is None else file.write_bytes(content)
    assert owners(keys, clock) == ("old", None)
    assert keys.error is not None
    assert str(file) in keys.error
    file.write_text(NEW_LINE)
    assert owners(keys, clock) == (None, "new")
    assert keys.error is None


def test_file_is_looked_at_once_a_second(file: Path, clock: Clock) -> None:
    keys = ApiKeyFile(file, clock)
    file.write_text(NEW_LINE)
    assert keys.authenticate(NEW) is None
    assert owners(keys, clock) == (None, "new")


def test_file_that_is_broken_at_the_start_is_an_error(file: Path) -> None:
    file.write_text("nonsense")
    with pytest.raises(InvalidInputError, match="line 1: expected name:sha256"):
        ApiKeyFile(file)
