"""Every endpoint of the API, as its callers see it, on the embedded Valkey and on RabbitMQ with Redis."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from functools import partial
from uuid import uuid4

import httpx
import pytest

from serving.api.openapi.examples import EXAMPLES
from serving.api.schemas.forecasts import BatchResponse, Forecast, PublishedForecast
from serving.api.schemas.matches import MatchPage
from tests.support.openapi_assertions import documented
from tests.support.prometheus_samples import samples
from tests.support.service_harness import Service, World, wait_until

PAIR = {"home_team": "Arsenal", "away_team": "Chelsea"}
SETTLED = "eng-premier-league-2025-26-arsenal-chelsea"
_OFFSET = re.compile(r"T?\d\d:\d\d(:\d\d)?(\.\d+)?[+-]\d\d:?\d\d")


@pytest.fixture(scope="module")
def service(
    master: World, brokers: Callable[[int], tuple[str, str]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    """API and worker on each pair of brokers."""
    running = Service(master, *brokers(10), tmp_path_factory.mktemp("endpoints"))
    try:
        running.start_api()
        running.start_worker()
        running.wait_ready()
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="module")
def api(service: Service) -> Iterator[httpx.Client]:
    """A client of the service."""
    with httpx.Client(base_url=service.url, timeout=40) as client:
        yield client


def test_an_asynchronous_task_ends_in_its_forecast(api: httpx.Client) -> None:
    accepted = api.post("/predict/async/", json=PAIR)
    assert accepted.status_code == 202
    assert accepted.json()["status"] == "queued"
    task_id = accepted.json()["task_id"]
    assert accepted.headers["location"] == f"/monitoring/task_status/{task_id}"
    assert api.get(accepted.headers["location"]).json()["task_id"] == task_id
    status = wait_until(lambda: _ended(api, task_id))
    assert status["status"] == "success"
    assert sum(status["result"]["probabilities"].values()) == pytest.approx(1)


def test_a_task_that_fails_has_the_reason_as_its_error(api: httpx.Client, service: Service) -> None:
    accepted = api.post("/predict/async/", json={**PAIR, "kick_off": "2024-01-01T15:00:00Z"})
    assert accepted.status_code == 202
    status = wait_until(lambda: _ended(api, accepted.json()["task_id"]))
    assert (status["status"], status["result"]) == ("failure", None)
    assert (status["error"]["title"], status["error"]["status"]) == ("Kick-off too early", 422)
    answer = api.get(f"/monitoring/task_status/{accepted.json()['task_id']}")
    documented(service.url, "/monitoring/task_status/{task_id}", answer)


def test_the_status_of_an_id_that_was_never_accepted_is_404(api: httpx.Client) -> None:
    answer = api.get(f"/monitoring/task_status/{uuid4()}")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


def test_an_idempotency_key_identifies_one_task(api: httpx.Client) -> None:
    """The same key gives the same task; with another body it is an error."""
    key = {"Idempotency-Key": str(uuid4())}
    first, second = (api.post("/predict/async/", json=PAIR, headers=key).json() for _ in range(2))
    assert first == second
    other = api.post("/predict/async/", json={"home_team": "Everton", "away_team": "Chelsea"}, headers=key)
    assert other.status_code == 422
    assert other.json()["errors"][0]["field"] == "Idempotency-Key"


def test_a_batch_of_a_thousand_has_a_response_per_item(api: httpx.Client) -> None:
    """Items that cannot be forecast have an error instead."""
    matches = [PAIR] * 998 + [
        {"home_team": "Arsenal", "away_team": "Atlantis"},
        {**PAIR, "kick_off": "2020-01-01T15:00Z"},
    ]
    answer = api.post("/predict/batch", json={"matches": matches})
    assert answer.status_code == 200
    items = answer.json()["items"]
    assert [item["index"] for item in items] == list(range(1000))
    assert all(item["forecast"] and item["error"] is None for item in items[:998])
    assert items[998]["error"]["errors"][0]["field"] == "away_team"
    assert items[999]["error"]["status"] == 422  # the model has seen matches after that kick-off
    assert api.post("/predict/batch", json={"matches": [PAIR] * 1001}).status_code == 422


_ALIAS = {"home_team": "Man City", "away_team": "Spurs"}


@pytest.mark.parametrize(
    "body",
    [
        PAIR,
        _ALIAS,
        {**PAIR, "competition": "eng-premier-league"},
        {**PAIR, "competition": None},
        {**PAIR, "competition": "esp-la-liga"},
        {**PAIR, "kick_off": "2031-03-14T15:00:00Z"},
        {**PAIR, "venue": "moon"},
        {"home_team": "Arsenal", "venue": "moon"},
        {"home_team": "Arsenal", "away_team": ["Chelsea"]},
        {"home_team": " Arsenal ", "away_team": "Chelsea"},
        {"matches": [PAIR, {**PAIR, "competition": "eng-premier-league"}, _ALIAS]},
        {"matches": [PAIR, {**_ALIAS, "away_team": "Atlantis"}, PAIR]},
        {"matches": [PAIR, 7]},
        {"matches": [PAIR, ["home_team", "away_team"]]},
        {"matches": ["home_team"]},
        {"matches": []},
        {"matches": [PAIR] * 1001},
        {"matches": {"home_team": "Arsenal", "away_team": "Chelsea"}},
        {"matches": [PAIR], "more": 1},
        [PAIR],
        None,
        b'{"home_team": "Arsenal", "home_team": "Everton", "away_team": "Chelsea"}',
        b'{"home_team": "Arsenal", "away_team": "Ch\\u0065lsea"}',
        b'{"home_team": "Arsenal", "away_team": "\\ud800"}',
        b'{"home_team": "Arsenal", "away_team": "\xff"}',
        b'\xef\xbb\xbf{"home_team": "Arsenal", "away_team": "Chelsea"}',
        b'{"home_team": "Arsenal", "away_team": "Chelsea"} {}',
        b'{"home_team": "Arsenal", "away_team": "Chelsea", "competition": NaN}',
        b"",
    ],
)
def test_cached_pairs_get_the_same_response_as_new_ones(api: httpx.Client, body: object) -> None:
    """The fast path and FastAPI give identical responses."""
    path = "/predict/batch" if isinstance(body, dict) and "matches" in body else "/predict"
    content = body if isinstance(body, bytes) else json.dumps(body)
    # The fast path needs the plain media type and a pair that was requested before.
    kinds = ("application/json; charset=utf-8", "application/json; charset=utf-8", "application/json")
    first, again, quick = (
        api.post(path, content=content, headers={"content-type": kind, "x-request-id": "one"}) for kind in kinds
    )
    assert first.status_code == again.status_code == quick.status_code
    assert first.content == again.content == quick.content
    responses = (first, again, quick)
    heads = [{name: response.headers[name] for name in response.headers if name != "date"} for response in responses]
    assert heads[0] == heads[1] == heads[2]


@pytest.mark.parametrize(
    ("body", "field", "near"),
    [
        ({"home_team": "Arsnal", "away_team": "Chelsea"}, "home_team", "Arsenal"),
        ({"home_team": "Arsenal", "away_team": "arsenal"}, "away_team", None),
        ({"home_team": "Arsenal"}, "away_team", None),
        ({"home_team": 7, "away_team": "Chelsea"}, "home_team", None),
        ({**PAIR, "kick_off": "2026-03-15T16:30:00"}, "kick_off", None),
        ({**PAIR, "venue": "moon"}, "venue", None),
    ],
)
def test_an_unusable_value_is_named_with_suggestions(
    api: httpx.Client, body: dict[str, object], field: str, near: str | None
) -> None:
    answer = api.post("/predict", json=body)
    assert answer.status_code == 422
    error = answer.json()["errors"][0]
    assert error["field"] == field
    assert near is None or near in error["suggestions"]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/matches?competition=eng-premier-leag", None),
        ("GET", "/teams?competition=eng-premier-leag", None),
        ("GET", "/competitions/eng-premier-leag/table", None),
        ("POST", "/predict", {**PAIR, "competition": "eng-premier-leag"}),
        ("POST", "/predict/async/", {**PAIR, "competition": "eng-premier-leag"}),
        ("POST", "/predict/batch", {"matches": [PAIR, {**PAIR, "competition": "eng-premier-leag"}]}),
    ],
)
def test_an_unknown_competition_has_one_error_everywhere(
    api: httpx.Client, method: str, path: str, body: object
) -> None:
    answer = api.request(method, path, json=body)
    is_batch = path == "/predict/batch"
    problem = answer.json()["items"][1]["error"] if is_batch else answer.json()
    assert answer.status_code == (200 if is_batch else 404)
    assert (problem["status"], problem["type"]) == (404, "urn:touchline:problem:unknown-competition")
    (error,) = problem["errors"]
    assert (error["field"], error["suggestions"]) == ("competition", ["eng-premier-league"])


def test_times_are_in_utc_whatever_the_offset_of_the_request(api: httpx.Client) -> None:
    match = {"home_team": "Arsenal", "away_team": "Everton"}
    due = api.post("/predict", json=match).json()["kick_off"]
    local = datetime.fromisoformat(due).astimezone(timezone(timedelta(hours=5, minutes=30))).isoformat()
    assert local.endswith("+05:30")
    body = {**match, "kick_off": local}
    task_id = api.post("/predict/async/", json=body).json()["task_id"]
    batch = api.post("/predict/batch", json={"matches": [body]}).json()
    forecasts = [api.post("/predict", json=body).json(), batch["items"][0]["forecast"]]
    forecasts.append(wait_until(lambda: _ended(api, task_id))["result"])
    assert [forecast["kick_off"] for forecast in forecasts] == [due] * 3
    wrong = datetime.fromisoformat(local) + timedelta(days=200)  # of the next season
    refused = api.post("/predict", json={**match, "kick_off": wrong.isoformat()})
    assert refused.status_code == 422
    assert not _OFFSET.search(refused.text), refused.text
    for kick_off in ("0001-01-01T00:00:00+02:00", "9999-12-31T23:30:00-02:00"):  # no such time exists in UTC
        (error,) = api.post("/predict", json={**match, "kick_off": kick_off}).json()["errors"]
        assert error["field"] == "kick_off"


def test_every_time_of_every_response_ends_in_z(api: httpx.Client) -> None:
    """Times of reports, of the model's tags and of problems too."""
    document = api.get("/openapi.json").json()
    values = {"match_id": SETTLED, "competition": "eng-premier-league", "week": "2026-03-09", "task_id": str(uuid4())}
    paths = [path.format(**values) for path, methods in document["paths"].items() if "get" in methods]
    times = 0
    for path in paths:
        text = api.get(path).text
        assert not _OFFSET.search(text), (path, _OFFSET.search(text))
        times += len(re.findall(r"\d\d:\d\d:\d\d(?:\.\d+)?Z", text))
    assert times > 50


