"""Spellings of a club's name: how a name is kept, and which spellings mean the same name."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property, lru_cache

_CLEAN = re.compile(r"[!-_a-~]+(?: [!-_a-~]+)*")
"""Names that `normalise` returns unchanged: printable ASCII without a grave accent, single blanks inside."""

_APOSTROPHES = dict.fromkeys(map(ord, "‘’‚‛′´`ʹʻʼʽˈˊ＇ꞌ"), "'")
_DASHES = dict.fromkeys(map(ord, "‐‑‒–—―−﹘﹣－"), "-")
_BLANK_LETTERS = dict.fromkeys((0x115F, 0x1160, 0x2800, 0x3164, 0xFFA0), " ")  # fillers that print nothing
_LOOKS = _APOSTROPHES | _DASHES | _BLANK_LETTERS
_WIDTHS = ("<wide>", "<narrow>", "<isolated>", "<initial>", "<medial>", "<final>")
"""Compatibility forms that are the same letters in another width or place; other forms, such as º, are kept."""

LATIN = {
    "æ": "ae", "œ": "oe", "ø": "o", "ß": "ss", "đ": "d", "ð": "d", "þ": "th", "ł": "l", "ı": "i", "ħ": "h",
    "ŧ": "t", "ŋ": "n", "ə": "e", "ɓ": "b", "ɗ": "d", "ƙ": "k", "ĸ": "k", "ƒ": "f", "ǝ": "e", "ɛ": "e", "ɔ": "o",
    "ɖ": "d", "ŀ": "l", "ŉ": "n",
}  # fmt: skip
"""Lower-case Latin letters that Unicode does not decompose, in plain letters."""
_LATIN = str.maketrans(LATIN)
_MARKS = re.compile("[\u0300-\u036f]")
"""Accents of Latin, Greek and Cyrillic letters. In other scripts, marks are vowels: without them, words change."""


@lru_cache(4_000)
def normalise(name: str) -> str:
    """Return a name as it is kept: composed, with plain blanks, apostrophes and dashes, and nothing invisible."""
    if _CLEAN.fullmatch(name):
        return name
    text = unicodedata.normalize("NFC", "".join(_characters(name)))
    return " ".join(text.split())


def _characters(name: str) -> Iterator[str]:
    for character in name.translate(_LOOKS):
        if unicodedata.decomposition(character).startswith(_WIDTHS):
            yield unicodedata.normalize("NFKC", character)
        elif character.isspace():
            yield " "
        elif unicodedata.category(character) not in ("Cc", "Cf") and not 0xFE00 <= ord(character) <= 0xFE0F:
            yield character


@lru_cache(4_000)
def fold(name: str) -> str:
    """Return what spellings of a name have in common: no case, accents or punctuation, and `and` for `&`."""
    plain = unicodedata.normalize("NFKD", normalise(name).casefold())
    plain = _MARKS.sub("", plain).translate(_LATIN).replace("&", " and ")
    plain = re.sub(r"['.·]", "", unicodedata.normalize("NFC", plain))
    words = "".join(" " if unicodedata.category(character)[0] in "PS" else character for character in plain).split()
    return " ".join(words) or normalise(name)


class NameIndex:
    """Names by spelling. What is spelt exactly comes first; the other forms are built when they are first needed."""

    def __init__(self, names: Iterable[str], aliases: Mapping[str, str] | None = None) -> None:
        """`aliases` lead to names; those that lead to no name of the index are ignored, and a name hides an alias."""
        self.names = dict.fromkeys(names)
        spelling = {normalise(name).casefold(): name for name in self.names}
        meant = {
            alias: self._name_of(name, spelling) for alias, name in (aliases or {}).items() if alias not in self.names
        }
        self._exact = {alias: (name,) for alias, name in meant.items() if name is not None}
        self._exact |= {name: (name,) for name in self.names}

    def find(self, name: str) -> tuple[str, ...]:
        """Return the names that a spelling can mean: none, one, or several that differ only in case or accents."""
        if (exact := self._exact.get(name)) is not None:
            return exact
        normal = normalise(name)
        return self._normalised.get(normal) or self._cased.get(normal.casefold()) or self._folded.get(fold(name), ())

    def _name_of(self, name: str, spelling: Mapping[str, str]) -> str | None:
        return name if name in self.names else spelling.get(normalise(name).casefold())

    @cached_property
    def _normalised(self) -> Mapping[str, tuple[str, ...]]:
        return self._by(normalise)

    @cached_property
    def _cased(self) -> Mapping[str, tuple[str, ...]]:
        return self._by(lambda name: normalise(name).casefold())

    @cached_property
    def _folded(self) -> Mapping[str, tuple[str, ...]]:
        return self._by(fold)

    def _by(self, form: Callable[[str], str]) -> Mapping[str, tuple[str, ...]]:
        """Group the names by a form of their spellings; a form of a name hides the same form of an alias."""
        own: dict[str, dict[str, None]] = {}
        for name in self.names:
            own.setdefault(form(name), {})[name] = None
        other: dict[str, dict[str, None]] = {}
        for alias, (name, *_) in self._exact.items():
            other.setdefault(form(alias), {})[name] = None
        return {text: tuple(names) for text, names in (other | own).items()}
