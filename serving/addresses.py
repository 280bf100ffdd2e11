"""Addresses of brokers and result stores: read once, for every client library that connects to them.

The libraries differ in what they accept, verify and silently ignore; none of them is given the text itself.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote

from features.errors import InvalidInputError

_KINDS = {
    "amqp": (True, False),
    "pyamqp": (True, False),
    "amqps": (True, True),
    "redis": (False, False),
    "valkey": (False, False),
    "rediss": (False, True),
    "valkeys": (False, True),
    "unix": (False, False),
}
"""For each scheme: whether it is RabbitMQ's, and whether it is encrypted."""
_VERIFICATION = {"required": True, "cert_required": True, "none": False, "cert_none": False}
_PARAMETERS = ("db", "ssl_cert_reqs", "ssl_ca_certs", "cafile")
_MAX_DATABASE = 2**31 - 1
_ENCODE = "write special characters of the user name and the password as %XX, such as %40 for @"


@dataclass(frozen=True, kw_only=True)
class Address:
    """Where a server is, and as whom to connect to it."""

    is_amqp: bool
    """True for RabbitMQ, False for Redis and Valkey."""
    host: str = "127.0.0.1"
    port: int = 0
    socket: str | None = None
    """Path of a Unix socket, in place of host and port."""
    user: str | None = None
    password: str | None = None
    database: int = 0
    """Number of the database of a Redis."""
    virtual_host: str = "/"
    """Virtual host of a RabbitMQ."""
    is_encrypted: bool = False
    is_verified: bool = True
    """Whether the certificate of an encrypted server must be valid for its name."""
    ca_file: str | None = None
    """Authorities to trust; by default those of the system or of SSL_CERT_FILE."""

    @property
    def url(self) -> str:
        """The address without its encryption, in the form that kombu reads."""
        login = f"{quote(self.user or '', '')}:{quote(self.password or '', '')}@" if self.user or self.password else ""
        if self.socket is not None:
            return f"redis+socket://{login}{quote(self.socket)}?virtual_host={self.database}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        path = quote(self.virtual_host, "") if self.is_amqp else self.database
        return f"{'amqp' if self.is_amqp else 'redis'}://{login}{host}:{self.port}/{path}"


def parse_address(setting: str, text: str) -> Address:
    """Read an address; raises InvalidInputError with one sentence that names the setting and never the password."""
    scheme, separator, rest = text.strip().partition("://")
    if not separator or scheme.lower() not in _KINDS:
        raise _error(setting, "it must begin with amqp://, amqps://, redis://, rediss:// or unix://")
    is_amqp, is_encrypted = _KINDS[scheme.lower()]
    if re.search(r"[\s\x00-\x1f#]", rest):
        raise _error(setting, f"it has a space or a #; {_ENCODE}")
    rest, _, query = rest.partition("?")
    authority, slash, path = rest.partition("/")
    login, at, location = authority.rpartition("@")
    if "@" in path and not at:
        raise _error(setting, f"it has an @ after a /; {_ENCODE}")
    user, _, password = login.partition(":")
    parameters = _parameters(setting, query)
    is_verified, ca_file = _verification(setting, is_encrypted, parameters)
    address = Address(
        is_amqp=is_amqp,
        user=unquote(user) or None,
        password=unquote(password) or None,
        is_encrypted=is_encrypted,
        is_verified=is_verified,
        ca_file=ca_file,
    )
    if scheme.lower() == "unix":
        if location or not path:
            raise _error(setting, "a Unix socket is unix:///path/of/the.sock?db=0, with three slashes")
        return replace(address, socket=unquote(slash + path), database=_database(setting, parameters.get("db", "0")))
    host, port = _location(setting, location, _default_port(is_amqp, is_encrypted))
    address = replace(address, host=host, port=port)
    if not is_amqp:
        return replace(
            address, database=_database(setting, _only(setting, path.strip("/"), parameters.get("db")) or "0")
        )
    if "db" in parameters:
        raise _error(setting, "RabbitMQ has no parameter db")
    return replace(address, virtual_host=unquote(path) or "/")


def _error(setting: str, reason: str) -> InvalidInputError:
    return InvalidInputError(f"setting {setting}: {reason}")


def _default_port(is_amqp: bool, is_encrypted: bool) -> int:
    return (5671 if is_encrypted else 5672) if is_amqp else 6379


def _parameters(setting: str, query: str) -> dict[str, str]:
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
    except ValueError:
        raise _error(setting, f"what follows ? must be name=value; {_ENCODE}") from None
    parameters = dict(pairs)
    if len(parameters) < len(pairs):
        raise _error(setting, "a parameter is given twice")
    for name in parameters:
        if name not in _PARAMETERS:
            raise _error(setting, f"unknown parameter {name[:40]!r}; known are {', '.join(_PARAMETERS)}")
    return parameters


def _verification(setting: str, is_encrypted: bool, parameters: dict[str, str]) -> tuple[bool, str | None]:
    ca_file = _only(setting, parameters.get("cafile"), parameters.get("ssl_ca_certs"))
    required = parameters.get("ssl_cert_reqs", "required").lower()
    if not is_encrypted and (ca_file or "ssl_cert_reqs" in parameters):
        raise _error(setting, "only rediss:// and amqps:// have certificates")
    if required not in _VERIFICATION:
        raise _error(setting, f"ssl_cert_reqs must be required or none, not {required[:40]!r}")
    if ca_file is not None and not Path(ca_file).is_file():
        raise _error(setting, f"the file of authorities {ca_file} does not exist")
    return _VERIFICATION[required], ca_file


def _location(setting: str, location: str, default_port: int) -> tuple[str, int]:
    match = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]@]*)(?::(.*))?", location)
    if match is None:
        raise _error(setting, f"the host and the port must be host:port or [IPv6 address]:port; {_ENCODE}")
    host, port = match[1].strip("[]"), match[2]
    if port and not (re.fullmatch("[0-9]{1,5}", port) and 0 < int(port) < 65536):
        raise _error(setting, f"the port must be a number from 1 to 65535; {_ENCODE}")
    return unquote(host) or "127.0.0.1", int(port) if port else default_port


def _database(setting: str, text: str) -> int:
    if not re.fullmatch("[0-9]{1,10}", text) or int(text) > _MAX_DATABASE:
        raise _error(setting, f"the database must be a number such as /0 or ?db=0; {_ENCODE}")
    return int(text)


def _only(setting: str, first: str | None, second: str | None) -> str | None:
    """The one that is given; both only if they are equal. None if neither is."""
    if first and second and first != second:
        raise _error(setting, "its path and its parameters contradict each other")
    return first or second or None
