"""Answers compared with the OpenAPI document of the service that gave them."""

from __future__ import annotations

import httpx
from jsonschema import Draft202012Validator


def documented(base_url: str, path: str, answer: httpx.Response) -> httpx.Response:
    """The answer; require that its status, headers, media type and content match the document. `path` is a template."""
    document = httpx.get(f"{base_url.rstrip('/')}/openapi.json").json()
    responses = document["paths"][path][answer.request.method.lower()]["responses"]
    assert str(answer.status_code) in responses, f"{answer.status_code} of {path} is not told: {answer.text[:300]}"
    documented_response = responses[str(answer.status_code)]
    assert {name.lower() for name in documented_response["headers"]} <= answer.headers.keys(), answer.headers
    schema = documented_response["content"][answer.headers["content-type"].split(";")[0]]["schema"]
    Draft202012Validator({**schema, "components": document["components"]}).validate(answer.json())
    return answer
