"""What servers answer in place of a file, and what they ask for: each failure is one sentence, within the limits."""

from __future__ import annotations

import contextlib
import gzip
import socketserver
import threading
import time
import tracemalloc
import zlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.io.sources.content_encoding import Unpacker
from features.io.sources.download import Downloader
from features.io.sources.download_errors import RefusedError, UnreachableError
from features.io.sources.retry_after import seconds_to_wait

pytestmark = pytest.mark.medium

NOW = datetime(2026, 3, 13, 12, tzinfo=UTC)


def _download(site: Any, url: str = "", largest: int = 10_000, longest: float = 3.0, retries: int = 1) -> bytes:
    downloader = Downloader(timeout=2, retries=retries, pause=0.0, largest=largest, longest=longest)
    try:
        return downloader.get(url or f"{site.url}/E0.csv", {}, NOW).content
    finally:
        downloader.close()


def test_a_busy_server_is_left_alone_as_long_as_it_asks(site: Any) -> None:
    """A Retry-After of one second is waited for, and then the file is there."""
    site.files["/E0.csv"], site.failures, site.failure_headers = b"one", 1, {"Retry-After": "1"}
    begin = time.monotonic()
    assert _download(site) == b"one"
    assert 1 <= time.monotonic() - begin < 3


def test_a_wait_beyond_the_limit_is_given_up_at_once(site: Any) -> None:
    """Nothing is gained by waiting a part of the time: the error names the seconds asked for and the limit."""
    site.failures, site.failure_headers = 9, {"Retry-After": "3600"}
    begin = time.monotonic()
    with pytest.raises(UnreachableError, match=r"503.* asks to wait 3600 seconds, more than the limit of 3"):
        _download(site)
    assert time.monotonic() - begin < 1
    assert len(site.asked) == 1


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": " 4 "}, 4),
        ({"Retry-After": format_datetime(NOW + timedelta(seconds=7), usegmt=True)}, 7),
        ({"Retry-After": "Fri, 13 Mar 2026 06:00:09 GMT", "Date": "Fri, 13 Mar 2026 06:00:00 GMT"}, 9),
        ({"Retry-After": "Fri, 13 Mar 2026 06:00:09 -0000", "Date": "nonsense"}, 0),
        ({"Retry-After": "-5"}, 0),
        ({"Retry-After": "soon"}, 0),
        ({"Retry-After": "9" * 400}, 999_999_999),
        ({}, 0),
    ],
)
def test_seconds_and_dates_of_retry_after_are_understood(headers: dict[str, str], seconds: float) -> None:
    """A date counts from the server's own clock if it sends that; what is unreadable is no wait."""
    assert seconds_to_wait(headers, NOW) == seconds


@settings(deadline=None)
@given(st.text())
def test_no_retry_after_of_a_server_is_an_error(text: str) -> None:
    """Whatever the header holds, the wait is a number of seconds."""
    assert seconds_to_wait({"Retry-After": text, "Date": text}, NOW) >= 0


def test_gzip_is_unpacked_and_other_encodings_refused_by_name(site: Any) -> None:
    """Only what was asked for is accepted."""
    for encoding, body in (
        ("gzip", gzip.compress(b"one") + gzip.compress(b"two")),
        ("deflate", zlib.compress(b"onetwo")),
    ):
        site.answers["/E0.csv"] = (200, {"Content-Encoding": encoding}, body)
        assert _download(site) == b"onetwo"
    for encoding in ("br", "zstd", "compress", "gzip, br"):
        site.answers["/E0.csv"] = (200, {"Content-Encoding": encoding}, b"packed")
        with pytest.raises(RefusedError, match=f"compresses with '{encoding}'; only gzip"):
            _download(site)


