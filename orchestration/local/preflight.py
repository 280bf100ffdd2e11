"""The checks before a local run starts, and the lock of a run. Each error message says what to do."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
import socket
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

from features.errors import TouchlineError

DEFAULT_PORTS = {
    **{"amqp": 5672, "amqps": 5671, "redis": 6379, "rediss": 6379, "valkey": 6379, "valkeys": 6379},
    **{"http": 80, "https": 443, "postgresql": 5432},
}
DISK_NEEDED = 500 * 2**20
"""Bytes. Lake, databases and logs of a first run take about a tenth of this."""


class CannotStartError(TouchlineError):
    """A local run cannot start on this machine."""


def secure_home(home: Path, lake: str | None) -> None:
    """Create the home folder for its owner only, or take it from other users; it holds databases and settings.

    Files of this process and its children are for their owner only, unless the lake is elsewhere: others may read it.
    A folder of somebody else, or a shared one such as /tmp, keeps its permissions.
    """
    if lake is None:
        os.umask(0o077)
    with contextlib.suppress(OSError):  # `check_disk` says what is wrong with the folder
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = home.stat()
        if status.st_uid == os.getuid() and not status.st_mode & stat.S_ISVTX:
            home.chmod(0o700)


def check_ports(ports: Mapping[str, int]) -> None:
    """Require every port to be free; `ports` maps the name of the setting to its value."""
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
                    f"port {port} is in use; stop its process or set {setting} to a free port ({error.strerror})"
                ) from error


def check_host(setting: str, host: str) -> None:
    """Require an address to be one of this machine, so that a service can listen on it."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.bind(address)
    except OSError as error:
        raise CannotStartError(
            f"{setting} is {host!r}, which is no address of this machine ({error.strerror}); set it to 127.0.0.1, or "
            "to 0.0.0.0 for every device in the network"
        ) from error


def check_answers(services: Mapping[str, str]) -> None:
    """Require external services to accept connections; `services` maps the name of the setting to the address."""
    for setting, address in services.items():
        parts = urlsplit(address)
        if parts.scheme == "unix":
            _check_socket(setting, unquote(parts.path))
            continue
        host, scheme = parts.hostname or "127.0.0.1", parts.scheme.partition("+")[0]
        port = parts.port or DEFAULT_PORTS.get(scheme)
        if port is None:
            raise CannotStartError(
                f"{setting} names no port, and {scheme or 'an address without a scheme'} has no default port"
            )
        try:
            socket.create_connection((host, port), 5).close()
        except OSError as error:
            raise CannotStartError(
                f"nothing answers at {host}:{port} ({error.strerror or error}); start it, or unset {setting}"
            ) from error


def _check_socket(setting: str, path: str) -> None:
    """Require a Unix socket, such as that of a Valkey, to accept connections."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(5)
        try:
            probe.connect(path)
        except OSError as error:
            raise CannotStartError(
                f"nothing answers at the socket {path} ({error.strerror or error}); start it, or unset {setting}"
            ) from error


def check_disk(home: Path) -> None:
    """Require the home folder to be writable, its disk to have room, and its path to be usable in an address.

    The address of a SQLite database ends at a question mark: Dagster's databases and MLflow's would be one file, beside
    the folder. MLflow decodes percent signs and would put its models into another folder.
    """
    if reserved := re.search(r"\?|%[0-9A-Fa-f]{2}", str(home.absolute())):
        raise CannotStartError(
            f"{home} contains {reserved[0]!r}, which addresses of databases cannot contain; "
            "set TOUCHLINE_HOME to another folder"
        )
    try:
        home.mkdir(parents=True, exist_ok=True)
        probe = home / ".writable"
        probe.write_bytes(b"x")
        probe.unlink()
    except OSError as error:
        raise CannotStartError(
            f"{home} is not writable ({error.strerror}); set TOUCHLINE_HOME to another folder"
        ) from error
    free = shutil.disk_usage(home).free
    if free < DISK_NEEDED:
        raise CannotStartError(
            f"the disk under {home} is full: {free // 2**20} MB free, {DISK_NEEDED // 2**20} MB needed; "
            "free some space or set TOUCHLINE_HOME to another disk"
        )


LOCK = "up.lock"
SUPERVISOR_PID = "SUPERVISOR_PID"
"""Key of the run's process id beside its settings."""


@contextlib.contextmanager
def single_instance_lock(home: Path) -> Iterator[None]:
    """Allow one run per home folder. The lock ends with the process, even a killed one."""
    lock = home / LOCK
    with lock.open("a") as handle:
        lock.chmod(0o600)  # the file will hold settings, some with passwords
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise CannotStartError(
                f"Touchline is already running in {home}; `touchline down` stops it; TOUCHLINE_HOME starts another"
            ) from error
        try:
            yield
        finally:
            lock.unlink(missing_ok=True)


def write_run_settings(home: Path, settings: Mapping[str, str]) -> None:
    """Write the settings of the run that holds the lock, for commands that are started beside it."""
    (home / LOCK).write_text(json.dumps(settings))


def read_run_settings(home: Path) -> dict[str, str]:
    """Read the settings of the run that holds the lock; empty while that run still checks the machine.

    Raises
    ------
    CannotStartError
        If no `up` is running in this home. The folder is not created.
    """
    with contextlib.suppress(FileNotFoundError, NotADirectoryError), (home / LOCK).open() as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return dict(json.loads(handle.read() or "{}"))
    raise CannotStartError(
        f"Touchline is not running in {home.absolute()}; start `make up` first, or set TOUCHLINE_HOME to its home"
    )


def free_port() -> int:
    """A free port on loopback."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
