"""One sentence for a disk that becomes full while the pipeline runs; `preflight.check_disk` looks before it starts."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from features.errors import TouchlineError


@contextmanager
def full_disk_named(home: Path) -> Iterator[None]:
    """Turn the errors of a full disk into a TouchlineError that names the folder; any other error passes.

    Dagster's own databases are among its victims: their errors are pages of SQL.
    """
    try:
        yield
    except Exception as error:
        if not is_disk_full(error):
            raise
        raise TouchlineError(
            f"the disk of {home.absolute()} is full; what was published stays. Make room and run it again"
        ) from error


def is_disk_full(error: BaseException | None) -> bool:
    """Whether an error or one of its causes is that of a full disk."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        # SQLite reports a file that cannot grow as an I/O error, too.
        if isinstance(error, sqlite3.OperationalError) and ("disk is full" in str(error) or "disk I/O" in str(error)):
            return True
        error = error.__cause__ or error.__context__
    return False