def test_a_kick_off_before_what_the_model_has_seen_is_refused(api: httpx.Client) -> None:
    answer = api.post("/predict", json={**PAIR, "kick_off": "2024-01-01T15:00:00Z"})
    assert answer.status_code == 422
    problem = answer.json()
    assert "is not after the last known result" in problem["detail"]
    assert (problem["title"], problem["errors"][0]["field"]) == ("Kick-off too early", "kick_off")


def test_a_body_that_is_not_said_to_be_json_is_told_to_be(api: httpx.Client, service: Service) -> None:
    body = b'{"home_team": "Arsenal", "away_team": "Everton"}'
    for path in ("/predict", "/predict/batch", "/predict/async/"):
        for kind in ({}, {"content-type": "application/x-www-form-urlencoded"}, {"content-type": "text/plain"}):
            answer = documented(service.url, path, api.post(path, content=body, headers=kind))
            assert answer.status_code == 415
            assert answer.json()["type"] == "urn:touchline:problem:unsupported-media-type"
            (error,) = answer.json()["errors"]
            assert error["field"] == "Content-Type"
            assert "Content-Type: application/json" in error["message"]


def test_a_compressed_body_is_told_not_to_be(api: httpx.Client) -> None:
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    answer = api.post("/predict", content=gzip.compress(json.dumps(PAIR).encode()), headers=headers)
    assert answer.status_code == 415
    assert "without a Content-Encoding; it was gzip" in answer.json()["detail"]


