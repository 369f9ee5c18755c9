"""The simulator as a program of its own, as the demo starts it: TLS, a key from a file, and a state that outlives it."""

from __future__ import annotations

import asyncio
import base64
import random
import secrets
import signal
import ssl
import sys
import uuid
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme
from azure.communication.phonenumbers.aio import PhoneNumbersClient
from azure.core.exceptions import ClientAuthenticationError
from azure.core.pipeline.policies import AsyncRetryPolicy

TOKEN = "token-of-the-operator"
RESERVATIONS = "/availablePhoneNumbers/reservations"


class Program:
    """`python -m ehr_sandbox acs` on a port of its choice; each start is a new process over the same files."""

    def __init__(self, folder: Path, tls: ssl.SSLContext, resources: AsyncExitStack) -> None:
        self.access_key = base64.b64encode(secrets.token_bytes(32)).decode()
        self._folder = folder
        self._tls = tls
        self._resources = resources
        (folder / "access-key").write_text(f"{self.access_key}\n")

    @property
    def state_file(self) -> Path:
        return self._folder / "state.json"

    async def start(self) -> tuple[asyncio.subprocess.Process, httpx.AsyncClient]:
        """Return the process, once it says its address, and a client that a bearer token lets in."""
        process = await run_acs(
            *("--host", "127.0.0.1", "--port", "0", "--accept-token", TOKEN, "--operation-seconds", "0"),
            *("--tls-cert", str(self._folder / "server.pem"), "--tls-key", str(self._folder / "server.key")),
            *("--access-key-file", str(self._folder / "access-key"), "--state-file", str(self.state_file)),
        )
        self._resources.push_async_callback(end, process)
        assert process.stdout is not None
        first_line = (await process.stdout.readline()).decode()
        http = httpx.AsyncClient(
            base_url=first_line.partition(" Services: ")[2].partition(" ")[0],
            params={"api-version": "2025-06-01"},
            headers={"Authorization": f"Bearer {TOKEN}"},
            verify=self._tls,
        )
        return process, await self._resources.enter_async_context(http)

    @asynccontextmanager
    async def sdk(self, http: httpx.AsyncClient, access_key: str) -> AsyncGenerator[PhoneNumbersClient]:
        """Open the vendor's client by a connection string, which always leads to TLS."""
        async with PhoneNumbersClient.from_connection_string(
            f"endpoint={str(http.base_url).rstrip('/')};accesskey={access_key}",
            retry_policy=AsyncRetryPolicy.no_retries(),
            connection_verify=str(self._folder / "ca.pem"),
        ) as client:
            yield client


async def run_acs(*arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ehr_sandbox", "acs", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def end(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        process.kill()
    await process.communicate()


@pytest.fixture
async def program(tmp_path: Path) -> AsyncGenerator[Program]:
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    certificate.private_key_pem.write_to_path(tmp_path / "server.key")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "server.pem")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    tls = ssl.create_default_context(cafile=tmp_path / "ca.pem")
    async with AsyncExitStack() as resources:
        yield Program(tmp_path, tls, resources)


async def put(http: httpx.AsyncClient, reservation_id: str, numbers: dict[str, Any]) -> httpx.Response:
    return await http.patch(
        f"{RESERVATIONS}/{reservation_id}",
        json={"phoneNumbers": numbers},
        headers={"Content-Type": "application/merge-patch+json"},
    )


async def numbers_on_sale(http: httpx.AsyncClient) -> dict[str, Any]:
    answer = await http.post(
        "/availablePhoneNumbers/countries/US/:browse",
        json={"phoneNumberType": "tollFree", "assignmentType": "application"},
    )
    return {number["id"]: number for number in answer.json()["phoneNumbers"]}


async def test_it_serves_tls_and_takes_the_key_of_the_file_and_no_other(program: Program) -> None:
    process, http = await program.start()
    others_key = base64.b64encode(b"of another resource").decode()

    identity = await http.get("/_sandbox")
    async with program.sdk(http, program.access_key) as sdk, program.sdk(http, others_key) as other:
        owned = [number async for number in sdk.list_purchased_phone_numbers()]
        with pytest.raises(ClientAuthenticationError):
            await other.get_purchased_phone_number("+18005550100")
    process.send_signal(signal.SIGTERM)

    assert (http.base_url.scheme, identity.status_code, identity.json()["simulator"]) == ("https", 200, True)
    assert owned == []
    assert await process.wait() == 0


async def test_a_killed_program_keeps_every_change_that_it_answered(program: Program) -> None:
    chance = random.Random(7)
    reservation_id = str(uuid.uuid4())
    process, http = await program.start()
    answered: list[str] = []

    for digits, number in list((await numbers_on_sale(http)).items())[:3]:
        assert (await put(http, reservation_id, {digits: number})).is_success
        answered.append(digits)
        writing = asyncio.create_task(write_for_ever(http))
        await asyncio.sleep(chance.uniform(0, 0.05))
        process.kill()
        with pytest.raises(httpx.TransportError):
            await writing
        process, http = await program.start()
    kept = (await http.get(f"{RESERVATIONS}/{reservation_id}")).json()

    assert list(kept["phoneNumbers"]) == answered


async def write_for_ever(http: httpx.AsyncClient) -> None:
    while True:
        await put(http, str(uuid.uuid4()), {})


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--tls-key", __file__], "must not be given without --tls-cert"),
        (["--access-key-file", __file__], "the access key must be base64"),
        (["--access-key-file", "/dev/null"], "the access key must not be empty"),
        (["--state-file", __file__], "is no state of this simulator"),
        (["--access-key", "c2VjcmV0"], "No such option: --access-key"),
    ],
    ids=["key-without-cert", "key-not-base64", "key-empty", "foreign-state", "key-in-the-open"],
)
async def test_wrong_options_are_refused_with_the_reason(arguments: list[str], complaint: str) -> None:
    process = await run_acs(*arguments)

    _, complaints = await process.communicate()

    assert process.returncode != 0
    assert complaint in " ".join(complaints.decode().replace("│", " ").split())
