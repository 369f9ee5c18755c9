"""The simulator as a program, with a world from a file."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
import pytest
from contract.graph_stand_in.running import CLIENT, REDIRECT_URI, SECRET, TENANT

from ehr_sandbox.graph.world import example_world
from ehr_sandbox.local_ca import LocalCA


@asynccontextmanager
async def running(*arguments: str) -> AsyncGenerator[tuple[asyncio.subprocess.Process, str]]:
    """Run the program; gives the process and its first line, of either output."""
    program = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ehr_sandbox", "graph", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        assert program.stdout is not None
        yield program, (await program.stdout.readline()).decode()
    finally:
        with suppress(ProcessLookupError):
            program.kill()
        await program.communicate()


async def test_it_serves_the_world_of_a_file_over_tls_until_it_is_told_to_stop(
    tmp_path: Path, graph_ca: LocalCA
) -> None:
    world = tmp_path / "world.json"
    world.write_text(example_world(redirect_uris=[REDIRECT_URI]).model_dump_json(by_alias=True))
    chain, key = graph_ca.server_certificate("program", "127.0.0.1")
    options = (
        "--tls-cert",
        str(chain),
        "--tls-key",
        str(key),
        "--world",
        str(world),
        "--ca-file",
        str(graph_ca.ca_file),
    )
    async with running(*options) as (program, first_line):
        url = first_line.partition(" Teams: ")[2].partition(" ")[0]
        async with httpx.AsyncClient(base_url=url, verify=graph_ca.client_context(), trust_env=False) as http:
            form = {"grant_type": "client_credentials", "client_id": CLIENT, "client_secret": SECRET}
            token = await http.post(f"/{TENANT}/oauth2/v2.0/token", data={**form, "scope": f"{url}/.default"})
            identity = (await http.get("/_sandbox")).json()
        program.send_signal(signal.SIGTERM)
        status = await program.wait()

    assert url.startswith("https://127.0.0.1:")
    assert token.status_code == 200
    assert identity["simulator"] is True
    assert "PUT /_sandbox/world" in identity["controls"]
    assert status == 0


@pytest.mark.parametrize(
    ("option", "message"),
    [(f"--world={__file__}", "Error: "), (f"--ca-file={__file__}", "Error: ")],
)
async def test_wrong_options_end_the_program_with_the_reason(option: str, message: str) -> None:
    async with running(option) as (program, first_line):
        status = await program.wait()

    assert status == 1
    assert first_line.startswith(message)


@pytest.mark.parametrize(
    "body",
    ["{", '{"tenants": [{"id": "lamna"}]}', '{"tenants": [{"id": "72f988bf-0000-4000-8000-000000000001", "more": 1}]}'],
)
async def test_a_world_that_is_none_changes_nothing(graph_http: httpx.AsyncClient, body: str) -> None:
    before = (await graph_http.get("/_sandbox/world")).json()
    refused = await graph_http.put("/_sandbox/world", content=body)

    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "BadRequest")
    assert (await graph_http.get("/_sandbox/world")).json() == before


async def test_the_world_is_replaced_while_it_runs(graph_http: httpx.AsyncClient) -> None:
    world = (await graph_http.get("/_sandbox/world")).json()
    world["tenants"][0]["apps"][0]["secrets"] = ["another"]
    replaced = await graph_http.put("/_sandbox/world", json=world)
    form = {"grant_type": "client_credentials", "client_id": CLIENT, "scope": "https://graph.microsoft.com/.default"}
    statuses = [
        (await graph_http.post(f"/{TENANT}/oauth2/v2.0/token", data={**form, "client_secret": secret})).status_code
        for secret in (SECRET, "another")
    ]

    assert replaced.status_code == 200
    assert statuses == [401, 200]