@pytest.mark.parametrize("kind", ["application/json", "APPLICATION/JSON; charset=UTF-8", "application/ld+json"])
def test_every_kind_of_json_is_read(api: httpx.Client, kind: str) -> None:
    assert api.post("/predict", content=json.dumps(PAIR), headers={"content-type": kind}).status_code == 200


def test_a_malformed_timestamp_gets_the_expected_format(api: httpx.Client) -> None:
    for day in ("14.03.2026", "2026-3-14", "soon", "2026-03-14T15:00"):
        (error,) = api.get("/matches", params={"date_from": day}).json()["errors"]
        assert error["field"] == "date_from"
        assert "YYYY-MM-DD" in error["message"], error
    for timestamp in ("tomorrow", "2026-03-14", "2026-03-14T15:00:00"):
        (error,) = api.post("/predict", json={**PAIR, "kick_off": timestamp}).json()["errors"]
        assert "2026-03-14T15:00:00Z" in error["message"], error


def test_malformed_json_is_a_problem_document(api: httpx.Client) -> None:
    answer = api.post("/predict", content=b'{"home_team": ', headers={"content-type": "application/json"})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "body"


def test_a_settled_forecast_has_its_result_and_scores(api: httpx.Client) -> None:
    forecast = api.get("/predict/eng-premier-league-2025-26-arsenal-chelsea").json()
    assert forecast["settled"]["score"] == {"home": 2, "away": 1}
    assert forecast["settled"]["outcome"] == "home"
    upcoming = api.get("/matches", params={"status": "scheduled", "limit": 1}).json()["items"][0]
    assert api.get(f"/predict/{upcoming['match_id']}").json()["settled"] is None


