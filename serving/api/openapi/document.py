"""The OpenAPI document: what FastAPI derives from the endpoints, made exact where it guesses or cannot know."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from serving.api.dependencies import problems
from serving.api.openapi.examples import EXAMPLES, METRICS_EXAMPLE, problem_example
from serving.api.problem_details import MEDIA_TYPE

_SCHEMES = {
    "ApiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "Bearer": {"type": "http", "scheme": "bearer"},
}
_HEADERS = {
    "X-Request-ID": {
        "description": "The id that the request had in the log and in the task: the caller's own, or a new one.",
        "required": True,
        "schema": {"type": "string"},
    },
    "Retry-After": {
        "description": "Seconds after which it is worth trying again.",
        "required": True,
        "schema": {"type": "integer"},
    },
    "WWW-Authenticate": {"description": "How to show a key.", "required": True, "schema": {"type": "string"}},
}
_OF_STATUS = {"401": ("WWW-Authenticate",), "503": ("Retry-After",)}
_ANYWHERE = (400, 408, 431, 500, 503)
"""Statuses that any request may meet, whatever it asks for."""


def describe(app: FastAPI, keys_needed: bool) -> dict[str, Any]:
    """The document of an application, which asks for API keys or does not."""
    document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    components = document["components"]
    for name in ("HTTPValidationError", "ValidationError"):  # FastAPI's own; here they are problems
        components["schemas"].pop(name, None)
    components["securitySchemes"] = _SCHEMES
    components["headers"] = _HEADERS
    for name, example in EXAMPLES.items():
        components["schemas"][name]["examples"] = [example]
    for operation in _operations(document):
        if "health" in operation["tags"]:
            operation["security"] = []
        else:
            operation["security"] = [{name: []} for name in _SCHEMES] + ([] if keys_needed else [{}])
        responses = operation["responses"]
        if _is_guess(responses.get("422", {})):
            del responses["422"]
        for status, response in problems(*_ANYWHERE).items():
            known = responses.setdefault(str(status), {"description": response["description"], "content": {}})
            known["content"] |= response["content"]
        for status, response in responses.items():
            _complete(response, status)
    return document


def _operations(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for methods in document["paths"].values():
        yield from methods.values()


def _is_guess(response: dict[str, Any]) -> bool:
    schema = response.get("content", {}).get("application/json", {}).get("schema", {})
    return str(schema.get("$ref", "")).endswith("/HTTPValidationError")


def _complete(response: dict[str, Any], status: str) -> None:
    content = response["content"]
    if MEDIA_TYPE in content:
        content[MEDIA_TYPE]["example"] = problem_example(int(status))
    if "text/plain" in content:
        content["text/plain"]["example"] = METRICS_EXAMPLE
    names = ("X-Request-ID", *_OF_STATUS.get(status, ()))
    response["headers"] = {name: {"$ref": f"#/components/headers/{name}"} for name in names}
