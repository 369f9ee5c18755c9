"""`python -m ehr_sandbox cerner` with the options that the demo uses."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from contract.cerner_stand_in.running import ALL_SCOPES, ASSERTION_TYPE, OTHER_TENANT, TENANT, Publisher

from ehr_sandbox.local_ca import LocalCA
from ehr_sandbox.serving import serve


@asynccontextmanager
async def running(*options: str) -> AsyncGenerator[tuple[asyncio.subprocess.Process, str]]:
    """Run the command until it says its address; stop it at the end."""
    program = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ehr_sandbox", "cerner", *options),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert program.stdout is not None
    try:
        first_line = (await program.stdout.readline()).decode()
        yield program, first_line
    finally:
        if program.returncode is None:
            program.terminate()
        await program.communicate()


def origin_of(first_line: str) -> str:
    return first_line.partition("controls: ")[2].partition("/_sandbox")[0]


async def test_it_serves_tenants_and_clients_over_tls_and_stops_when_asked(tmp_path: Path) -> None:
    ca = LocalCA.create(tmp_path / "ca")
    certificate, key = ca.server_certificate("server", "127.0.0.1", "localhost")
    publisher = Publisher()
    async with (
        serve(publisher.app, ssl_certfile=certificate, ssl_keyfile=key) as keys_url,
        running(
            "--host=127.0.0.1",
            "--port=0",
            f"--tls-cert={certificate}",
            f"--tls-key={key}",
            f"--tenant={TENANT}",
            f"--tenant={OTHER_TENANT}",
            f"--client=system-client={keys_url}/jwks.json",
            f"--client-ca={ca.ca_file}",
            "--client-secret=basic-client=a=b",
            "--app=clinician-app=https://connector.example/launch/callback",
            "--app=clinician-app=https://connector.example/other",
            "--app=public-app=https://public.example/callback?a=b",
            "--app-keys=clinician-app=https://connector.example/.well-known/jwks.json",
            "--throttle-refresh",
            "--latency-s=0.01",
            "--seed=3",
        ) as (program, first_line),
        httpx.AsyncClient(base_url=origin_of(first_line), verify=ca.client_context(), trust_env=False) as http,
    ):
        endpoints = {
            tenant: (await http.get(f"/r4/{tenant}/.well-known/smart-configuration")).json()["token_endpoint"]
            for tenant in (TENANT, OTHER_TENANT)
        }
        form = {"grant_type": "client_credentials", "scope": ALL_SCOPES}
        assertion = {
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": publisher.assertion(endpoints[TENANT], datetime.now(UTC)),
        }
        by_key = await http.post(endpoints[TENANT], data=form | assertion)
        by_secret = await http.post(endpoints[OTHER_TENANT], data=form, auth=("basic-client", "a%3Db"))
        counts = (await http.get("/_sandbox/population")).json()
        apps = (await http.get("/_sandbox/clients")).json()
        program.send_signal(signal.SIGTERM)
        status = await program.wait()

    assert endpoints[TENANT].startswith("https://127.0.0.1:")
    assert (by_key.status_code, by_secret.status_code) == (200, 200)
    assert counts["seed"] == 3
    assert apps == [
        {
            "id": "clinician-app",
            "redirectUris": ["https://connector.example/launch/callback", "https://connector.example/other"],
            "jwksUrl": "https://connector.example/.well-known/jwks.json",
        },
        {"id": "public-app", "redirectUris": ["https://public.example/callback?a=b"], "jwksUrl": None},
    ]
    assert status == 0


async def test_any_tenant_may_be_let_in() -> None:
    async with (
        running("--any-tenant") as (_, first_line),
        httpx.AsyncClient(base_url=origin_of(first_line), trust_env=False) as http,
    ):
        assert (await http.get(f"/r4/{TENANT}/metadata")).status_code == 200


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--tenant=lamna", "the tenant 'lamna' must be a GUID"),
        ("--client=system-client", "--client must be an id and its value"),
        ("--client-secret==secret", "--client-secret must be an id and its value"),
        ("--app=clinician-app", "--app must be an id and its value"),
        ("--app-keys=nobody=https://x.example", "--app-keys must name clients that --app names, not nobody"),
        (f"--client-ca={__file__}", "Error: "),
    ],
)
async def test_wrong_options_end_the_program_with_the_reason(option: str, message: str) -> None:
    async with running(option) as (program, first_line):
        status = await program.wait()

    assert status == 1
    assert message in first_line
