"""The HTTP client: conditional requests, retries, and an archive of every version."""

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from features.errors import SourceError
from features.io.settings import Settings
from features.io.sources.archive import FileArchive
from features.io.sources.client import Client
from features.io.store import Lake
from tests.support.archiving import fetch_and_keep

pytestmark = pytest.mark.medium

NOW = datetime(2026, 3, 13, tzinfo=UTC)


@pytest.fixture
def client(versions: FileArchive) -> Client:
    return Client(versions, timeout=5, retries=2, pause=0.0)


def _known_at(client: Client, url: str, moment: datetime) -> bytes | None:
    return next((version.content for version in client.archived(url, moment)), None)


def test_an_unchanged_file_is_asked_for_with_its_etag_and_not_sent_again(site, client) -> None:
    site.files["/E0.csv"] = b"one"
    assert fetch_and_keep(client, f"{site.url}/E0.csv", NOW).changed
    again = fetch_and_keep(client, f"{site.url}/E0.csv", NOW + timedelta(days=1))
    assert [status for _, status in site.asked] == [200, 304]
    assert (again.content, again.changed, again.fetched_at) == (b"one", False, NOW)


def test_each_version_is_kept_and_can_be_had_as_it_was_known(site, client) -> None:
    url = f"{site.url}/E0.csv"
    for week, content in enumerate((b"one", b"two")):
        site.files["/E0.csv"] = content
        fetch_and_keep(client, url, NOW + timedelta(weeks=week))
    assert _known_at(client, url, NOW + timedelta(days=3)) == b"one"
    assert _known_at(client, url, NOW + timedelta(days=30)) == b"two"
    assert _known_at(client, url, NOW - timedelta(days=1)) is None


def test_a_busy_server_is_asked_again(site, client) -> None:
    site.files["/E0.csv"], site.failures = b"one", 2
    assert fetch_and_keep(client, f"{site.url}/E0.csv", NOW).content == b"one"


def test_a_server_that_stays_busy_is_an_error_that_names_the_address(site, client) -> None:
    site.failures = 100
    with pytest.raises(SourceError, match=r"E0.csv cannot be fetched.*503"):
        fetch_and_keep(client, f"{site.url}/E0.csv", NOW)


def test_without_the_network_the_last_known_version_serves_and_says_so(site, client) -> None:
    site.files["/E0.csv"] = b"one"
    fetch_and_keep(client, f"{site.url}/E0.csv", NOW)
    site.failures = 100
    stale = fetch_and_keep(client, f"{site.url}/E0.csv", NOW + timedelta(days=1))
    assert stale.content == b"one"
    assert "503" in stale.stale


def test_a_file_that_is_not_there_is_no_error(site, client) -> None:
    assert fetch_and_keep(client, f"{site.url}/E9.csv", NOW) is None


def test_a_file_that_we_have_is_stale_when_the_server_loses_it(site, client) -> None:
    site.files["/E0.csv"] = b"one"
    fetch_and_keep(client, f"{site.url}/E0.csv", NOW)
    del site.files["/E0.csv"]
    stale = fetch_and_keep(client, f"{site.url}/E0.csv", NOW + timedelta(days=1))
    assert (stale.content, stale.stale) == (b"one", "the server answered 404")


def test_a_damaged_version_says_which_file_to_delete(site, client, tmp_path: Path) -> None:
    site.files["/E0.csv"] = b"one"
    fetch_and_keep(client, f"{site.url}/E0.csv", NOW)
    (version,) = tmp_path.glob("lake/sources/*/*.json")
    version.write_text("{")
    with pytest.raises(SourceError, match=r"delete that file") as error:
        fetch_and_keep(client, f"{site.url}/E0.csv", NOW)
    assert str(version) in str(error.value)


