"""Logs of services on a disk that fills up."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from orchestration.local.service_logs import LogFile

LIMITED = """
import resource, signal, sys
from pathlib import Path
from orchestration.local.service_logs import LogFile

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a write beyond the limit then fails, as on a full disk
log = LogFile(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (40, resource.RLIM_INFINITY))
for _ in range(8):
    log.write(b"0123456789\\n")
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
log.write(b"room again\\n")
"""


def test_full_disk_costs_lines_and_is_told(tmp_path: Path, repository: Path) -> None:
    """Whole lines are dropped while the disk is full; the log says how much once there is room."""
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] == resource.RLIM_INFINITY
    environment = {**os.environ, "PYTHONPATH": str(repository)}
    subprocess.run([sys.executable, "-c", LIMITED, str(tmp_path / "api.log")], check=True, env=environment, timeout=60)
    assert (tmp_path / "api.log").read_text().splitlines() == [
        *["0123456789"] * 3,
        "[55 bytes of this log were dropped: the disk was full]",
        "room again",
    ]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_log_that_never_fits_raises_nothing() -> None:
    """A service goes on without its log."""
    log = LogFile(Path("/dev/full"))
    for _ in range(3):
        log.write(b"lost\n")
