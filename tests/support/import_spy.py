"""Imports modules and prints the effects that each import had, as JSON: `python -m tests.support.import_spy`.

An effect counts where code of the repository causes it: by itself or through a library function that it calls. What a
library does while it is imported itself does not count.
"""

from __future__ import annotations

import importlib
import json
import logging
import logging.config
import os
import sys
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import kombu.serialization
import structlog

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGES = tuple(
    f"{REPOSITORY / name}{os.sep}" for name in ("features", "monitoring", "orchestration", "serving", "ui")
)
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT

effects: defaultdict[str, set[str]] = defaultdict(set)


def responsible_module() -> str | None:
    """Return the module of the repository whose top-level code is running now; None while a library is imported."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return None
        if frame.f_code.co_filename.startswith(PACKAGES):
            while frame.f_back is not None and not frame.f_back.f_code.co_filename.startswith("<frozen importlib"):
                frame = frame.f_back  # a function of another module may have been called
            return str(frame.f_globals["__name__"])
        frame = frame.f_back
    return None


def record(effect: str) -> None:
    """Attribute an effect to the module whose import causes it."""
    module = responsible_module()
    if module is not None:
        effects[module].add(effect)


class SpiedEnvironment(type(os.environ)):  # type: ignore[misc]  # the class is private in os
    """The environment; reading all of it or one of our variables is recorded.

    Libraries look up switches of their own wherever they are called (pydantic: PYDANTIC_DISABLE_PLUGINS).
    """

    def __getitem__(self, key: str) -> str:
        if key.startswith("TOUCHLINE_"):
            record("reads the environment")
        return str(super().__getitem__(key))

    def __iter__(self) -> Any:
        record("reads the environment")
        return super().__iter__()

    def __contains__(self, key: object) -> bool:
        if str(key).startswith("TOUCHLINE_"):
            record("reads the environment")
        return bool(super().__contains__(key))


def spied(function: Callable[..., Any], effect: str) -> Callable[..., Any]:
    """The function, with its callers recorded."""

    def call(*arguments: Any, **options: Any) -> Any:
        record(effect)
        return function(*arguments, **options)

    return call


def spied_handlers(function: Callable[..., Any]) -> Callable[..., Any]:
    """The method that adds a handler, with its callers recorded, except for a NullHandler, which configures nothing."""

    def add(logger: logging.Logger, handler: logging.Handler) -> None:
        if not isinstance(handler, logging.NullHandler):
            record("configures logging")
        function(logger, handler)

    return add


def audit(event: str, arguments: tuple[Any, ...]) -> None:
    """Record what the interpreter reports of processes, files, sockets and variables."""
    if event in ("subprocess.Popen", "os.posix_spawn", "os.fork"):
        record("starts a process")
    elif event in ("socket.connect", "socket.bind"):
        record("opens a connection")
    elif event in ("os.mkdir", "os.remove", "os.rename", "shutil.rmtree"):
        record("changes files")
    elif event in ("os.putenv", "os.unsetenv"):
        record("changes the environment")
    elif event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITING:
        record("changes files")


def main(modules: list[str]) -> None:
    """Import the modules in their order."""
    os.environ.__class__ = SpiedEnvironment  # same layout
    logging.basicConfig = spied(logging.basicConfig, "configures logging")
    logging.config.dictConfig = spied(logging.config.dictConfig, "configures logging")
    logging.Logger.addHandler = spied_handlers(logging.Logger.addHandler)  # type: ignore[method-assign]
    logging.Logger.setLevel = spied(logging.Logger.setLevel, "configures logging")  # type: ignore[method-assign]
    structlog.configure = spied(structlog.configure, "configures logging")
    kombu.serialization.register = spied(kombu.serialization.register, "registers a serializer")
    sys.dont_write_bytecode = True
    sys.addaudithook(audit)
    for module in modules:
        importlib.import_module(module)
    print(json.dumps({module: sorted(effects_of_module) for module, effects_of_module in sorted(effects.items())}))


if __name__ == "__main__":
    main(json.load(sys.stdin))
