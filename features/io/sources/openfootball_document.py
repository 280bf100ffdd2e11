"""The JSON documents of openfootball: a list of matches, or in the older layout a list of rounds with matches."""

from __future__ import annotations

import json
from typing import Any

from features.errors import SourceError


class RepeatedKeys(dict[str, Any]):
    """A JSON object in which keys stand twice with different values; `repeated` names them."""

    repeated: tuple[str, ...] = ()


def entries_of(content: bytes, file: str) -> list[Any]:
    """Return the matches of a document; in the older layout, each gets the name of its round as `round`.

    Raises
    ------
    SourceError
        If it is not a document in one of the layouts.
    """
    document = _read(content, file)
    if not isinstance(document, dict):
        raise SourceError(f"{file} is a JSON {type(document).__name__}, not an object with `matches`")
    for key in ("matches", "rounds"):
        if key in getattr(document, "repeated", ()):
            raise SourceError(f"{file}: the key `{key}` stands twice")
    if "matches" not in document and "rounds" not in document:
        raise SourceError(
            f"{file} has neither `matches` nor `rounds`; it has {', '.join(list(document)[:10]) or 'no key'}"
        )
    entries = _list(document.get("matches", []), f"{file}: `matches`")
    for number, played in enumerate(_list(document.get("rounds", []), f"{file}: `rounds`"), start=1):
        where = f"{file}: `matches` of round {number}"
        matches = _list(played.get("matches") if isinstance(played, dict) else None, where)
        name = played.get("name", "")
        entries += [{"round": name, **match} if type(match) is dict else match for match in matches]
    return entries


def _list(value: object, what: str) -> list[Any]:
    if not isinstance(value, list):
        raise SourceError(f"{what} is not a list")
    return list(value)


def _read(content: bytes, file: str) -> object:
    start = content.lstrip()[:1]
    if start in (b"", b"<"):
        what = "empty" if not start else "a web page, not JSON: the address is wrong or the server sends an error page"
        raise SourceError(f"{file} is {what}")
    try:
        return json.loads(content, object_pairs_hook=_object, parse_int=_whole_number)
    except RecursionError:
        raise SourceError(f"{file} is not readable as JSON: it is nested too deeply") from None
    except ValueError as error:
        raise SourceError(f"{file} is not readable as JSON: {error}") from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) == len(pairs):
        return values
    repeated = tuple(dict.fromkeys(key for key, value in pairs if repr(value) != repr(values[key])))
    if not repeated:
        return values
    marked = RepeatedKeys(values)
    marked.repeated = repeated
    return marked


def _whole_number(text: str) -> float:
    """Read a whole number; one of thousands of digits becomes infinite instead of an error of the whole document."""
    return int(text) if len(text) < 18 else float(text)
