"""Slugs: club names in lower-case ASCII, for ids.

The tables of letters are part of the package, because the id of a published match must not change with the version of a
library that transliterates.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Mapping

from features.names import LATIN, normalise


def _pairs(letters: str) -> dict[str, str]:
    return {letter: plain for letter, _, plain in (pair.partition("=") for pair in letters.split())}


_CYRILLIC = _pairs(
    "а=a б=b в=v г=g д=d е=e ё=e ж=zh з=z и=i й=y к=k л=l м=m н=n о=o п=p р=r с=s т=t у=u ф=f х=kh ц=ts ч=ch ш=sh "
    "щ=shch ъ= ы=y ь= э=e ю=yu я=ya і=i ї=yi є=ye ґ=g ђ=dj ј=j љ=lj њ=nj ћ=c џ=dz ѓ=gj ќ=kj ѕ=dz ў=w "
    "ә=a ғ=gh қ=q ң=ng ө=o ұ=u ү=u һ=h"
)
_GREEK = _pairs(
    "α=a β=v γ=g δ=d ε=e ζ=z η=i θ=th ι=i κ=k λ=l μ=m ν=n ξ=x ο=o π=p ρ=r σ=s ς=s τ=t υ=y φ=f χ=ch ψ=ps ω=o"
)
_ARABIC = _pairs(
    "ا=a ب=b ت=t ث=th ج=j ح=h خ=kh د=d ذ=dh ر=r ز=z س=s ش=sh ص=s ض=d ط=t ظ=z ع=a غ=gh ف=f ق=q ك=k ل=l م=m ن=n ه=h "
    "و=w ي=y ى=a ة=a ء= پ=p چ=ch ژ=zh گ=g ک=k ی=y"
)
_HEBREW = _pairs(
    "א=a ב=b ג=g ד=d ה=h ו=v ז=z ח=ch ט=t י=y כ=k ך=k ל=l מ=m ם=m נ=n ן=n ס=s ע=a פ=p ף=p צ=ts ץ=ts ק=k ר=r ש=sh ת=t"
)
_GEORGIAN = _pairs(
    "ა=a ბ=b გ=g დ=d ე=e ვ=v ზ=z თ=t ი=i კ=k ლ=l მ=m ნ=n ო=o პ=p ჟ=zh რ=r ს=s ტ=t უ=u ფ=p ქ=k ღ=gh ყ=q შ=sh ჩ=ch ც=ts "
    "ძ=dz წ=ts ჭ=ch ხ=kh ჯ=j ჰ=h"
)
_ARMENIAN = _pairs(
    "ա=a բ=b գ=g դ=d ե=e զ=z է=e ը=e թ=t ժ=zh ի=i լ=l խ=kh ծ=ts կ=k հ=h ձ=dz ղ=gh ճ=ch մ=m յ=y ն=n շ=sh ո=o չ=ch պ=p "
    "ջ=j ռ=r ս=s վ=v տ=t ր=r ց=ts ւ=w փ=p ք=k օ=o ֆ=f և=ev"
)
_SILENT = _pairs("ー=")
_PLAIN = _SILENT | LATIN | _CYRILLIC | _GREEK | _ARABIC | _HEBREW | _GEORGIAN | _ARMENIAN
_SPELT_OUT = {"SYLLABLE", "LETTER", "CHARACTER"}
"""Words of Unicode's names of letters whose last word is their sound, as in KATAKANA LETTER KA."""
_VOWELS = {"VOWEL", "SARA"}
"""Words of Unicode's names of vowels that are written as marks of a consonant."""
DIGEST_LENGTH = 6


def slug(name: str) -> str:
    """Convert a name to lower-case ASCII for ids: "Brighton & Hove Albion" becomes "brighton-and-hove-albion".

    Letters of other scripts become the Latin ones that sound like them; ideographs become their code points. Different
    names can have one slug: `club_slugs` tells the clubs of a competition apart.
    """
    text = normalise(name).lower().replace("&", " and ").replace("'", "")
    ascii_only = text if text.isascii() else "".join(map(_plain, text))
    return re.sub(r"[^a-z0-9]+", "-", ascii_only).strip("-") or f"x{_digest(name)}"


def club_slugs(names: Iterable[str]) -> Mapping[str, str]:
    """Return the slugs of the clubs of one competition, each different from all others.

    Of several names with the same slug, the first keeps it and the others get a digest. With `names` in the order of
    the matches, a club that joins later changes no slug.
    """
    slugs: dict[str, str] = {}
    taken: set[str] = set()
    for name in dict.fromkeys(names):
        plain = slug(name)
        forms = (plain, *(f"{plain}-{_digest(name, length)}" for length in range(DIGEST_LENGTH, 64)))
        slugs[name] = next(form for form in forms if form not in taken)
        taken.add(slugs[name])
    return slugs


def slugs_of(name: str) -> tuple[str, ...]:
    """Return the slugs that ids of a club can have: today's, with a digest, or that of earlier versions."""
    plain = slug(name)
    return plain, f"{plain}-{_digest(name)}", _earlier_slug(name)


def _earlier_slug(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name.replace("&", " and ").replace("ß", "ss").replace("ø", "o"))
    ascii_only = plain.encode("ascii", "ignore").decode().lower().replace("'", "")
    return re.sub(r"[^a-z0-9]+", "-", ascii_only).strip("-")


def _digest(name: str, length: int = DIGEST_LENGTH) -> str:
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:length]


def _plain(letter: str) -> str:
    """Return the ASCII letters of one character; those of an ideograph or a picture are its code point."""
    if letter.isascii():
        return letter
    if (known := _PLAIN.get(letter)) is not None:
        return known
    if (digit := unicodedata.digit(letter, None)) is not None:
        return str(digit)
    parts = unicodedata.normalize("NFKD", letter).lower()
    if parts[0] != letter and (parts[0].isascii() or parts[0] in _PLAIN):
        return "".join(map(_plain, parts))
    return _sound(letter)


def _sound(letter: str) -> str:
    """Return what Unicode's name of a letter says of its sound; without a sound, the code point."""
    words, category = unicodedata.name(letter, "").split(), unicodedata.category(letter)
    if category == "Lo" and "CHARACTER" in words and not _VOWELS & set(words):  # THAI CHARACTER BO BAIMAI
        return words[2][:1].lower()
    if (category == "Lo" and _SPELT_OUT & set(words)) or _VOWELS & set(words):
        return re.sub("[^a-z]", "", words[-1].lower())
    return f"-{ord(letter):x}-" if category[0] in "LN" or category in ("So", "Co", "Cn") else ""
