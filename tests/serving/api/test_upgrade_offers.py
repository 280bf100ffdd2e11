"""A request that offers another protocol (HTTP/2, WebSocket) is answered as HTTP/1.1, with its body."""

from __future__ import annotations

import json

import pytest

from tests.support.raw_http import RawConnection, RawResponse
from tests.support.service_harness import Service

PAIR = json.dumps({"home_team": "Arsenal", "away_team": "Chelsea"}).encode()
OTHER = json.dumps({"home_team": "Everton", "away_team": "Chelsea"}).encode()
H2C = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAA\r\n"
OFFERS = {
    "h2c as Java and curl send it": H2C,
    "in several headers": b"connection: keep-alive\r\nconnection: upgrade\r\nupgrade: h2c\r\n",
    "a WebSocket": b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
    "TLS": b"Upgrade: TLS/1.2\r\nConnection: Upgrade\r\n",
}


def _post(body: bytes = PAIR, offer: bytes = H2C, path: str = "/predict", framing: bytes | None = None) -> bytes:
    framing = b"Content-Length: %d\r\n" % len(body) if framing is None else framing
    head = b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n" % path.encode()
    return head + framing + offer + b"\r\n" + body


def _get(offer: bytes = H2C, path: str = "/healthcheck/") -> bytes:
    return b"GET %b HTTP/1.1\r\nHost: x\r\n%b\r\n" % (path.encode(), offer)


def _is_forecast_of(response: RawResponse, home_team: str) -> bool:
    assert response.status == 200, response.body
    return bool(response.json()["home_team"] == home_team)


@pytest.mark.parametrize("offer", OFFERS.values(), ids=OFFERS.keys())
@pytest.mark.parametrize("path", ["/predict", "/predict/"])
def test_the_body_behind_an_offer_is_read(service: Service, offer: bytes, path: str) -> None:
    with RawConnection(service.port) as raw:
        for _ in range(2):
            raw.send(_post(offer=offer, path=path))
            assert _is_forecast_of(raw.response(), "Arsenal")
        assert raw.is_silent()
        raw.send(_get(b""))  # the connection is in step
        assert raw.response().json() == {"status": "ok"}


def test_a_body_that_comes_in_pieces_is_read(service: Service) -> None:
    """Each byte by itself: no piece of the head or of the body gets lost."""
    with RawConnection(service.port) as raw:
        for byte in _post():
            raw.send(bytes([byte]))
        assert _is_forecast_of(raw.response(), "Arsenal")
        assert raw.is_silent()


def test_a_chunked_body_is_read(service: Service) -> None:
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (PAIR[:7], PAIR[7:])) + b"0\r\n\r\n"
    with RawConnection(service.port) as raw:
        raw.send(_post(chunks, framing=b"Transfer-Encoding: chunked\r\n"))
        assert _is_forecast_of(raw.response(), "Arsenal")
        assert raw.is_silent()


def test_a_body_that_waits_for_100_continue_is_read(service: Service) -> None:
    with RawConnection(service.port) as raw:
        request = _post(offer=H2C + b"Expect: 100-continue\r\n")
        raw.send(request.removesuffix(PAIR))
        assert raw.response().status == 100
        raw.send(PAIR)
        assert _is_forecast_of(raw.response(), "Arsenal")


def test_pipelined_offers_are_answered_in_order(service: Service) -> None:
    """Bodies, offers and requests without either, all in one piece."""
    requests = [_post(), _get(), _post(OTHER), _get(b""), _post(PAIR, offer=b""), _get(), _post(OTHER)]
    with RawConnection(service.port) as raw:
        raw.send(b"".join(requests))
        responses = [raw.response() for _ in requests]
        assert [response.status for response in responses] == [200] * len(requests)
        homes = [response.json().get("home_team") for response in responses]
        assert homes == ["Arsenal", None, "Everton", None, "Arsenal", None, "Everton"]
        assert raw.is_silent()


def test_a_large_body_is_read_and_a_too_large_one_refused(service: Service) -> None:
    batch = json.dumps({"matches": [json.loads(PAIR)] * 1000}).encode() + b" " * 300_000
    with RawConnection(service.port) as raw:
        raw.send(_post(batch, path="/predict/batch"))
        response = raw.response()
        assert response.status == 200
        assert len(response.json()["items"]) == 1000
        raw.send(_post(b" " * 1_000_001)[:200])
        assert raw.response().status == 413
        assert raw.is_closed()


def test_an_offer_with_close_ends_the_connection(service: Service) -> None:
    with RawConnection(service.port) as raw:
        raw.send(_post(offer=b"Connection: close, Upgrade\r\nUpgrade: h2c\r\n"))
        response = raw.response()
        assert _is_forecast_of(response, "Arsenal")
        assert response.headers["connection"] == "close"
        assert raw.is_closed()


def test_an_offer_of_http_1_0_is_ignored(service: Service) -> None:
    with RawConnection(service.port) as raw:
        raw.send(_post().replace(b"HTTP/1.1", b"HTTP/1.0", 1))
        assert _is_forecast_of(raw.response(), "Arsenal")
        assert raw.is_closed()


@pytest.mark.parametrize("target", [b"example.org:443", b"/healthcheck/"])
def test_a_tunnel_is_refused_once(service: Service, target: bytes) -> None:
    """What follows CONNECT is not HTTP: it gets no response of its own."""
    with RawConnection(service.port) as raw:
        raw.send(b"CONNECT %b HTTP/1.1\r\nHost: x\r\n\r\n" % target + _get(b""))
        response = raw.response()
        assert (response.status, response.headers["content-type"]) == (400, "application/problem+json")
        assert raw.is_closed()


def test_http_2_without_an_offer_is_refused(service: Service) -> None:
    """HTTP/2 "with prior knowledge": there is no HTTP/1.1 request to answer."""
    with RawConnection(service.port) as raw:
        raw.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0")
        assert raw.response().status == 400
        assert raw.is_closed()


def test_limits_hold_behind_an_offer(service: Service) -> None:
    """An offer does not hide the size of a head."""
    for offer in (H2C + b"x: y\r\n" * 200, H2C + b"x-large: " + b"a" * 40_000 + b"\r\n"):
        with RawConnection(service.port) as raw:
            raw.send(_post(offer=offer))
            assert raw.response().status == 431
            assert raw.is_closed()