def test_two_machines_with_one_lake_share_what_each_has_fetched(site, tmp_path: Path) -> None:
    lake, url = str(tmp_path / "lake"), f"{site.url}/E0.csv"
    first_client, second_client = (
        Client(FileArchive(Lake(Settings(home=tmp_path / name, lake=lake).lake_root))) for name in "ab"
    )
    site.files["/E0.csv"] = b"one"
    assert fetch_and_keep(first_client, url, NOW).changed
    assert not fetch_and_keep(second_client, url, NOW + timedelta(days=1)).changed
    assert [status for _, status in site.asked] == [200, 304]
    site.files["/E0.csv"] = b"two"
    assert fetch_and_keep(second_client, url, NOW + timedelta(days=2)).changed
    assert _known_at(first_client, url, NOW + timedelta(days=1)) == b"one"
    assert _known_at(first_client, url, NOW + timedelta(days=2)) == b"two"


def test_a_site_that_knows_only_when_a_file_changed_is_asked_by_that(site, client) -> None:
    site.files["/E0.csv"], site.modified = b"one", "Fri, 13 Mar 2026 06:00:00 GMT"
    for day in range(2):
        fetch_and_keep(client, f"{site.url}/E0.csv", NOW + timedelta(days=day))
    assert [status for _, status in site.asked] == [200, 304]


def test_a_site_that_only_drips_is_given_up_after_a_while(site, versions) -> None:
    site.files["/E0.csv"], site.drip = b"x" * 100, 0.1
    begin = time.monotonic()
    with pytest.raises(SourceError, match="not complete after"):
        fetch_and_keep(Client(versions, timeout=5, longest=0.5), f"{site.url}/E0.csv", NOW)
    assert time.monotonic() - begin < 4


def test_a_file_that_is_too_large_is_given_up_before_it_is_all_there(site, versions) -> None:
    site.files["/E0.csv"], site.drip = b"x" * 5000, 0.01  # would take fifty seconds
    begin = time.monotonic()
    with pytest.raises(SourceError, match="more than 10 bytes"):
        fetch_and_keep(Client(versions, timeout=5, largest=10), f"{site.url}/E0.csv", NOW)
    assert time.monotonic() - begin < 4


def test_a_silent_server_and_one_that_refuses_are_errors_that_name_the_address(site, versions, free_port) -> None:
    site.files["/E0.csv"], site.drip = b"x", 5.0
    with pytest.raises(SourceError, match=r"E0.csv cannot be fetched.*timed out"):
        fetch_and_keep(Client(versions, timeout=0.2, retries=1, pause=0.0), f"{site.url}/E0.csv", NOW)
    with pytest.raises(SourceError, match=r"E0.csv cannot be fetched.*refused"):
        fetch_and_keep(Client(versions, retries=1, pause=0.0), f"http://127.0.0.1:{free_port()}/E0.csv", NOW)


def test_each_file_is_told_as_it_is_fetched(site, versions) -> None:
    progress: list[str] = []
    fetch_and_keep(Client(versions, on_progress=progress.append), f"{site.url}/E0.csv", NOW)
    assert progress == [f"fetching {site.url}/E0.csv"]


@pytest.mark.parametrize("etag", ['"caf\xe9"', '"' + "x" * 5000 + '"'])
def test_a_validator_that_cannot_be_sent_back_is_left_out(site: Any, client: Client, etag: str) -> None:
    """A server's ETag of letters that no header may hold breaks no later request."""
    site.answers["/E0.csv"] = (200, {"ETag": etag}, b"one")
    for day in range(2):
        fetched = fetch_and_keep(client, f"{site.url}/E0.csv", NOW + timedelta(days=day))
    assert fetched is not None
    assert (fetched.content, fetched.changed, fetched.fetched_at) == (b"one", False, NOW)


def test_what_is_not_kept_is_fetched_again_in_full(site: Any, client: Client) -> None:
    """An error page with status 200 leaves no trace in the archive, so the last file stays the newest version."""
    url = f"{site.url}/E0.csv"
    site.files["/E0.csv"] = b"one"
    fetch_and_keep(client, url, NOW)
    site.files["/E0.csv"] = b"<html>"
    page = client.fetch(url, NOW + timedelta(days=1))
    assert page is not None
    assert page.changed
    assert [version.content for version in client.archived(url)] == [b"one"]
