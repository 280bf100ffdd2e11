"""API keys: random, shown once, stored as hashes, compared in constant time.

`python -m serving.api.api_keys NAME` creates a key.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import sys
from collections.abc import Sequence
from pathlib import Path

from features.errors import InvalidInputError


class ApiKeys:
    """Hashed keys and their owners, from a file of `name:sha256` lines.

    Keys have 256 random bits, so a fast hash is safe. An owner may have several keys, so that a new one works before
    the old one is removed.
    """

    def __init__(self, hashes: Sequence[tuple[str, bytes]]) -> None:
        self._hashes = hashes

    @classmethod
    def read(cls, file: Path) -> ApiKeys:
        """Read the file; raises InvalidInputError with the number of an invalid line."""
        hashes = []
        try:
            lines = file.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidInputError(f"cannot read the file of API keys {file}: {error}") from error
        for number, line in enumerate(lines, 1):
            if not line.strip() or line.startswith("#"):
                continue
            name, _, digest = line.strip().partition(":")
            try:
                hashed = bytes.fromhex(digest)
            except ValueError as error:
                raise InvalidInputError(f"{file}, line {number}: expected name:sha256") from error
            if len(hashed) != 32 or not name:
                raise InvalidInputError(f"{file}, line {number}: expected name:sha256")
            hashes.append((name, hashed))
        return cls(hashes)

    def authenticate(self, key: str) -> str | None:
        """Return the owner of a key, or None. Compares every hash, so that the response time reveals nothing."""
        key_digest = _digest(key)
        owner = None
        for name, digest in self._hashes:
            if hmac.compare_digest(digest, key_digest):
                owner = name
        return owner


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()


def create(name: str) -> tuple[str, str]:
    """Create a key; returns it with its line for the file."""
    key = f"tl_{secrets.token_urlsafe(32)}"
    return key, f"{name}:{_digest(key).hex()}"


if __name__ == "__main__":
    new, line = create(sys.argv[1] if len(sys.argv) > 1 else "application")
    sys.stdout.write(f"{line}\n")
    sys.stderr.write(f"The key, shown only now: {new}\n")
