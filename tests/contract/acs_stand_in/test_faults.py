"""Every fault that a simulator can be told to have, seen by a real HTTP client."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route
from starlette.types import ASGIApp

from ehr_sandbox.faults import FaultMiddleware, Faults, fault_routes
from ehr_sandbox.serving import ServingError, serve


class Counter:
    """A tiny system: each POST counts one up."""

    def __init__(self, **faults: Any) -> None:
        self.value = 0
        self.waits_s: list[float] = []
        self.faults = Faults(sleep=self._sleep, **faults)
        routes = [
            Route("/counts/{name}", self._count, methods=["GET", "POST"]),
            Mount("/_sandbox", routes=fault_routes(self.faults)),
        ]
        self.app: ASGIApp = FaultMiddleware(Starlette(routes=routes), self.faults)

    async def _sleep(self, seconds: float) -> None:
        self.waits_s.append(seconds)

    async def _count(self, request: Request) -> JSONResponse:
        if request.method == "POST":
            self.value += 1
        return JSONResponse({"value": self.value})


@asynccontextmanager
async def client_of(counter: Counter) -> AsyncGenerator[httpx.AsyncClient]:
    async with serve(counter.app) as url, httpx.AsyncClient(base_url=url) as http:
        yield http


@pytest.fixture
def counter() -> Counter:
    return Counter()


@pytest.fixture
async def http(counter: Counter) -> AsyncGenerator[httpx.AsyncClient]:
    async with client_of(counter) as http:
        yield http


async def put_faults(http: httpx.AsyncClient, *rules: dict[str, Any]) -> None:
    (await http.put("/_sandbox/faults", json=list(rules))).raise_for_status()


async def test_a_delay_waits_and_then_handles(http: httpx.AsyncClient, counter: Counter) -> None:
    await put_faults(http, {"action": "delay", "delay_s": 3.5})

    answer = await http.post("/counts/a")

    assert answer.json() == {"value": 1}
    assert counter.waits_s == [3.5]


async def test_a_status_is_answered_with_retry_after_and_nothing_is_handled(
    http: httpx.AsyncClient, counter: Counter
) -> None:
    await put_faults(http, {"action": "status", "status": 429, "retry_after_s": 7})

    answer = await http.post("/counts/a")

    assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")
    assert answer.json()["error"]["code"] == "SandboxFault"
    assert counter.value == 0


async def test_a_status_carries_the_error_body_of_the_simulated_system() -> None:
    counter = Counter(error_body=lambda status: {"resourceType": "OperationOutcome", "id": str(status)})

    async with client_of(counter) as http:
        await put_faults(http, {"action": "status", "status": 503})
        answer = await http.get("/counts/a")

    assert answer.json() == {"resourceType": "OperationOutcome", "id": "503"}


async def test_a_cut_connection_handles_nothing_and_answers_nothing(http: httpx.AsyncClient, counter: Counter) -> None:
    await put_faults(http, {"action": "cut"})

    with pytest.raises(httpx.TransportError):
        await http.post("/counts/a")

    assert counter.value == 0


async def test_a_lost_answer_is_handled_and_not_answered(http: httpx.AsyncClient, counter: Counter) -> None:
    await put_faults(http, {"action": "lose_answer"})

    with pytest.raises(httpx.TransportError):
        await http.post("/counts/a")

    assert counter.value == 1


async def test_half_an_answer_has_a_status_and_ends_inside_the_body(http: httpx.AsyncClient, counter: Counter) -> None:
    await put_faults(http, {"action": "half_answer"})

    async with http.stream("POST", "/counts/a") as answer:
        with pytest.raises(httpx.RemoteProtocolError, match="without sending complete message body"):
            await answer.aread()

    assert answer.status_code == 200
    assert counter.value == 1


@pytest.mark.parametrize("action", ["cut", "lose_answer", "half_answer"])
async def test_a_dropped_connection_is_dropped_under_tls_too(action: str, tmp_path: Path) -> None:
    counter = Counter()
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    certificate.private_key_and_cert_chain_pem.write_to_path(tmp_path / "server.pem")
    context = ssl.create_default_context()
    authority.configure_trust(context)

    async with (
        serve(counter.app, ssl_certfile=tmp_path / "server.pem") as url,
        httpx.AsyncClient(base_url=url, verify=context) as http,
    ):
        await put_faults(http, {"action": action})
        with pytest.raises(httpx.TransportError):
            await http.post("/counts/a")
        answer = await http.get("/counts/a")

    assert url.startswith("https://")
    assert answer.json() == {"value": 0 if action == "cut" else 1}


@pytest.mark.parametrize(("action", "handled"), [("cut", 0), ("lose_answer", 1), ("half_answer", 1)])
async def test_a_server_that_lends_no_connection_drops_it_for_the_unfinished_answer(
    counter: Counter, action: str, handled: int
) -> None:
    config = uvicorn.Config(counter.app, http="h11", log_config=None, port=0)
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{listener.getsockname()[1]}") as http:
            await put_faults(http, {"action": action})
            with pytest.raises(httpx.RemoteProtocolError):
                await http.post("/counts/a")
        server.should_exit = True
        await serving

    assert counter.value == handled


async def test_a_rule_befalls_only_the_requests_that_it_names(http: httpx.AsyncClient) -> None:
    await put_faults(
        http, {"action": "status", "status": 500, "method": "post", "path": "/counts/b$", "nth": 2, "count": 2}
    )

    others = [await http.get("/counts/b"), await http.post("/counts/a"), await http.post("/counts/bb")]
    named = [await http.post("/counts/b") for _ in range(4)]

    assert [answer.status_code for answer in others] == [200, 200, 200]
    assert [answer.status_code for answer in named] == [200, 500, 500, 200]


async def test_a_rule_without_an_end_lasts_until_faults_are_deleted(http: httpx.AsyncClient) -> None:
    await put_faults(http, {"action": "status", "status": 503, "count": None})

    during = [(await http.get("/counts/a")).status_code for _ in range(3)]
    met = (await http.get("/_sandbox/faults")).json()
    await http.delete("/_sandbox/faults")
    after = await http.get("/counts/a")

    assert during == [503, 503, 503]
    assert (met[0]["matched"], met[0]["fired"]) == (3, 3)
    assert after.status_code == 200


@pytest.mark.parametrize(
    ("rules", "complaint"),
    [
        ([{"action": "explode"}], "0.action: Input should be"),
        ([{"action": "status"}], "`status` must be given"),
        ([{"action": "cut", "status": 500}], "`status` must be given"),
        ([{"action": "cut", "retry_after_s": 1}], "`retry_after_s` may only be given"),
        ([{"action": "delay"}], "`delay_s` must be above 0"),
        ([{"action": "cut", "path": "("}], "0.path: Value error, must be a regular expression"),
        ([{"action": "cut", "times": 2}], "0.times: Extra inputs"),
        ({"action": "cut"}, "body: Input should be a valid array"),
    ],
    ids=["action", "no-status", "status", "retry-after", "delay", "pattern", "unknown", "no-list"],
)
async def test_a_wrong_rule_is_refused_by_name_and_changes_nothing(
    http: httpx.AsyncClient, rules: object, complaint: str
) -> None:
    await put_faults(http, {"action": "cut", "path": "/kept"})

    answer = await http.put("/_sandbox/faults", json=rules)

    assert answer.status_code == 400
    assert complaint in answer.json()["error"]["message"]
    assert [rule["path"] for rule in (await http.get("/_sandbox/faults")).json()] == ["/kept"]


async def test_requests_are_logged_with_their_faults_and_without_secrets(http: httpx.AsyncClient) -> None:
    await put_faults(http, {"action": "lose_answer", "path": "/lost"}, {"action": "cut", "path": "/cut"})
    for path in ("/lost", "/cut"):
        with pytest.raises(httpx.TransportError):
            await http.post(f"/counts{path}", headers={"Authorization": "Bearer hush"}, content=b"hush")
    await http.get("/counts/a?token=hush", headers={"Authorization": "Bearer hush"})

    log = await http.get("/_sandbox/requests")

    entries = [(e["method"], e["path"], e["status"], e["fault"]) for e in log.json()["requests"]]
    assert entries == [
        ("POST", "/counts/lost", 200, "lose_answer"),
        ("POST", "/counts/cut", None, "cut"),
        ("GET", "/counts/a", 200, None),
    ]
    assert "hush" not in log.text


async def test_logged_requests_can_be_narrowed_and_forgotten(http: httpx.AsyncClient) -> None:
    for name in ("a", "a", "b"):
        await http.post(f"/counts/{name}")
    await http.get("/counts/a")

    narrowed = (await http.get("/_sandbox/requests", params={"method": "POST", "path": "/a$"})).json()
    wrong = await http.get("/_sandbox/requests", params={"path": "("})
    await http.delete("/_sandbox/requests")
    forgotten = (await http.get("/_sandbox/requests")).json()

    assert narrowed["count"] == 2
    assert wrong.status_code == 400
    assert forgotten == {"count": 0, "requests": []}


async def test_an_app_that_does_not_start_is_reported() -> None:
    @asynccontextmanager
    async def failing(_app: Starlette) -> AsyncGenerator[None]:
        raise RuntimeError("no disk")
        yield

    with pytest.raises(ServingError):
        async with serve(Starlette(lifespan=failing)):
            pass