def test_unknown_match_ids_are_404_and_impossible_ones_422(api: httpx.Client) -> None:
    for path in ("/predict/{}", "/matches/{}", "/matches/{}/insight", "/matches/{}/ratings"):
        for match_id, status in (("eng-premier-league-2025-26-arsenal-atlantis", 404), ("not_a_match", 422)):
            answer = api.get(path.format(match_id))
            assert answer.status_code == status
            (error,) = answer.json()["errors"]
            assert error["field"] == "match_id"
            assert match_id in error["message"]


def test_a_known_match_without_forecast_is_not_called_unknown(api: httpx.Client) -> None:
    for query, why in (("status=played&date_to=2016-01-01", "before its kick-off"), ("status=scheduled", "yet")):
        matches = api.get(f"/matches?{query}&limit=100").json()["items"]
        match_id = next(match["match_id"] for match in matches if match["forecast"] is None)
        for path in (f"/predict/{match_id}", f"/matches/{match_id}/insight"):
            answer = api.get(path)
            assert (answer.status_code, answer.json()["title"]) == (404, "Not published")
            assert why in answer.json()["detail"]


def test_the_summary_of_a_problem_says_what_is_wrong(api: httpx.Client) -> None:
    problem = api.post("/predict", json={"home": "Arsenal", "away": "Everton"}).json()
    messages = [f"{error['field']}: {error['message']}" for error in problem["errors"]]
    assert problem["detail"] == "; ".join(messages[:3]) + " and 1 more"
    assert "home_team: Field required" in problem["detail"]


def test_pages_of_matches_have_no_gaps_and_no_repetitions(api: httpx.Client) -> None:
    for order in ("asc", "desc"):
        seen: list[str] = []
        cursor: str | None = None
        while True:
            parameters: dict[str, str | int] = {"season": "2025-26", "team": "arsenal", "limit": 7, "order": order}
            page = api.get("/matches", params={**parameters, **({"cursor": cursor} if cursor else {})}).json()
            seen += [item["match_id"] for item in page["items"]]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        assert len(seen) == len(set(seen)) == 38