def test_a_small_answer_cannot_fill_the_memory(site: Any) -> None:
    """A hundred kilobytes that unpack to a hundred megabytes stop at the limit, before they are in memory."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = b"".join(packer.compress(bytes(2**22)) for _ in range(25)) + packer.flush()
    tracemalloc.start()
    unpacker = Unpacker("gzip", 100_000)
    with pytest.raises(RefusedError, match="more than 100000 bytes"):
        unpacker.add(bomb)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000
    site.answers["/E0.csv"] = (200, {"Content-Encoding": "gzip"}, bomb)
    with pytest.raises(RefusedError, match="more than 10000 bytes"):
        _download(site)


@pytest.mark.parametrize(
    ("body", "reason"),
    [(b"no gzip at all", "damaged"), (gzip.compress(b"x" * 999)[:-9], "cut off")],
    ids=["no gzip", "cut off"],
)
def test_damaged_compressed_content_is_told(site: Any, body: bytes, reason: str) -> None:
    """A cut or damaged stream is not taken for a shorter file."""
    site.answers["/E0.csv"] = (200, {"Content-Encoding": "gzip"}, body)
    with pytest.raises(RefusedError, match=reason):
        _download(site)


@settings(deadline=None)
@given(st.binary(max_size=300), st.sampled_from(["gzip", "deflate", "", "identity"]), st.integers(1, 50))
def test_any_bytes_are_unpacked_or_refused(body: bytes, encoding: str, size: int) -> None:
    """No content of an answer ends in another error, and none is longer than the limit."""
    unpacker = Unpacker(encoding, 1000)
    try:
        for start in range(0, len(body), size):
            unpacker.add(body[start : start + size])
        assert len(unpacker.content()) <= 1000
    except RefusedError:
        pass


@settings(deadline=None)
@given(st.lists(st.binary(max_size=200), max_size=4), st.integers(1, 40))
def test_gzip_in_pieces_and_parts_is_whole_again(parts: list[bytes], size: int) -> None:
    """However the network cuts it, the unpacked content is the original one."""
    packed, unpacker = b"".join(map(gzip.compress, parts)), Unpacker("gzip", 10_000)
    for start in range(0, len(packed), size):
        unpacker.add(packed[start : start + size])
    assert unpacker.content() == b"".join(parts)


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("/E0.csv", "redirects"),
        ("file:///etc/hostname", "protocol"),
        ("ftp://127.0.0.1/E0.csv", "protocol"),
        ("data:text/csv,Div", "cannot be followed"),
        ("http://[::1", "cannot be followed|location"),
        ("http://127.0.0.1:999999/", "refused|port"),
    ],
)
def test_a_redirect_that_leads_nowhere_is_one_sentence(site: Any, location: str, reason: str) -> None:
    """Loops, other schemes and broken addresses are refused; nothing but HTTP is ever followed."""
    site.answers["/E0.csv"] = (302, {"Location": location}, b"")
    with pytest.raises((RefusedError, UnreachableError), match=reason):
        _download(site)


@pytest.mark.parametrize(
    "url", ["file:///etc/hostname", "http://[::1", "nonsense", "http://a..b/E0.csv", "http://" + "a" * 70_000]
)
def test_an_address_that_is_none_is_one_sentence(site: Any, url: str) -> None:
    """A mistake in a setting is an error of the source, not a traceback."""
    with pytest.raises((RefusedError, UnreachableError)):
        _download(site, url)


def test_a_body_shorter_than_announced_is_not_taken(site: Any) -> None:
    """A download that breaks off is tried again and then an error."""
    site.answers["/E0.csv"] = (200, {"Content-Length": "999"}, b"Div,Date")
    with pytest.raises(UnreachableError):
        _download(site)
    assert len(site.asked) == 2


@pytest.mark.parametrize("status", [204, 300, 401, 403, 418, 451])
def test_a_refusal_is_not_asked_for_again(site: Any, status: int) -> None:
    """Only busy servers get a second request."""
    site.answers["/E0.csv"] = (status, {}, b"")
    with pytest.raises(RefusedError, match=f"answered {status}"):
        _download(site)
    assert len(site.asked) == 1


@pytest.mark.parametrize("begin", [b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\n\r\n"], ids=["headers", "body"])
def test_endless_answers_are_given_up_at_the_limit(free_port: Callable[[], int], begin: bytes) -> None:
    """A server that always sends one more line keeps no load waiting, and what came so far is no file."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with contextlib.suppress(OSError):
                self.request.sendall(begin)
                while True:
                    self.request.sendall(b"X: y\r\n")
                    time.sleep(0.05)

    with socketserver.ThreadingTCPServer(("127.0.0.1", free_port()), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        started = time.monotonic()
        with pytest.raises(UnreachableError, match="not complete after 1 seconds"):
            _download(None, f"http://127.0.0.1:{server.server_address[1]}/E0.csv", longest=1)
        assert time.monotonic() - started < 4
        server.shutdown()
