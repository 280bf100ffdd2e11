"""Metrics that several processes share, on a disk that is full: some are missing, and no process ends."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from monitoring.metric_files import ReservedValues

REPOSITORY = Path(__file__).resolve().parents[2]
FILL = """
import os, resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
folder, kind = os.environ["PROMETHEUS_MULTIPROC_DIR"], sys.argv[1]
if kind == "small":  # no file may become longer
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
from monitoring import metrics as m
if kind == "full":
    with open(f"{folder}/filler", "wb", buffering=0) as filler:
        try:
            while filler.write(bytes(4096)):
                pass
        except OSError as error:
            print(error.strerror)
for number in range(3000):
    m.REQUESTS.labels("GET", f"/route/{number}", "200").inc()
print("alive", m.REQUESTS.labels("GET", "/route/2999", "200")._value.get())
"""


def _run(folder: Path, kind: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "PROMETHEUS_MULTIPROC_DIR": str(folder)}
    ended = subprocess.run(
        [sys.executable, "-c", FILL, kind], env=environment, capture_output=True, text=True, timeout=120
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_a_file_that_cannot_be_written_costs_metrics_and_no_process(tmp_path: Path) -> None:
    """The counters still count in memory."""
    assert _run(tmp_path, "small") == "alive 1.0\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="a small disk can be mounted by root only")
def test_a_full_disk_ends_no_process_that_counts(tmp_path: Path) -> None:
    """Files that were opened before the disk was full have their blocks, and grow no further."""
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(tmp_path)], check=False)
    if mounted.returncode != 0:
        pytest.skip("this machine does not allow mounts")
    try:
        assert _run(tmp_path, "full") == "No space left on device\nalive 1.0\n"
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_values_outlive_their_process_and_the_file_grows(tmp_path: Path) -> None:
    """The library reads such files, also one of a process that has ended."""
    path = tmp_path / "counter_1.db"
    values = ReservedValues(str(path))
    assert values.read_value("first") == (0.0, 0.0)
    for number in range(3000):
        values.write_value(f"key {number:030}", float(number), 5.0)
    values.close()
    assert path.stat().st_blocks * 512 >= path.stat().st_size > 1 << 16
    again = ReservedValues(str(path))
    assert again.read_value(f"key {2999:030}") == (2999.0, 5.0)
    assert len(list(again.read_all_values_from_file(str(path)))) == 3001
    again.close()


def test_values_without_a_file_are_kept_in_memory(tmp_path: Path) -> None:
    values = ReservedValues(str(tmp_path / "no such folder" / "counter_1.db"))
    values.write_value("first", 2.0, 3.0)
    assert values.read_value("first") == (2.0, 3.0)
    assert values.read_value("second") == (0.0, 0.0)
    values.close()
