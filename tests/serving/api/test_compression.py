"""Responses to GET are compressed for clients that accept it; forecasts on demand never are."""

from __future__ import annotations

import gzip

import httpx
import pytest

from serving.api.compression import MIN_BYTES, accepts_gzip

PAIR = {"home_team": "Arsenal", "away_team": "Chelsea"}


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("gzip", True),
        ("gzip, deflate, br, zstd", True),
        ("GZIP", True),
        ("x-gzip", True),
        ("br;q=1.0, gzip;q=0.8, *;q=0.1", True),
        ("*", True),
        ("", False),
        ("identity", False),
        ("br", False),
        ("gzip;q=0", False),
        ("gzip; q=0.000, *", False),
        ("*;q=0", False),
        ("gzip;q=much", False),
        ("notgzip", False),
    ],
)
def test_gzip_is_negotiated_with_weights(header: str, expected: bool) -> None:
    assert accepts_gzip(header) is expected


def _raw(api: httpx.Client, path: str, accepted: str) -> tuple[httpx.Headers, bytes]:
    """Return headers and body as they are on the wire."""
    with api.stream("GET", path, headers={"accept-encoding": accepted}) as response:
        return response.headers, b"".join(response.iter_raw())


@pytest.mark.parametrize("path", ["/openapi.json", "/matches?limit=200", "/docs/assets/swagger-ui.css", "/teams"])
def test_a_large_body_is_compressed_on_request(api: httpx.Client, path: str) -> None:
    plain_headers, plain = _raw(api, path, "identity")
    headers, body = _raw(api, path, "gzip")
    assert "content-encoding" not in plain_headers
    assert headers["content-encoding"] == "gzip"
    assert gzip.decompress(body) == plain
    assert len(body) < len(plain) / 2
    for each in (plain_headers, headers):  # caches must not serve one for the other
        assert each["vary"].lower() == "accept-encoding"
    if "content-length" in headers:
        assert int(headers["content-length"]) == len(body)


def test_a_small_body_is_never_compressed(api: httpx.Client) -> None:
    headers, body = _raw(api, "/healthcheck/", "gzip")
    assert "content-encoding" not in headers
    assert len(body) < MIN_BYTES


def test_forecasts_on_demand_are_never_compressed(api: httpx.Client) -> None:
    """Neither those of the fast path nor a batch."""
    for path, body in (("/predict", PAIR), ("/predict", PAIR), ("/predict/batch", {"matches": [PAIR] * 100})):
        response = api.post(path, json=body, headers={"accept-encoding": "gzip"})
        assert response.status_code == 200
        assert "content-encoding" not in response.headers
        assert "vary" not in response.headers
