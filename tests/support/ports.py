"""Ports on loopback for the servers that tests start."""

from __future__ import annotations

import secrets
import socket

_FIRST, _LAST = 10_000, 32_767
"""Below the range from which the kernel takes the ports of outgoing connections (Linux: from 32,768 on)."""

_used: set[int] = set()


def free_port() -> int:
    """Return a port that nothing listens on, and never the same one twice in a process.

    It is drawn at random, so that test processes running at the same time do not all take the next free port.
    """
    while True:
        port = _FIRST + secrets.randbelow(_LAST - _FIRST + 1)
        if port in _used:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _used.add(port)
        return port
