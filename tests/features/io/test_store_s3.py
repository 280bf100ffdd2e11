"""The lake on S3-compatible storage: a local stand-in, reached through settings alone."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import threading

import pandas as pd
import pytest

from features.errors import NotPublishedError
from features.io.settings import Settings
from features.io.store import Lake

pytestmark = pytest.mark.medium


@pytest.fixture
def lake(s3_lake: Lake) -> Lake:
    return s3_lake


def test_tables_and_documents_are_published_and_found(lake: Lake) -> None:
    frame = pd.DataFrame({"team": ["Arsenal"], "elo": [1700.5]})
    lake.write_table("ratings", "2026-03-09", frame)
    lake.write_table("ratings", "eng-premier-league", frame)
    lake.write_json("reports/drift/week=2026-03-09/summary.json", {"state": "stable"})
    pd.testing.assert_frame_equal(lake.read_table("ratings", "2026-03-09"), frame, check_dtype=False)
    assert lake.partitions("ratings") == ["2026-03-09", "eng-premier-league"]
    assert lake.list("reports") == ["drift/week=2026-03-09/summary.json"]
    assert lake.read_json("reports/drift/week=2026-03-09/summary.json") == {"state": "stable"}


def test_an_object_appears_whole_and_changes_its_stamp(lake: Lake) -> None:
    assert lake.fingerprint("noun/doc") is None
    lake.write_bytes("noun/doc", b"a" * 7_000_000)
    first = lake.fingerprint("noun/doc")
    assert lake.read_bytes("noun/doc") == b"a" * 7_000_000
    lake.write_bytes("noun/doc", b"b" * 10)
    assert lake.fingerprint("noun/doc") != first
    assert lake.read_bytes("noun/doc") == b"b" * 10


class Gate:
    """A proxy to a server that forwards a limited number of bytes and then drops all others."""

    def __init__(self, server: str, limit: int) -> None:
        host, _, port = server.rpartition(":")
        self._server, self._left = (host, int(port)), limit
        self._door = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._door.getsockname()[1]}"
        self.shut = threading.Event()
        threading.Thread(target=self._enter, daemon=True).start()

    def _enter(self) -> None:
        while True:
            client, _ = self._door.accept()
            server = socket.create_connection(self._server)
            for pair in ((client, server, True), (server, client, False)):
                threading.Thread(target=self._pass, args=pair, daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket, counted: bool) -> None:
        with contextlib.suppress(OSError), source, sink:
            while data := source.recv(65536):
                self._left -= len(data) if counted else 0
                if self._left < 0:
                    self.shut.set()
                    continue  # dropped: to the client it looks sent
                sink.sendall(data)


def test_a_writer_killed_while_it_publishes_leaves_the_old_object(lake: Lake, s3_endpoint: str) -> None:
    """The server has 25 of 40 MB, two and a half of four parts, when the process dies."""
    lake.write_bytes("noun/doc", b"old")
    before = lake.fingerprint("noun/doc")
    gate = Gate(s3_endpoint.removeprefix("http://"), 25_000_000)
    root = Settings(lake=lake.root.partition("?")[0], s3_endpoint=f"http://{gate.address}").lake_root
    publish = f"from features.io.store import Lake; Lake({root!r}).write_bytes('noun/doc', b'new' * 13_333_333)"
    writer = subprocess.Popen([sys.executable, "-c", publish])
    try:
        assert gate.shut.wait(60)
        assert lake.read_bytes("noun/doc") == b"old"
    finally:
        writer.kill()
    assert writer.wait(20) == -9
    assert lake.read_bytes("noun/doc") == b"old"
    assert lake.fingerprint("noun/doc") == before
    assert lake.list("noun") == ["doc"]
    lake.write_bytes("noun/doc", b"newer")  # what the dead writer left blocks no other writer
    assert lake.read_bytes("noun/doc") == b"newer"


def test_what_is_not_there_is_not_published(lake: Lake) -> None:
    assert lake.list("nothing") == []
    with pytest.raises(NotPublishedError):
        lake.read_table("ratings", "a")


def test_the_endpoint_may_also_come_from_the_variable_of_the_aws_tools(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://minio.example:9000")
    monkeypatch.delenv("TOUCHLINE_S3_ENDPOINT", raising=False)
    assert (
        Settings(lake="s3://bucket/lake").lake_root
        == "s3://bucket/lake?endpoint_override=minio.example%3A9000&scheme=https"
    )
    assert Settings(lake="/data/lake").lake_root == "/data/lake"
