"""The HTTP client: asks politely, tries again, and forgets nothing."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from features.errors import SourceError
from features.io.sources.client import Client

NOW = datetime(2026, 3, 13, tzinfo=UTC)


@pytest.fixture
def client(tmp_path: Path) -> Client:
    return Client(tmp_path, timeout=5, retries=2, pause=0.0)


def test_an_unchanged_file_is_asked_for_with_its_etag_and_not_sent_again(site, client) -> None:
    site.files["/E0.csv"] = b"one"
    assert client.get(f"{site.url}/E0.csv", NOW).changed
    again = client.get(f"{site.url}/E0.csv", NOW + timedelta(days=1))
    assert [status for _, status in site.asked] == [200, 304]
    assert (again.content, again.changed, again.fetched_at) == (b"one", False, NOW)


def test_each_version_is_kept_and_can_be_had_as_it_was_known(site, client) -> None:
    url = f"{site.url}/E0.csv"
    for week, content in enumerate((b"one", b"two")):
        site.files["/E0.csv"] = content
        client.get(url, NOW + timedelta(weeks=week))
    assert client.known_at(url, NOW + timedelta(days=3)).content == b"one"
    assert client.known_at(url, NOW + timedelta(days=30)).content == b"two"
    assert client.known_at(url, NOW - timedelta(days=1)) is None


def test_a_busy_server_is_asked_again(site, client) -> None:
    site.files["/E0.csv"], site.failures = b"one", 2
    assert client.get(f"{site.url}/E0.csv", NOW).content == b"one"


def test_a_server_that_stays_busy_is_an_error_that_names_the_address(site, client) -> None:
    site.failures = 100
    with pytest.raises(SourceError, match=r"E0.csv cannot be fetched.*503"):
        client.get(f"{site.url}/E0.csv", NOW)


def test_without_the_network_the_last_known_version_serves_and_says_so(site, client) -> None:
    site.files["/E0.csv"] = b"one"
    client.get(f"{site.url}/E0.csv", NOW)
    site.failures = 100
    stale = client.get(f"{site.url}/E0.csv", NOW + timedelta(days=1))
    assert stale.content == b"one"
    assert "503" in stale.stale


def test_a_file_that_is_not_there_is_no_error(site, client) -> None:
    assert client.get(f"{site.url}/E9.csv", NOW) is None


def test_a_file_that_we_have_is_stale_when_the_server_loses_it(site, client) -> None:
    site.files["/E0.csv"] = b"one"
    client.get(f"{site.url}/E0.csv", NOW)
    del site.files["/E0.csv"]
    stale = client.get(f"{site.url}/E0.csv", NOW + timedelta(days=1))
    assert (stale.content, stale.stale) == (b"one", "the server answered 404")


def test_a_damaged_cache_says_which_folder_to_delete(site, client, tmp_path: Path) -> None:
    site.files["/E0.csv"] = b"one"
    client.get(f"{site.url}/E0.csv", NOW)
    (index,) = tmp_path.glob("*/versions.json")
    index.write_text("{")
    with pytest.raises(SourceError, match="delete that folder"):
        client.get(f"{site.url}/E0.csv", NOW)
