"""Names and notes from data are text on every page: no link, image, icon, formula or HTML."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from tests.support.fake_api import FakeApi, FakeApiServer
from tests.support.page_types import OpenPage
from ui.markdown_text import JOINER, as_text

HOSTILE = [
    "![x](http://evil.example/x.png)",
    "<img src=x onerror=alert(1)>",
    "[a](javascript:alert(1))",
    "http://evil.example/page",
    "www.evil.example",
    "me@evil.example",
    ":material/delete: :red[alarm] :smile:",
    "$\\LaTeX$ `code` *loud* ~~gone~~ _low_",
    "a | b\n| --- | --- |",
    "# heading\n\n- item\n> quote",
    "1. FC Köln",
    "&lt;img&gt; &#60;",
    "=HYPERLINK(1)",
    "\\",
]
NAME = " ".join(HOSTILE)
LIVE = [
    r"(?<!\\)!?\[[^\]]*(?<!\\)\]\(\w+://evil", r"(?<!\\)<\w", r"javascript:\w", r"https?://evil",
    r"www\.evil", r"me@evil",
    r":material/delete:", r":red\[", r":smile:", r"(?<!\\)\$", r"(?<!\\)`code", r"(?<!\\)\*loud",
    r"(?m)^# ", r"(?m)^\| -",
]  # fmt: skip
"""What Markdown would make more than text of."""


@pytest.fixture
def hostile_api(
    real_matches: list[dict[str, Any]], real_report: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> Iterator[FakeApi]:
    """A fake API with a hostile club instead of Arsenal."""
    rows = copy.deepcopy(real_matches)
    for row in rows:
        for side in ("home_team", "away_team"):
            row[side] = NAME if row[side] == "Arsenal" else row[side]
    with FakeApiServer(FakeApi(rows, real_report)) as fake:
        fake.table_flags |= {"complete": False, "caveats": [NAME]}
        monkeypatch.setenv("TOUCHLINE_API_URL", fake.url)
        yield fake


def markdown_of(app: AppTest) -> list[str]:
    """The Markdown of a page: texts and the help beside them."""
    kinds = ("markdown", "caption", "info", "warning", "error", "success", "title", "header", "subheader", "metric")
    elements = [element for kind in kinds for element in getattr(app, kind)]
    return [str(getattr(element, field, "") or "") for element in elements for field in ("value", "label", "help")]


@pytest.mark.parametrize("page", ["matches", "match", "what_if", "table", "model", "drift"])
def test_hostile_name_is_text_on_every_page(hostile_api: FakeApi, open_page: OpenPage, page: str) -> None:
    match_id = next(
        row["match_id"] for row in reversed(hostile_api.rows) if NAME in (row["home_team"], row["away_team"])
    )
    query = {"match": {"match_id": match_id}, "what_if": {"home": NAME, "away": "Chelsea"}}.get(page, {})
    app = open_page(page, **query)
    assert not app.exception
    shown = markdown_of(app)
    live = [(pattern, text) for text in shown for pattern in LIVE if re.search(pattern, text)]
    assert live == []
    html = "".join(str(element.proto) for element in app.get("html"))
    assert "<img src=x" not in html
    if page in ("match", "what_if", "table"):
        assert any("evil" in text for text in shown)


@pytest.mark.parametrize("text", HOSTILE, ids=str)
def test_markdown_keeps_no_meaning(text: str) -> None:
    escaped = as_text(text)
    assert not [pattern for pattern in LIVE if re.search(pattern, escaped)]
    assert "\n" not in escaped
    assert re.sub(r"\\(.)", r"\1", escaped).replace(JOINER, "") == " ".join(text.split())


@pytest.mark.parametrize(
    "name", ["Arsenal", "Nott'm Forest", "Brighton & Hove Albion", "Paris Saint-Germain", "St. Pauli"]
)
def test_ordinary_names_are_unchanged(name: str) -> None:
    assert as_text(name) == name
