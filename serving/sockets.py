"""How long a connection may be silent, the same for every client of brokers and result stores.

A network that drops packets resets nothing: without limits a client waits for minutes for a server that is gone.
"""

from __future__ import annotations

import socket
from ssl import CERT_NONE, CERT_REQUIRED
from typing import Any

from serving.addresses import Address

CONNECT_SECONDS = 3.0
"""Longest time that a connection may take to open."""
WORKER_HEARTBEAT_SECONDS = 5
"""Heartbeat between worker and RabbitMQ. After twice the time without a sign the connection counts as lost."""
API_HEARTBEAT_SECONDS = 3
"""The same for the API, whose library waits for four times as long."""
_KEEPALIVE = {"TCP_KEEPIDLE": 5, "TCP_KEEPINTVL": 2, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 10_000}
"""An idle connection whose other end does not exist any more ends after 11 s, one with unsent data after 10 s."""


def keepalive_options() -> dict[int, int]:
    """The options of TCP that this operating system knows, by number."""
    return {getattr(socket, name): value for name, value in _KEEPALIVE.items() if hasattr(socket, name)}


def redis_options(address: Address, *, answer_seconds: float) -> dict[str, Any]:
    """Arguments of redis-py's clients, both the blocking and the asynchronous one."""
    common: dict[str, Any] = {
        "db": address.database,
        "username": address.user,
        "password": address.password,
        "socket_timeout": answer_seconds,
        "socket_connect_timeout": min(answer_seconds, CONNECT_SECONDS),
    }
    if address.socket is not None:
        return common | {"unix_socket_path": address.socket}
    tcp = {"host": address.host, "port": address.port, "socket_keepalive": True}
    encryption = {"ssl": True, **_redis_certificates(address)} if address.is_encrypted else {}
    return common | tcp | {"socket_keepalive_options": keepalive_options()} | encryption


def kombu_encryption(address: Address) -> dict[str, Any] | None:
    """Celery's setting `broker_use_ssl`; None for a connection that is not encrypted."""
    if not address.is_encrypted:
        return None
    if not address.is_amqp:
        return _redis_certificates(address) | {"ssl_cert_reqs": _requirement(address)}
    name = {"server_hostname": address.host} if address.is_verified else {}
    return {"cert_reqs": _requirement(address), "ca_certs": address.ca_file, **name}


def kombu_options(address: Address, *, answer_seconds: float) -> dict[str, Any]:
    """Celery's setting `broker_transport_options`."""
    if address.is_amqp:
        limits = {"read_timeout": answer_seconds, "write_timeout": answer_seconds}
        return limits | {"confirm_publish": True, "socket_settings": keepalive_options()}
    tcp = {"socket_keepalive": True, "socket_keepalive_options": keepalive_options()}
    limits = {"socket_timeout": answer_seconds, "socket_connect_timeout": CONNECT_SECONDS}
    return limits if address.socket is not None else {**limits, **tcp}


def _redis_certificates(address: Address) -> dict[str, Any]:
    return {
        "ssl_cert_reqs": "required" if address.is_verified else "none",
        "ssl_check_hostname": address.is_verified,
        "ssl_ca_certs": address.ca_file,
    }


def _requirement(address: Address) -> int:
    return CERT_REQUIRED if address.is_verified else CERT_NONE
