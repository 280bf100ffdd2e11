"""A RabbitMQ node of the test's own: private ports, folder, name and port mapper."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from pathlib import Path

from kombu.connection import Connection

from serving.wire.queue import DEAD_LETTERS, QUEUE
from tests.support.ports import free_port

SERVER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")


class Rabbit:
    """Start, kill -9 and start again on the same data."""

    def __init__(self, folder: Path, certificate: tuple[Path, Path] | None = None) -> None:
        """With a `certificate` and its key, the node also takes encrypted connections, at `tls_port`."""
        self.folder = folder
        self.port, self._distribution, self._epmd, self.tls_port = (free_port() for _ in range(4))
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "rabbitmq.conf").write_text(
            "loopback_users = none\ndisk_free_limit.absolute = 50MB\nlog.console = false\n"
            + (self._encryption(*certificate) if certificate else "")
        )
        (folder / "enabled_plugins").write_text("[].\n")

    def _encryption(self, certificate: Path, key: Path) -> str:
        files = {"cacertfile": certificate, "certfile": certificate, "keyfile": key}
        return f"listeners.ssl.default = 127.0.0.1:{self.tls_port}\n" + "".join(
            f"ssl_options.{name} = {path}\n" for name, path in files.items()
        )

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self.port}//"

    @property
    def pid(self) -> int:
        """Process of the running node."""
        assert self._process is not None
        return self._process.pid

    @property
    def environment(self) -> dict[str, str]:
        """The environment of the node and of the tools that query it."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "RABBITMQ_NODENAME": f"touchline{self.port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(self._distribution),
            "ERL_EPMD_PORT": str(self._epmd),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_MNESIA_BASE": str(self.folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self.folder / "log"),
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "enabled_plugins"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 2:2 +sbwt none",
        }

    def start(self, seconds: float = 180.0) -> None:
        """Return when the node takes connections."""
        output = (self.folder / "output").open("ab")
        self._process = subprocess.Popen(
            [str(SERVER)], env=self.environment, stdout=output, stderr=output, start_new_session=True
        )
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self._answers():
                return
            time.sleep(0.2)
        raise AssertionError(f"RabbitMQ did not start: {(self.folder / 'output').read_text()[-2000:]}")

    def empty(self) -> None:
        """Delete the queues that earlier tests left."""
        with Connection(self.url) as connection:
            for queue in (QUEUE, DEAD_LETTERS):
                connection.default_channel.queue_delete(queue)

    def kill(self) -> None:
        """kill -9 of the node, as a power cut would."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def shut_down(self) -> None:
        """Stop the node in an orderly way, as an upgrade does."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGTERM)
            self._process.wait(60)
            self._process = None

    def stop(self) -> None:
        """End the node and the port mapper that it started."""
        self.kill()
        # epmd runs as a daemon and stops on request once no node is registered.
        subprocess.run(
            ["epmd", "-port", str(self._epmd), "-kill"],
            env={"PATH": os.environ["PATH"]},
            capture_output=True,
            check=False,
        )

    def evaluate(self, erlang: str) -> str:
        """Value of an expression on the running node."""
        command = [str(SERVER.with_name("rabbitmqctl")), "-n", self.environment["RABBITMQ_NODENAME"], "eval", erlang]
        done = subprocess.run(
            command, env=self.environment, cwd="/", capture_output=True, text=True, timeout=60, check=True
        )
        return done.stdout.strip()

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as probe:
                probe.settimeout(2)
                probe.sendall(b"AMQP\x00\x00\x09\x01")
                return bool(probe.recv(1))
        except OSError:
            return False
