"""API keys: random, shown once, stored as hashes, compared in constant time.

`python -m serving.api.api_keys NAME` creates one.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import sys
from collections.abc import Sequence
from pathlib import Path

from features.errors import InvalidInputError


class Keys:
    """Hashes with their owners, from a file of `name:sha256` lines. 256 random bits need no slow hash.

    An owner may have several keys, so that a new one is known before the old one is taken away.
    """

    def __init__(self, hashes: Sequence[tuple[str, bytes]]) -> None:
        self._hashes = hashes

    @classmethod
    def read(cls, file: Path) -> Keys:
        """Raises InvalidInputError naming the line that is wrong."""
        hashes = []
        try:
            lines = file.read_text().splitlines()
        except OSError as error:
            raise InvalidInputError(f"the file of API keys cannot be read: {error}") from error
        for number, line in enumerate(lines, 1):
            if not line.strip() or line.startswith("#"):
                continue
            name, _, digest = line.strip().partition(":")
            try:
                hashed = bytes.fromhex(digest)
            except ValueError as error:
                raise InvalidInputError(f"{file}, line {number}: not of the form name:sha256") from error
            if len(hashed) != 32 or not name:
                raise InvalidInputError(f"{file}, line {number}: not of the form name:sha256")
            hashes.append((name, hashed))
        return cls(hashes)

    def owner(self, key: str) -> str | None:
        """Whose key it is; looks at every hash, so that time does not tell how far it got."""
        given = _digest(key)
        found = None
        for name, digest in self._hashes:
            if hmac.compare_digest(digest, given):
                found = name
        return found


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()


def create(name: str) -> tuple[str, str]:
    """A new key, and the line that goes into the file."""
    key = f"tl_{secrets.token_urlsafe(32)}"
    return key, f"{name}:{_digest(key).hex()}"


if __name__ == "__main__":
    new, line = create(sys.argv[1] if len(sys.argv) > 1 else "application")
    sys.stdout.write(f"{line}\n")
    sys.stderr.write(f"The key itself, shown this once: {new}\n")
