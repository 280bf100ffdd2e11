"""Text from data inside Streamlit's Markdown: shown as it is, whatever it contains.

Names, notes and errors may hold links, images, icons, formulas or HTML. Streamlit also replaces some words after it has
parsed the Markdown, addresses and `:material/icon:`, which a backslash does not stop: an invisible joiner does.
"""

from __future__ import annotations

import re

JOINER = "\u2060"
_SPECIAL = re.compile(r"[\\`*_\[\]<>|$~^]|&(?=#?\w+;)")
_AT_START = re.compile(r"^(\d+)([.)])(?=\s|$)|^([#+\-=>])")
_REPLACED_LATER = re.compile(r"(:)(?=[^\s:])|(\bwww)(?=\.)|(@)(?=\w)", re.IGNORECASE)


def as_text(text: object) -> str:
    """Return Markdown that shows a text in one line, as it is."""
    line = " ".join(str(text).split())
    escaped = _SPECIAL.sub(r"\\\g<0>", line)
    escaped = _AT_START.sub(lambda found: f"{found[1]}\\{found[2]}" if found[1] else f"\\{found[3]}", escaped)
    return _REPLACED_LATER.sub(lambda found: found[0] + JOINER, escaped)
