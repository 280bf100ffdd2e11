"""What must hold before a local run starts; each failure is one sentence that says what to do."""

from __future__ import annotations

import contextlib
import fcntl
import json
import shutil
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from features.errors import TouchlineError

DEFAULT_PORTS = {
    **{"amqp": 5672, "amqps": 5671, "redis": 6379, "rediss": 6379, "valkey": 6379, "valkeys": 6379},
    **{"http": 80, "https": 443, "postgresql": 5432},
}
DISK_NEEDED = 500 * 2**20
"""Bytes: lake, databases and logs of a first run take about a tenth of it."""


class CannotStartError(TouchlineError):
    """Something on this machine stands in the way of a local run."""


def check_ports(ports: Mapping[str, int]) -> None:
    """Every port must be free; `ports` maps the setting's name to its value."""
    by_port: dict[int, str] = {}
    for setting, port in ports.items():
        if port in by_port:
            raise CannotStartError(f"{setting} and {by_port[port]} are both {port}; give each its own port")
        by_port[port] = setting
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                raise CannotStartError(
                    f"port {port} is taken; stop what listens there or set {setting} to a free port ({error.strerror})"
                ) from error


def check_answers(outside: Mapping[str, str]) -> None:
    """What was named instead of an embedded part must take connections; `outside` maps the setting's name to it."""
    for setting, address in outside.items():
        parts = urlsplit(address)
        host, scheme = parts.hostname or "127.0.0.1", parts.scheme.partition("+")[0]
        port = parts.port or DEFAULT_PORTS.get(scheme)
        if port is None:
            raise CannotStartError(
                f"{setting} names no port, and {scheme or 'an address without a scheme'} has no usual one"
            )
        try:
            socket.create_connection((host, port), 5).close()
        except OSError as error:
            raise CannotStartError(
                f"nothing answers at {host}:{port} ({error.strerror or error}); start it, or unset {setting}"
            ) from error


def check_disk(home: Path) -> None:
    """The home folder must be writable and have room."""
    try:
        home.mkdir(parents=True, exist_ok=True)
        probe = home / ".writable"
        probe.write_bytes(b"x")
        probe.unlink()
    except OSError as error:
        raise CannotStartError(
            f"{home} cannot be written ({error.strerror}); set TOUCHLINE_HOME to another folder"
        ) from error
    free = shutil.disk_usage(home).free
    if free < DISK_NEEDED:
        raise CannotStartError(
            f"the disk under {home} is full: {free // 2**20} MB free, {DISK_NEEDED // 2**20} MB needed; "
            "make room or set TOUCHLINE_HOME to another disk"
        )


LOCK = "up.lock"


@contextlib.contextmanager
def single_instance_lock(home: Path) -> Iterator[None]:
    """One run per home folder: the lock goes with the process, whatever ends it."""
    lock = home / LOCK
    with lock.open("a") as handle:
        lock.chmod(0o600)  # it will hold settings, and with them addresses with passwords
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise CannotStartError(
                f"Touchline already runs in {home}; stop it, or set TOUCHLINE_HOME for a second one"
            ) from error
        try:
            yield
        finally:
            lock.unlink(missing_ok=True)


def write_run_settings(home: Path, settings: Mapping[str, str]) -> None:
    """Leave the settings of the run that holds the lock to commands that are started beside it."""
    (home / LOCK).write_text(json.dumps(settings))


def read_run_settings(home: Path) -> dict[str, str]:
    """Settings of the run that holds the lock, whatever an earlier one left; none yet while it checks the machine.

    Raises
    ------
    CannotStartError
        If no `up` runs in this home; nothing is made there.
    """
    with contextlib.suppress(FileNotFoundError, NotADirectoryError), (home / LOCK).open() as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return dict(json.loads(handle.read() or "{}"))
    raise CannotStartError(
        f"no Touchline runs in {home.absolute()}; start `make up` first, or set TOUCHLINE_HOME to the home of the run"
    )


def free_port() -> int:
    """A port on loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
