"""Addresses of brokers and result stores: what is read from each form, and the sentence about each that is refused."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kombu.connection import Connection

from features.errors import InvalidInputError
from serving.addresses import Address, parse_address
from serving.settings import ServingSettings
from serving.sockets import kombu_encryption, kombu_options, redis_options

NAME = "TOUCHLINE_BROKER_URL"
SECRETS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=20)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("redis://", {"host": "127.0.0.1", "port": 6379, "database": 0}),
        ("redis://store", {"host": "store", "port": 6379}),
        ("valkey://store:7000/5", {"port": 7000, "database": 5}),
        ("redis://store?db=5", {"database": 5}),
        ("redis://store/5?db=5", {"database": 5}),
        ("redis://[::1]:7000/5", {"host": "::1", "port": 7000}),
        ("redis://:p%40ss%2Fw%3Ard@store/0", {"user": None, "password": "p@ss/w:rd"}),
        ("redis://me:p@ss@store/0", {"user": "me", "password": "p@ss", "host": "store"}),
        ("rediss://store/5", {"is_encrypted": True, "is_verified": True, "database": 5}),
        ("rediss://store/5?ssl_cert_reqs=CERT_REQUIRED", {"is_encrypted": True, "is_verified": True}),
        ("valkeys://store?ssl_cert_reqs=none", {"is_encrypted": True, "is_verified": False}),
        ("unix:///run/my%20store.sock?db=3", {"socket": "/run/my store.sock", "database": 3}),
        ("unix://me:secret@/run/store.sock", {"socket": "/run/store.sock", "user": "me", "password": "secret"}),
        ("amqp://", {"is_amqp": True, "host": "127.0.0.1", "port": 5672, "virtual_host": "/"}),
        ("amqp://guest:guest@mq:5672//", {"virtual_host": "/"}),
        ("amqp://mq/%2F", {"virtual_host": "/"}),
        ("amqps://mq/football", {"port": 5671, "virtual_host": "football", "is_encrypted": True}),
        ("pyamqp://mq", {"is_amqp": True, "host": "mq"}),
    ],
)
def test_each_form_of_an_address_is_read(text: str, expected: dict[str, object]) -> None:
    """Every part is found where its form has it; what is left out has its default."""
    address = parse_address(NAME, text)
    assert {name: getattr(address, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "must begin with"),
        ("store:6379", "must begin with"),
        ("http://store", "must begin with"),
        ("redis://store:port", "the port must be a number"),
        ("redis://store:0", "the port must be a number"),
        ("redis://store:65536", "the port must be a number"),
        ("redis://:se/cret@store", "@ after a /"),
        ("redis://:se#cret@store", "a space or a #"),
        ("redis://store/five", "the database must be a number"),
        ("redis://store/-1", "the database must be a number"),
        ("redis://store/4?db=5", "contradict"),
        ("redis://store?db=five", "the database must be a number"),
        ("redis://store?db", "name=value"),
        ("redis://store?db=1&db=2", "given twice"),
        ("redis://store?timeout=5", "unknown parameter 'timeout'"),
        ("redis://store?ssl_cert_reqs=none", "only rediss:// and amqps://"),
        ("rediss://store?ssl_cert_reqs=maybe", "required or none"),
        ("rediss://store?ssl_ca_certs=/none/ca.pem", "/none/ca.pem does not exist"),
        ("unix://run/store.sock", "three slashes"),
        ("amqp://mq?db=5", "no parameter db"),
        ("redis://a b", "a space or a #"),
        ("redis://::1/0", "the port must be a number"),
    ],
)
def test_an_address_that_cannot_be_used_is_one_sentence(text: str, reason: str) -> None:
    """It names the setting and what to do, and has one line."""
    with pytest.raises(InvalidInputError) as refused:
        parse_address(NAME, text)
    assert str(refused.value).startswith(f"setting {NAME}: ")
    assert reason in str(refused.value)
    assert "cret" not in str(refused.value)
    assert "\n" not in str(refused.value)


@given(st.text(max_size=60), st.sampled_from(["", "redis://", "rediss://", "amqp://", "unix://", "valkey://"]))
def test_any_text_is_an_address_or_refused(text: str, scheme: str) -> None:
    """No text ends in another error; an accepted one has a port and a database that exist."""
    try:
        address = parse_address(NAME, scheme + text)
    except InvalidInputError:
        return
    assert address.socket or 0 < address.port < 65536
    assert address.database >= 0


@given(user=SECRETS, password=SECRETS, scheme=st.sampled_from(["redis", "rediss", "amqp", "amqps"]))
def test_each_client_receives_the_same_login(user: str, password: str, scheme: str) -> None:
    """What is percent-encoded reaches redis-py and kombu as it was before."""
    address = parse_address(NAME, f"{scheme}://{quote(user, '')}:{quote(password, '')}@store:7000/5")
    connection = Connection(address.url)
    assert (address.user, address.password) == (user, password)
    assert (connection.userid, connection.password) == (user, password)
    assert (connection.hostname, connection.port, connection.virtual_host) == ("store", 7000, "5")
    if not address.is_amqp:
        options = redis_options(address, answer_seconds=1)
        assert (options["username"], options["password"], options["db"]) == (user, password, 5)


@pytest.mark.parametrize("scheme", ["rediss", "amqps"])
def test_encryption_is_verified_unless_it_says_otherwise(scheme: str, tmp_path: Path) -> None:
    """Each client is told the authorities, and to refuse a certificate that is not valid for the host."""
    authorities = tmp_path / "ca.pem"
    authorities.touch()
    strict = parse_address(NAME, f"{scheme}://store?cafile={authorities}")
    lax = parse_address(NAME, f"{scheme}://store?ssl_cert_reqs=none")
    names = ("ssl_cert_reqs", "ssl_ca_certs") if scheme == "rediss" else ("cert_reqs", "ca_certs")
    kombu, unverified = kombu_encryption(strict), kombu_encryption(lax)
    assert kombu is not None
    assert unverified is not None
    assert [kombu[name] for name in names] == [2, str(authorities)]
    assert [unverified[name] for name in names] == [0, None]
    assert redis_options(strict, answer_seconds=1)["ssl_cert_reqs"] == "required"


def test_every_connection_has_limits() -> None:
    """No client waits without limit, and the operating system ends connections whose other end is gone."""
    for text in ("redis://store", "rediss://store", "amqp://mq", "amqps://mq"):
        options = kombu_options(parse_address(NAME, text), answer_seconds=5)
        assert 5 in (options.get("socket_timeout"), options.get("read_timeout"))
    options = redis_options(Address(is_amqp=False, port=6379), answer_seconds=5)
    assert options["socket_connect_timeout"] <= options["socket_timeout"] == 5
    assert options["socket_keepalive_options"]


def test_settings_check_both_addresses_when_they_are_built() -> None:
    """A process does not start with an address that it could not use later, and the store is no RabbitMQ."""
    with pytest.raises(InvalidInputError, match="TOUCHLINE_BROKER_URL: the port"):
        ServingSettings(broker_url="redis://store:word")
    with pytest.raises(InvalidInputError, match="TOUCHLINE_RESULT_BACKEND_URL: the port"):
        ServingSettings(result_backend_url="redis://store:word")
    with pytest.raises(InvalidInputError, match="must be a Valkey or a Redis"):
        ServingSettings(result_backend_url="amqp://mq")
    assert ServingSettings(broker_url="valkey://store/3").results.database == 3
    assert ServingSettings(broker_url="amqp://mq").results.port == 6379
