"""First and second start of everything on this machine: seconds to the first served forecast, and memory.

    python tests/benchmarks/startup.py

Runs `touchline up` twice on free ports in an empty home folder and repeats what it prints of itself.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def free_port() -> str:
    """A port on loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def start_and_stop(environment: dict[str, str]) -> str:
    """The line in which a run tells its own times; stops the run at once after it."""
    run = subprocess.Popen(
        [sys.executable, "-m", "orchestration.local.cli", "up"],
        cwd=ROOT,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
    )
    told = ""
    assert run.stdout is not None
    for line in run.stdout:
        if line.startswith("First forecast served"):
            told = line.strip()
            run.send_signal(signal.SIGINT)
    if run.wait() != 0 or not told:
        sys.exit(f"the run failed (exit code {run.returncode}); see {environment['TOUCHLINE_HOME']}/logs")
    return told


def main() -> None:
    """Print both starts."""
    with tempfile.TemporaryDirectory() as home:
        ports = {f"TOUCHLINE_{name}_PORT": free_port() for name in ("API", "UI", "DAGSTER", "MLFLOW")}
        environment = {**os.environ, **ports, "TOUCHLINE_HOME": home}
        for start in ("first start ", "second start"):
            print(f"{start}: {start_and_stop(environment)}", flush=True)


if __name__ == "__main__":
    main()
