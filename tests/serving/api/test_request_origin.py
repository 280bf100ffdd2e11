"""Which web pages may send a request that changes something."""

from __future__ import annotations

import pytest

from serving.api.request_origin import check_origin
from serving.errors import ForeignOriginError

ALLOWED = ("https://viewer.example",)
HOST = "api.example:8000"


def sent(method: str = "POST", **headers: str) -> dict[str, object]:
    """The scope of a request; `_` in the names of headers stands for `-`."""
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in {"host": HOST, **headers}.items()]
    return {"method": method, "headers": raw}


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": "https://viewer.example"},
        {"origin": "https://viewer.example", "sec_fetch_site": "cross-site"},
        {"origin": f"http://{HOST}"},
        {"origin": f"https://{HOST}", "sec_fetch_site": "same-origin"},
        {"sec_fetch_site": "none"},
    ],
    ids=str,
)
def test_own_pages_and_allowed_ones_may_send(headers: dict[str, str]) -> None:
    """So may clients that are no browsers, which send neither header."""
    check_origin(sent(**headers), ALLOWED)


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": ""},
        {"origin": "https://viewer.example.evil.example"},
        {"origin": "http://viewer.example"},
        {"origin": "http://api.example:8001"},
        {"origin": "https://evil.example", "sec_fetch_site": "cross-site"},
        {"origin": "http://api.example:3000", "sec_fetch_site": "same-site"},
        {"sec_fetch_site": "Cross-Site"},
    ],
    ids=str,
)
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_foreign_pages_may_change_nothing(method: str, headers: dict[str, str]) -> None:
    """The sentence names the page and the setting."""
    with pytest.raises(ForeignOriginError, match="TOUCHLINE_CORS_ORIGINS"):
        check_origin(sent(method, **headers), ALLOWED)


def test_reading_is_left_to_the_rules_of_browsers() -> None:
    """A browser lets a foreign page send a GET but not read the answer."""
    check_origin(sent("GET", origin="https://evil.example"), ALLOWED)


def test_every_origin_can_be_allowed() -> None:
    check_origin(sent(origin="https://any.example"), ("*",))
