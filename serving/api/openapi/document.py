"""Builds the OpenAPI document: FastAPI's own, with exact errors, headers, security and examples."""

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
        "description": "Id of the request in logs and task: that of the request header, or a new one.",
        "required": True,
        "schema": {"type": "string"},
    },
    "Retry-After": {
        "description": "Seconds to wait before a retry.",
        "required": True,
        "schema": {"type": "integer"},
    },
    "Location": {
        "description": "Path of the task's status.",
        "required": True,
        "schema": {"type": "string", "format": "uri-reference"},
    },
    "WWW-Authenticate": {"description": "The authentication scheme.", "required": True, "schema": {"type": "string"}},
}
STATUS_HEADERS = {"202": ("Location",), "401": ("WWW-Authenticate",), "503": ("Retry-After",)}
COMMON_STATUSES = (400, 408, 431, 500, 503)
"""Statuses that every endpoint may respond with."""


def build(app: FastAPI, keys_needed: bool) -> dict[str, Any]:
    """Build the document of an application; `keys_needed` says whether it requires API keys."""
    document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    components = document["components"]
    for name in (
        "HTTPValidationError",
        "ValidationError",
    ):  # FastAPI's error schemas; this API responds with problem documents
        components["schemas"].pop(name, None)
    _drop_field_titles(components["schemas"])
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
        if _is_inferred(responses.get("422", {})):
            del responses["422"]
        for status, response in problems(*COMMON_STATUSES).items():
            documented = responses.setdefault(str(status), {"description": response["description"], "content": {}})
            documented["content"] |= response["content"]
        for status, response in responses.items():
            _add_examples_and_headers(response, status)
    return document


def _drop_field_titles(schemas: dict[str, Any]) -> None:
    """Drop the titles that pydantic derives from field names.

    Generators of clients name the class of a nested schema by its title: the states of a task and of readiness, both
    of a field `status`, would be one class.
    """
    for schema in schemas.values():
        for field in schema.get("properties", {}).values():
            field.pop("title", None)


def _operations(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for methods in document["paths"].values():
        yield from methods.values()


def _is_inferred(response: dict[str, Any]) -> bool:
    """Return whether FastAPI added this response because the endpoint has parameters."""
    schema = response.get("content", {}).get("application/json", {}).get("schema", {})
    return str(schema.get("$ref", "")).endswith("/HTTPValidationError")


def _add_examples_and_headers(response: dict[str, Any], status: str) -> None:
    content = response["content"]
    if MEDIA_TYPE in content:
        content[MEDIA_TYPE]["example"] = problem_example(int(status))
    if "text/plain" in content:
        content["text/plain"]["example"] = METRICS_EXAMPLE
    names = ("X-Request-ID", *STATUS_HEADERS.get(status, ()))
    response["headers"] = {name: {"$ref": f"#/components/headers/{name}"} for name in names}