def test_matches_are_filtered_by_date_status_and_club(api: httpx.Client) -> None:
    day = {"date_from": "2026-03-01", "date_to": "2026-03-01"}
    items = api.get("/matches", params=day).json()["items"]
    assert items
    assert all(item["kick_off"].startswith("2026-03-01") and item["status"] == "played" for item in items)
    assert all(item["forecast"] and item["score"] for item in items)
    assert api.get("/matches", params={"team": "Atlantis"}).status_code == 422
    assert api.get("/matches", params={"competition": "eng-premier-leage"}).status_code == 404
    assert api.get("/matches", params={"cursor": "bogus"}).status_code == 422


def test_clubs_competitions_queues_workers_and_model_are_listed(api: httpx.Client) -> None:
    assert len(api.get("/teams", params={"competition": "eng-premier-league"}).json()["items"]) == 20
    assert api.get("/competitions").json()["items"][0]["matches"] == 4560
    assert {"name": "ml", "messages": 0, "consumers": 1} in api.get("/monitoring/celery/queues").json()["items"]
    worker = api.get("/monitoring/celery/workers").json()["items"][0]
    assert worker["model_version"] == 1
    info = api.get("/predict/model/info").json()
    assert (info["name"], info["version"], info["other_versions"]) == ("match-outcome", 1, [])


def test_a_provisional_version_is_marked_until_it_is_confirmed(api: httpx.Client, service: Service) -> None:
    """The workers follow the tags of their version without loading it again."""

    def provisional() -> object:
        return api.get("/predict/model/info").json()["provisional"]

    assert provisional() is None
    tags = {"provisional_because": "judged by 90 matches", "provisional_matches": "90", "provisional_missing": "10"}
    try:
        service.world.registry.set_tags(1, tags)
        wait_until(lambda: provisional() is not None, 30)
        assert provisional() == {"reason": "judged by 90 matches", "matches": 90, "missing": 10}
    finally:
        service.world.registry.remove_tags(1, tags)
    wait_until(lambda: provisional() is None, 30)


def test_matches_say_whether_their_time_is_known(api: httpx.Client) -> None:
    """The bundled seasons up to 2018-19 have days only."""
    for season, precision in (("2018-19", "day"), ("2025-26", "time")):
        items = api.get("/matches", params={"season": season, "limit": 5}).json()["items"]
        assert {item["kick_off_precision"] for item in items} == {precision}


def test_unpublished_reports_are_404_and_their_lists_empty(api: httpx.Client) -> None:
    assert api.get("/monitoring/drift").json() == {"items": []}
    for path in (
        "/monitoring/drift/2026-03-09",
        "/monitoring/drift/2026-03-09/report",
        "/monitoring/performance",
        "/monitoring/gate",
    ):
        assert api.get(path).status_code == 404
    assert "there are no drift reports yet" in api.get("/monitoring/drift/2026-03-09").json()["detail"]
    assert api.get("/competitions/eng-premier-league/table").status_code == 404


def test_reports_of_the_lake_are_passed_on(api: httpx.Client, service) -> None:
    lake = service.world.lake
    folder = "reports/drift/week=2026-02-02"
    summary = {name: value for name, value in EXAMPLES["DriftSummary"].items() if name != "week"}
    lake.write_json(f"{folder}/summary.json", {**summary, "share": 0.1})
    lake.write_bytes(f"{folder}/report.html", b"<html>drift</html>")
    assert api.get("/monitoring/drift").json()["items"][0]["state"] == "stable"
    assert api.get("/monitoring/drift/2026-02-02").json()["share"] == 0.1
    report = api.get("/monitoring/drift/2026-02-02/report")
    assert (report.text, report.headers["content-type"]) == ("<html>drift</html>", "text/html; charset=utf-8")
    for path in ("/monitoring/drift/2026-02-03", "/monitoring/drift/2026-02-03/report"):
        missing = api.get(path)
        assert missing.status_code == 404
        assert "no drift report for the week of 2026-02-03; nearest: 2026-02-02" in missing.json()["detail"]
    for content in ("{", '{"state": "stable"}'):
        (service.world.lake_root / folder / "summary.json").write_text(content)
        unusable = api.get("/monitoring/drift/2026-02-02")
        assert documented(service.url, "/monitoring/drift/{week}", unusable).status_code == 503
        assert api.get("/monitoring/drift").json() == {"items": []}
    assert samples(api.get("/metrics").text)["touchline_errors_total", "damaged_artefact"] >= 1
    for file in (service.world.lake_root / folder).iterdir():
        file.unlink()


