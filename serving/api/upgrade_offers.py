"""Offers of another protocol (`Upgrade: h2c`, `websocket`, ...) are ignored, as a server may (RFC 9110, 7.8).

The parser ends a request with an offer behind its headers: the body would be taken for the next request. Java's own
client offers HTTP/2 with every request by default. So the head is parsed once more without the offer.
"""

from __future__ import annotations

from array import array
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_OFFER_HEADERS = (b"upgrade", b"http2-settings")


class UpgradeIgnoringProtocol(HttpToolsProtocol):
    """Answers every request as HTTP/1.1. Overrides private parts of uvicorn's protocol."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.parser = _Parser(self)

    @property
    def has_offer(self) -> bool:
        """Whether the head that was just parsed has an offer; only the head without it begins a request."""
        return self.parser.should_upgrade()

    def on_headers_complete(self) -> None:
        if not self.has_offer:
            super().on_headers_complete()
        elif self.parser.get_method() == b"CONNECT":  # to the parser an offer, too: what follows is not HTTP
            self.send_400_response("this server is no proxy: it opens no tunnels")

    def on_message_complete(self) -> None:
        if not self.has_offer:
            super().on_message_complete()

    def head_without_offer(self) -> bytes:
        """The head that was just parsed, without the offer."""
        lines = [b"%b %b HTTP/%b" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())]
        for name, value in self.headers:
            if name == b"connection":
                value = b", ".join(option for option in _options(value) if option.lower() not in _OFFER_HEADERS)
            if name not in _OFFER_HEADERS:
                lines.append(b"%b: %b" % (name, value))
        return b"\r\n".join([*lines, b"\r\n"])


class _Parser(httptools.HttpRequestParser):
    """A parser that goes on behind an offer."""

    def __init__(self, protocol: UpgradeIgnoringProtocol) -> None:
        super().__init__(protocol)
        self.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn has it
        self._protocol = protocol

    def feed_data(self, data: bytes | bytearray | memoryview[int] | array[int]) -> None:
        parser, feed = self, httptools.HttpRequestParser.feed_data
        while True:
            try:
                feed(parser, data)
                return
            except httptools.HttpParserUpgrade as offer:
                rest = memoryview(data)[offer.args[0] :]
            if self._protocol.transport.is_closing():
                return
            head = self._protocol.head_without_offer()
            # A new one: behind an offer with `Connection: close`, the old one reads no further request.
            parser = self._protocol.parser = _Parser(self._protocol)
            feed(parser, head)
            data = rest


def _options(value: bytes) -> list[bytes]:
    return [option.strip() for option in value.split(b",")]
