"""Creating API keys and checking them against their file."""

from __future__ import annotations

import hmac
import subprocess
import sys
from pathlib import Path

import pytest

from features.errors import InvalidInputError
from serving.api.api_keys import ApiKeys, create


def test_an_owner_may_have_two_keys_while_the_old_one_is_replaced(tmp_path: Path) -> None:
    (old, first), (new, second), (_, other) = create("viewer"), create("viewer"), create("bot")
    (tmp_path / "keys").write_text(f"{first}\n{second}\n{other}\n")
    api_keys = ApiKeys.read(tmp_path / "keys")
    assert (api_keys.authenticate(old), api_keys.authenticate(new)) == ("viewer", "viewer")


def test_every_hash_is_compared_in_constant_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All hashes are compared, as digests, whichever of them matches."""
    made = [create(f"owner-{number}") for number in range(5)]
    (tmp_path / "keys").write_text("\n".join(line for _, line in made))
    compared: list[tuple[bytes, bytes]] = []
    in_constant_time = hmac.compare_digest

    def compare(first: bytes, second: bytes) -> bool:
        compared.append((first, second))
        return in_constant_time(first, second)

    monkeypatch.setattr(hmac, "compare_digest", compare)
    api_keys = ApiKeys.read(tmp_path / "keys")
    for key, owner in ((made[0][0], "owner-0"), (made[4][0], "owner-4"), ("tl_unknown", None)):
        compared.clear()
        assert api_keys.authenticate(key) == owner
        assert len(compared) == 5
        assert all(len(first) == len(second) == 32 for first, second in compared)  # digests, never the key itself


def test_nothing_in_the_module_compares_digests_in_another_way() -> None:
    class Digest(bytes):
        def __eq__(self, other: object) -> bool:
            raise AssertionError("compared with ==")

        __hash__ = bytes.__hash__

    assert ApiKeys([("viewer", Digest(b"x" * 32))]).authenticate("tl_unknown") is None


def test_the_command_shows_a_key_once_and_prints_its_line(tmp_path: Path) -> None:
    """The key goes to standard error, its line for the file to standard output."""
    command = [sys.executable, "-m", "serving.api.api_keys", "viewer"]
    first, second = (subprocess.run(command, capture_output=True, text=True, check=True) for _ in range(2))
    (tmp_path / "keys").write_text(first.stdout + second.stdout)  # as `>> keys` would
    keys = [done.stderr.split()[-1] for done in (first, second)]
    assert keys[0] != keys[1]
    assert not any(key in first.stdout + second.stdout for key in keys)
    assert [ApiKeys.read(tmp_path / "keys").authenticate(key) for key in keys] == ["viewer", "viewer"]


@pytest.mark.parametrize("line", ["viewer", "viewer:zz", "viewer:abcd", f":{'0' * 64}"])
def test_a_line_that_is_not_a_name_and_a_hash_is_named(tmp_path: Path, line: str) -> None:
    (tmp_path / "keys").write_text(f"# keys\n{line}\n")
    with pytest.raises(InvalidInputError, match="line 2"):
        ApiKeys.read(tmp_path / "keys")