def test_unchecked_responses_have_the_shape_of_their_schema(api: httpx.Client) -> None:
    """FastAPI does not validate the responses of these busy endpoints, so the test does."""
    batch = {"matches": [PAIR, {**PAIR, "home_team": "Arsnal"}]}
    for schema, response in (
        (Forecast, api.post("/predict", json=PAIR)),
        (BatchResponse, api.post("/predict/batch", json=batch)),
        (PublishedForecast, api.get(f"/predict/{SETTLED}")),
        (MatchPage, api.get("/matches?limit=200")),
        (MatchPage, api.get("/matches?limit=200&order=desc")),
    ):
        read = schema.model_validate_json(response.content)
        assert read.model_dump(mode="json", exclude_unset=True) == response.json(), schema


@pytest.mark.parametrize(
    ("path", "field", "near"),
    [
        ("/matches?seasons=2025-26", "seasons", "season"),
        ("/matches?dateFrom=2026-03-01", "dateFrom", "date_from"),
        ("/matches?season=2026", "season", "2025-26"),
        ("/matches?competition=eng-premier-league&season=1999-00", "season", None),
        ("/matches?date_from=2026-03-02&date_to=2026-03-01", "date_from", None),
        ("/matches?team=Arsnal", "team", "Arsenal"),
        ("/monitoring/performance?competition=eng-premier-league", "competition", None),
        ("/competitions/eng-premier-league/table?season=2024-25", "season", None),
    ],
)
def test_a_question_that_would_be_misunderstood_is_refused(
    api: httpx.Client, path: str, field: str, near: str | None
) -> None:
    answer = api.get(path)
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert error["field"] == field
    assert near is None or error["suggestions"][0] == near


def test_probes_may_add_what_they_like_to_the_address(api: httpx.Client) -> None:
    assert api.get("/healthcheck/?nocache=1").status_code == api.get("/healthcheck/ready?x=y").status_code == 200


def test_clubs_are_known_by_the_names_that_people_call_them(api: httpx.Client) -> None:
    pairs = [("Spurs", "wolves"), ("Man United", "MAN CITY"), ("Nott'm Forest", "West Ham")]
    answer = api.post("/predict/batch", json={"matches": [{"home_team": h, "away_team": a} for h, a in pairs]})
    assert [(item["forecast"]["home_team"], item["forecast"]["away_team"]) for item in answer.json()["items"]] == [
        ("Tottenham Hotspur", "Wolverhampton Wanderers"),
        ("Manchester United", "Manchester City"),
        ("Nottingham Forest", "West Ham United"),
    ]
    match = api.get("/matches", params={"team": "Spurs", "limit": 1}).json()["items"][0]
    assert "Tottenham Hotspur" in (match["home_team"], match["away_team"])


def test_a_club_like_none_that_is_known_gets_no_suggestion(api: httpx.Client) -> None:
    (error,) = api.post("/predict", json={"home_team": "Barcelona", "away_team": "Arsenal"}).json()["errors"]
    assert (error["field"], error["suggestions"]) == ("home_team", [])


def test_lists_and_readiness_have_the_time_of_the_replay(api: httpx.Client, service) -> None:
    documents = [api.get(path).json() for path in ("/matches?limit=1", "/healthcheck/ready")]
    assert {(document["as_of"], document["clock"]) for document in documents} == {("2026-03-13T12:00:00Z", "replay")}
    clock = service.folder / "as_of"

    def clock_is_at(timestamp: str) -> bool:
        return bool(api.get("/matches?limit=1").json()["as_of"] == timestamp)

    for timestamp in ("2026-03-20T12:00:00Z", "2026-03-13T12:00:00Z"):
        clock.write_text(timestamp)
        wait_until(partial(clock_is_at, timestamp))
    clock.unlink()


