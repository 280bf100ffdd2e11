"""The OpenAPI document describes every response exactly, and a typed client can be generated from it."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator

from serving.api.api_keys import create
from serving.api.app import create_app
from serving.settings import ServingSettings

PAIR = {"home_team": "Arsenal", "away_team": "Chelsea"}
PROBLEM = "application/problem+json"


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """The OpenAPI document of an API without keys."""
    return create_app(ServingSettings()).openapi()


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def answers(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for name, operation in operations(document):
        for status, response in operation["responses"].items():
            yield name, status, response


def test_every_error_is_a_problem_document_with_an_example(document: dict[str, Any]) -> None:
    """No error has another media type."""
    for name, status, response in answers(document):
        if status.startswith("2"):
            continue
        media = set(response["content"])
        # A failed readiness check is plain JSON; the request for it may also be rejected with a problem document.
        assert media == (
            {PROBLEM, "application/json"} if name == "GET /healthcheck/ready" and status == "503" else {PROBLEM}
        )
        content = response["content"][PROBLEM]
        assert content["schema"] == {"$ref": "#/components/schemas/Problem"}
        assert content["example"]["status"] == int(status), (name, status)


def test_every_good_answer_has_an_example_unless_it_is_a_page_or_a_binary_file(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    for name, status, response in answers(document):
        if status.startswith("2"):
            ((media, content),) = response["content"].items()
            named = content.get("schema", {}).get("$ref", "").rsplit("/", 1)[-1]
            is_opaque = media == "text/html" or content["schema"].get("format") == "binary"
            assert is_opaque or "example" in content or schemas[named]["examples"], (name, media)


def test_every_body_that_is_asked_for_has_an_example(document: dict[str, Any]) -> None:
    bodies = [operation["requestBody"] for _, operation in operations(document) if "requestBody" in operation]
    assert len(bodies) == 3
    for body in bodies:
        named = body["content"]["application/json"]["schema"]["$ref"].rsplit("/", 1)[-1]
        assert document["components"]["schemas"][named]["examples"]


def test_examples_are_what_their_schemas_say(document: dict[str, Any]) -> None:
    checked = 0
    for name, schema in document["components"]["schemas"].items():
        for example in schema.get("examples", ()):
            _validate(document, f"#/components/schemas/{name}", example)
            checked += 1
    for _, _, response in answers(document):
        if PROBLEM in response["content"]:
            _validate(document, "#/components/schemas/Problem", response["content"][PROBLEM]["example"])
    assert checked > 20


def test_every_schema_has_a_title_of_its_own(document: dict[str, Any]) -> None:
    titles = [schema["title"] for schema in document["components"]["schemas"].values()]
    assert len(titles) == len(set(titles)) == len(document["components"]["schemas"])


def test_no_two_classes_of_a_generated_client_share_a_name(document: dict[str, Any]) -> None:
    """Generators name the class of a nested enum or object after its title, or else after its place.

    openapi-python-client leaves out endpoints whose response has a class with the name of another.
    """
    names = list(document["components"]["schemas"])
    for owner, schema in document["components"]["schemas"].items():
        assert schema["title"] == owner
        for field, nested in schema.get("properties", {}).items():
            names += [part.get("title", f"{owner}.{field}") for part in _classes(nested)]
    assert len(names) == len(set(names)), [name for name in names if names.count(name) > 1]


def _classes(schema: Any) -> Iterator[dict[str, Any]]:
    """Find the nested schemas that become classes."""
    if isinstance(schema, dict):
        if "properties" in schema or "enum" in schema:
            yield schema
        for key, value in schema.items():
            if key not in ("example", "examples", "default"):
                yield from _classes(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _classes(value)


def test_every_response_has_a_schema_of_its_own(document: dict[str, Any]) -> None:
    """A response without one, or with an empty one, is None in a generated client."""
    operation_ids = [operation["operationId"] for _, operation in operations(document)]
    assert len(operation_ids) == len(set(operation_ids))
    checked = 0
    for name, status, response in answers(document):
        for media, content in response["content"].items():
            assert content.get("schema"), (name, status, media)
            if media in ("application/json", PROBLEM):
                reference = content["schema"]["$ref"].removeprefix("#/components/schemas/")
                assert document["components"]["schemas"][reference]["type"] == "object", (name, status)
                checked += 1
    assert checked > 100


def test_counts_are_integers(document: dict[str, Any]) -> None:
    counts = {"n", "matches", "played", "points", "workers", "messages", "consumers", "windows", "minimum", "index"}
    found = set()
    for owner, schema in document["components"]["schemas"].items():
        for field, content in schema.get("properties", {}).items():
            if field in counts and owner != "BatchRequest":
                assert content["type"] == "integer", (owner, field)
                found.add(field)
    assert found == counts


def test_statuses_that_any_request_may_meet_are_told_everywhere(document: dict[str, Any]) -> None:
    for name, operation in operations(document):
        assert {"400", "408", "431", "500", "503"} <= operation["responses"].keys(), name
        keyed = "health" not in operation["tags"]
        assert ("401" in operation["responses"]) == keyed, name
        assert ("422" in operation["responses"]) == keyed, name  # only probes may add unknown parameters
    assert "HTTPValidationError" not in document["components"]["schemas"]


def test_specific_statuses_are_documented_only_where_they_occur(document: dict[str, Any]) -> None:
    """Body limits are documented for endpoints with a body, timeouts for those where clients wait."""
    by_name = dict(operations(document))
    with_body = {name for name, operation in by_name.items() if "requestBody" in operation}
    assert {name for name, operation in by_name.items() if "413" in operation["responses"]} == with_body
    assert {name for name, operation in by_name.items() if "415" in operation["responses"]} == with_body
    assert {name for name, operation in by_name.items() if "403" in operation["responses"]} == with_body
    waiting = {"POST /predict", "POST /predict/batch"}
    assert {name for name, operation in by_name.items() if "504" in operation["responses"]} == waiting
    named = {name for name in by_name if "{" in name} | with_body
    assert {name for name, operation in by_name.items() if "404" in operation["responses"]} >= named
    assert {status for operation in by_name.values() for status in operation["responses"]} == {
        "200", "202", "400", "401", "403", "404", "408", "413", "415", "422", "431", "500", "503", "504",
    }  # fmt: skip


def test_headers_of_answers_are_told(document: dict[str, Any]) -> None:
    for name, status, response in answers(document):
        extra = {"202": {"Location"}, "401": {"WWW-Authenticate"}, "503": {"Retry-After"}}
        expected = {"X-Request-ID"} | extra.get(status, set())
        assert response["headers"].keys() == expected, (name, status)


def test_keys_are_told_as_needed_where_they_are(document: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "keys").write_text(create("client")[1])
    keyed = create_app(ServingSettings(api_keys_file=tmp_path / "keys")).openapi()
    assert keyed["components"]["securitySchemes"].keys() == {"ApiKey", "Bearer"}
    anonymous: dict[str, list[str]] = {}
    for description, others in ((keyed, ()), (document, (anonymous,))):
        for name, operation in operations(description):
            needed = [] if "health" in operation["tags"] else [{"ApiKey": []}, {"Bearer": []}, *others]
            assert operation["security"] == needed, name


def test_reports_are_told_field_by_field(document: dict[str, Any]) -> None:
    for path, model in (("/monitoring/drift/{week}", "DriftSummary"), ("/monitoring/performance", "Performance")):
        content = document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]
        assert content["schema"] == {"$ref": f"#/components/schemas/{model}"}


def test_a_generated_client_parses_every_response(api: httpx.Client, tmp_path: Path) -> None:
    """The client is generated from the OpenAPI document and passes mypy --strict."""
    (tmp_path / "openapi.json").write_bytes(api.get("/openapi.json").content)
    made = tmp_path / "touchline_client.py"
    subprocess.run(
        [
            sys.executable, "-m", "datamodel_code_generator", "--input", str(tmp_path / "openapi.json"),
            "--input-file-type", "openapi", "--output", str(made), "--output-model-type", "pydantic_v2.BaseModel",
            "--target-python-version", "3.11", "--use-annotated", "--enum-field-as-literal", "all",
        ],
        check=True,
        cwd=tmp_path,
    )  # fmt: skip
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--cache-dir", str(tmp_path / "cache"), str(made)],
        capture_output=True, text=True, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert checked.returncode == 0, checked.stdout
    specification = importlib.util.spec_from_file_location("touchline_client", made)
    assert specification is not None and specification.loader is not None
    client = importlib.util.module_from_spec(specification)
    sys.modules["touchline_client"] = client
    specification.loader.exec_module(client)
    forecast = client.Forecast.model_validate_json(api.post("/predict", json=PAIR).content)
    assert (forecast.home_team, forecast.model.version) == ("Arsenal", 1)
    wrong = client.Problem.model_validate_json(api.post("/predict", json={**PAIR, "home_team": "Arsnal"}).content)
    assert "Arsenal" in wrong.errors[0].suggestions
    for path, model in (
        ("/matches", "MatchPage"),
        ("/matches/eng-premier-league-2025-26-arsenal-chelsea", "Match"),
        ("/predict/eng-premier-league-2025-26-arsenal-chelsea", "PublishedForecast"),
        ("/teams", "Teams"),
        ("/competitions", "Competitions"),
        ("/predict/model/info", "ModelInfo"),
        ("/monitoring/celery/queues", "Queues"),
        ("/monitoring/celery/workers", "Workers"),
        ("/healthcheck/ready", "Readiness"),
    ):
        getattr(client, model).model_validate_json(api.get(path).content)


def _validate(document: dict[str, Any], reference: str, example: Any) -> None:
    Draft202012Validator({"$ref": reference, "components": document["components"]}).validate(example)
