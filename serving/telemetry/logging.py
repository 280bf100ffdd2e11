"""Logs as JSON lines."""

from __future__ import annotations

import contextlib
import logging
import sys
from typing import TextIO, cast

import structlog

from features.io.setting_names import unknown_variables


class TolerantStream:
    """A text stream that drops what cannot be written, for example on a full disk.

    Otherwise a log line would fail the request that it reports, or end the loop that refreshes the catalogue.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write if it is possible; returns the number of characters either way."""
        with contextlib.suppress(OSError, ValueError):  # ValueError: the stream is closed
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush if it is possible."""
        with contextlib.suppress(OSError, ValueError):
            self._stream.flush()


def configure_logging(level: str) -> None:
    """Write one JSON object per line to standard error, for our own and the libraries' events.

    Warns about environment variables that are not settings.
    """
    stream = cast(TextIO, TolerantStream(sys.stderr))
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.format_exc_info, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(stream),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                structlog.processors.JSONRenderer(),
            ],
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    # At INFO the libraries log every message, which costs more than it is worth.
    root.setLevel(max(logging.WARNING, logging.getLevelNamesMapping()[level.upper()]))
    for reason in unknown_variables():
        structlog.get_logger(__name__).warning("setting.ignored", reason=reason)