def test_a_wrong_kick_off_is_an_error_with_the_known_one(api: httpx.Client) -> None:
    due = api.get("/matches", params={"status": "scheduled", "limit": 1}).json()["items"][0]
    pair = {name: due[name] for name in ("home_team", "away_team")}
    (error,) = api.post("/predict", json={**pair, "kick_off": "2030-01-01T15:00:00Z"}).json()["errors"]
    assert (error["field"], error["suggestions"]) == ("kick_off", [due["kick_off"]])
    moved = api.post("/predict", json={**pair, "kick_off": due["kick_off"].replace("2026-03-14", "2026-03-17")})
    assert moved.json()["match_id"] == due["match_id"]


def test_paths_answer_with_and_without_a_trailing_slash(api: httpx.Client) -> None:
    for path in ("/healthcheck", "/healthcheck/ready", "/matches", "/teams", "/metrics", "/predict/model/info"):
        assert api.get(path).status_code == api.get(f"{path}/").status_code == 200
    names = {"competition": "eng-premier-league", "match_id": SETTLED, "week": "2026-03-09", "task_id": str(uuid4())}
    for path, methods in api.get("/openapi.json").json()["paths"].items():
        for method in methods:
            bare = path.format_map(names).removesuffix("/")
            responses = [
                api.request(method, address, json={} if method == "post" else None) for address in (bare, f"{bare}/")
            ]
            outcomes = [
                (response.status_code, response.status_code >= 400 and response.json()["title"])
                for response in responses
            ]
            assert outcomes[0] == outcomes[1] and outcomes[0][1] != "Not Found", (path, outcomes)
    for path in ("/predict", "/predict/async"):
        assert api.post(path, json=PAIR).status_code == api.post(f"{path}/", json=PAIR).status_code < 300


def test_the_request_id_comes_back_and_reaches_the_worker(api: httpx.Client, service) -> None:
    for path, body in (("/predict", PAIR), ("/predict/async/", PAIR), ("/predict/batch", {"matches": [PAIR]})):
        request_id = f"it-{uuid4().hex}"
        assert api.post(path, json=body, headers={"X-Request-ID": request_id}).headers["x-request-id"] == request_id
        log = service.folder / "worker.log"
        lines = wait_until(lambda: [x for x in log.read_text().splitlines() if request_id in x])  # noqa: B023 - called at once
        assert json.loads(lines[0])["event"] == "tasks.executed"
    forged = api.get("/healthcheck/", headers={"X-Request-ID": "a b;c"})
    assert forged.headers["x-request-id"] != "a b;c"


def test_the_openapi_document_names_every_path_of_the_design(api: httpx.Client) -> None:
    paths = set(api.get("/openapi.json").json()["paths"])
    assert paths >= {
        "/predict", "/predict/async/", "/predict/batch", "/predict/{match_id}", "/predict/model/info",
        "/matches", "/matches/{match_id}", "/teams", "/competitions", "/competitions/{competition}/table",
        "/monitoring/task_status/{task_id}", "/monitoring/celery/queues", "/monitoring/celery/workers",
        "/monitoring/drift", "/monitoring/drift/{week}", "/monitoring/drift/{week}/report", "/monitoring/performance",
        "/monitoring/gate",
        "/healthcheck/", "/healthcheck/ready", "/metrics", "/forecasts.csv", "/forecasts.parquet",
    }  # fmt: skip


def _ended(api: httpx.Client, task_id: str) -> dict[str, object] | None:
    status = api.get(f"/monitoring/task_status/{task_id}").json()
    return status if status["status"] in {"success", "failure"} else None


def test_the_page_of_documents_needs_nothing_from_elsewhere(api: httpx.Client) -> None:
    page = api.get("/docs").text
    addresses = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert len(addresses) >= 3
    for address in addresses:
        assert address.startswith("/"), f"{address} is on another host"
        assert api.get(address).status_code == 200
    first = api.get("/")
    assert (first.status_code, first.headers["location"]) == (307, "/docs")
