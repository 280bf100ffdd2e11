"""A log that cannot be written, as on a full disk, ends neither a request nor a process."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pytest

from serving.telemetry.logging import TolerantStream

FULL = Path("/dev/full")
PROGRAM = """
import logging, structlog
from serving.telemetry.logging import configure_logging
configure_logging("INFO")
for _ in range(2000):
    structlog.get_logger("ours").info("event", text="x" * 100)
    logging.getLogger("theirs").error("event %s", "x" * 100)
print("alive")
"""


@pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
def test_a_full_disk_costs_lines_and_no_more(repository: Path) -> None:
    with FULL.open("w") as disk:
        ended = subprocess.run(
            [sys.executable, "-c", PROGRAM], cwd=repository, stdout=subprocess.PIPE, stderr=disk, text=True
        )
    assert ended.stdout == "alive\n"


def test_what_can_be_written_is_written() -> None:
    """A closed stream, as at the end of a process, is no error."""
    stream = io.StringIO()
    tolerant = TolerantStream(stream)
    assert tolerant.write("a line\n") == 7
    tolerant.flush()
    assert stream.getvalue() == "a line\n"
    stream.close()
    assert tolerant.write("another\n") == 8
    tolerant.flush()
