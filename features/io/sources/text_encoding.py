"""Text of a file in any of the usual encodings: UTF-8, UTF-16, UTF-32, Windows and ISO Latin."""

from __future__ import annotations

import codecs

from features.errors import SourceError

_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SAMPLE = 4000


def decode(file: str, data: bytes) -> str:
    """Decode a file, with LF as its only line end.

    Raises
    ------
    SourceError
        If it is no text.
    """
    encoding = next((name for mark, name in _MARKS if data.startswith(mark)), None) or _unmarked(data)
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        if encoding != "utf-8":
            raise SourceError(f"{file} begins like {encoding} text and is none: {error.reason}") from error
        text = _latin(data)
    # some files contain a byte order mark that was decoded as Latin-1 and encoded again
    text = text.removeprefix("ï»¿").removeprefix("\ufeff")
    # lines that were converted to CR LF twice end in CR CR LF
    text = text.replace("\r\r\n", "\n").replace("\r\n", "\n").replace("\r", "\n").rstrip("\x1a\0")
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise SourceError(f"{file} line {line} has a NUL character: the file is damaged, or no text")
    return text


def _unmarked(data: bytes) -> str:
    """Return UTF-16 if every second byte of the beginning is mostly zero, otherwise UTF-8."""
    sample = data[:_SAMPLE]
    zeros = [sample[start::2].count(0) * 2 / max(len(sample), 1) for start in (0, 1)]
    if len(sample) >= 4 and max(zeros) > 0.6 and min(zeros) < 0.1:
        return "utf-16-le" if zeros[1] > zeros[0] else "utf-16-be"
    return "utf-8"


def _latin(data: bytes) -> str:
    try:
        return data.decode("cp1252")
    except UnicodeDecodeError:  # five bytes have no meaning in cp1252
        return data.decode("latin-1")
