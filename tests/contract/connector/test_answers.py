"""What every answer has: security headers, and for errors a problem with the id of its log line."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from contract.connector.running import NEW, Connector, organization, path_of
from sqlalchemy import Engine, event
from starlette.responses import PlainTextResponse

from ehr_connector.web.correlation import CorrelationFilter

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Strict-Transport-Security": "max-age=31536000",
    "X-Content-Type-Options": "nosniff",
}
CANARY = "Nancy-Smart-1990"


@contextmanager
def failing_database() -> Iterator[None]:
    """Let every statement fail with a message that must not get out."""

    def fail(*_arguments: Any) -> None:
        raise RuntimeError(CANARY)

    event.listen(Engine, "before_cursor_execute", fail)
    try:
        yield
    finally:
        event.remove(Engine, "before_cursor_execute", fail)


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """The log, with the ids of the requests as the program adds them."""
    added = CorrelationFilter()
    caplog.set_level("WARNING", logger="httpx")  # the test's own client tells whole URLs
    caplog.set_level("INFO")
    caplog.handler.addFilter(added)
    yield caplog
    caplog.handler.removeFilter(added)


def access_lines(log: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in log.records if record.name == "ehr_connector.access"]


async def answers(connector: Connector) -> dict[str, httpx.Response]:
    """One answer of each sort."""
    document = organization()
    found = {
        "put": await connector.put(document, NEW),
        "get": await connector.get(path_of(document)),
        "412": await connector.put(document, NEW),
        "428": await connector.put(document, {}),
        "400": await connector.put(document, {"If-Match": "W/1"}),
        "409": await connector.put(organization("second", endpoints=document["endpoints"]), NEW),
        "422": await connector.put(document | {"displayName": ""}, {"If-Match": "*"}),
        "422 of a path": await connector.get("/control/v1/organizations/UPPER/x/configuration"),
        "401": await connector.http.get(path_of(document)),
        "403": await connector.send("GET", path_of(document), token=connector.issuer.token(sub="x")),
        "404": await connector.http.get("/nowhere"),
        "405": await connector.send("PATCH", path_of(document)),
        "livez": await connector.http.get("/livez"),
        "metrics": await connector.http.get("/metrics"),
    }
    connector.issuer.discovery_answer = PlainTextResponse("down", 503)
    return found


async def test_security_headers_are_on_every_answer(small: Connector) -> None:
    for name, answer in (await answers(small)).items():
        assert {header: answer.headers.get(header) for header in HEADERS} == HEADERS, name
    keys = await small.http.get("/.well-known/jwks.json")
    assert {header: keys.headers.get(header) for header in HEADERS if header != "Cache-Control"} == {
        header: value for header, value in HEADERS.items() if header != "Cache-Control"
    }


async def test_no_answer_names_the_server_software(small: Connector) -> None:
    for answer in (await answers(small)).values():
        assert not {"server", "x-powered-by"} & set(answer.headers)


async def test_every_error_is_a_problem_with_the_id_of_its_log_line(
    small: Connector, log: pytest.LogCaptureFixture
) -> None:
    errors = {name: answer for name, answer in (await answers(small)).items() if answer.status_code >= 400}
    logged = {getattr(record, "correlation_id", None) for record in access_lines(log)}
    ids: list[str] = []
    for name, answer in errors.items():
        problem = answer.json()
        assert answer.headers["Content-Type"] == "application/problem+json", name
        assert (problem["status"], bool(problem["title"]), bool(problem["detail"])) == (answer.status_code, True, True)
        ids.append(problem["correlationID"])
        assert problem["correlationID"] in logged, name
    assert len(set(ids)) == len(ids) == 10


async def test_a_failure_is_a_problem_without_its_text(small: Connector) -> None:
    with failing_database():
        answer = await small.get(path_of(organization()))
    assert (answer.status_code, answer.headers["Content-Type"]) == (500, "application/problem+json")
    assert CANARY not in answer.text
    assert "RuntimeError" not in answer.text
    assert "Traceback" not in answer.text


async def test_metrics_name_routes_and_never_paths(small: Connector) -> None:
    await small.get(f"/control/v1/organizations/{CANARY.lower()}/x/configuration")
    await small.http.get(f"/v/{CANARY}")
    await small.http.get(f"/nowhere/{CANARY}")
    await small.http.get(f"/livez?name={CANARY}")
    metrics = (await small.http.get("/metrics")).text
    assert CANARY.lower() not in metrics.lower()
    route = "/control/v1/organizations/{namespace}/{name}/configuration"
    assert f'ehr_connector_http_requests_total{{method="GET",route="{route}",status="404"}} 1.0' in metrics
    assert 'ehr_connector_http_requests_total{method="GET",route="/v/{token}",status="404"} 1.0' in metrics
    assert 'ehr_connector_http_requests_total{method="GET",route="(no route)",status="404"} 1.0' in metrics
    assert f'ehr_connector_http_request_duration_seconds_count{{route="{route}"}} 1.0' in metrics


async def test_a_failure_is_counted_by_its_route(small: Connector) -> None:
    with failing_database():
        await small.get(path_of(organization()))
    metrics = (await small.http.get("/metrics")).text
    route = "/control/v1/organizations/{namespace}/{name}/configuration"
    assert f'ehr_connector_http_requests_total{{method="GET",route="{route}",status="500"}} 1.0' in metrics


async def test_log_lines_name_routes_and_never_paths_or_queries(
    small: Connector, log: pytest.LogCaptureFixture
) -> None:
    await small.get(f"/control/v1/organizations/{CANARY.lower()}/x/configuration?q={CANARY}")
    await small.http.get(f"/v/{CANARY}")
    assert len(access_lines(log)) == 2
    assert CANARY.lower() not in log.text.lower()


async def test_probes_of_the_platform_are_not_logged(small: Connector, log: pytest.LogCaptureFixture) -> None:
    for path in ("/livez", "/readyz", "/metrics"):
        await small.http.get(path)
    assert access_lines(log) == []


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/openapi.json"])
async def test_the_apis_description_is_not_served(small: Connector, path: str) -> None:
    assert (await small.http.get(path)).status_code == 404


async def test_requests_at_once_have_ids_of_their_own(small: Connector) -> None:
    found = {(await small.http.get("/nowhere")).json()["correlationID"] for _ in range(5)}
    assert len(found) == 5


async def test_security_headers_are_on_the_answer_to_a_failure(small: Connector) -> None:
    with failing_database():
        answer = await small.get(path_of(organization()))
    assert answer.status_code == 500
    assert {header: answer.headers.get(header) for header in HEADERS} == HEADERS


async def test_a_failure_is_found_in_the_log_by_the_id_of_its_answer(
    small: Connector, log: pytest.LogCaptureFixture
) -> None:
    with failing_database():
        answer = await small.get(path_of(organization()))
    # Work beside the requests meets the failing database, too.
    causes = [one for one in log.records if one.exc_info and one.name == "ehr_connector.access"]
    assert [getattr(record, "correlation_id", "none") for record in causes] == [answer.json()["correlationID"]]


async def test_a_failure_of_the_database_logs_no_values(small: Connector, log: pytest.LogCaptureFixture) -> None:
    document = organization(displayName=CANARY)

    @contextmanager
    def broken_statement() -> Iterator[None]:
        def breaking(_c: Any, _u: Any, statement: str, parameters: Any, *_rest: Any) -> tuple[str, Any]:
            return statement.replace("INTO organization", "INTO no_such_table"), parameters

        event.listen(Engine, "before_cursor_execute", breaking, retval=True)
        try:
            yield
        finally:
            event.remove(Engine, "before_cursor_execute", breaking)

    with broken_statement():
        answer = await small.put(document, NEW)
    assert answer.status_code == 500
    assert log.records
    assert CANARY not in log.text


async def test_a_made_up_method_makes_no_series_of_its_own(small: Connector) -> None:
    for number in range(5):
        await small.http.request(f"MADEUP{number}", "/nowhere")
    assert "MADEUP" not in (await small.http.get("/metrics")).text
