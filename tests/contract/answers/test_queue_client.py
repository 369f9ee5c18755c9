"""Our client of queues, against Azurite; and against answers that Azurite never gives."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import sys
import time
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

import httpx
import pytest
from contract.answers.queues import Queue

from ehr_clients.acs_auth import EntraTokenAuth
from ehr_clients.errors import ContractError, RefusedError, RemoteError, TemporaryError
from ehr_clients.http import client, tls_context
from ehr_clients.storage_queue import QUEUE_NOT_FOUND, StorageQueue
from ehr_sandbox.azurite.finding import find_or_get
from ehr_sandbox.azurite.running import running
from ehr_sandbox.control_plane.progress import progress_for
from ehr_sandbox.local_ca import LocalCA

HIDDEN_S = 30


@pytest.fixture
async def http() -> AsyncGenerator[httpx.AsyncClient]:
    async with client() as opened:
        yield opened


async def test_a_message_is_taken_counted_and_deleted(http: httpx.AsyncClient, queue: Queue) -> None:
    await queue.put("first & <second>", "third")
    ours = StorageQueue(http, queue.url)
    taken = await ours.take(hidden_s=HIDDEN_S)
    hidden = await ours.take(hidden_s=HIDDEN_S)
    deleted = [await ours.delete(one) for one in taken]

    assert [(one.text, one.taken) for one in taken] == [("first & <second>", 1), ("third", 1)]
    assert hidden == []
    assert deleted == [True, True]
    assert await queue.size() == 0


async def test_no_more_are_taken_than_asked_for(http: httpx.AsyncClient, queue: Queue) -> None:
    await queue.put("first", "second", "third")
    assert len(await StorageQueue(http, queue.url).take(hidden_s=HIDDEN_S, most=2)) == 2


async def test_a_message_that_is_not_deleted_comes_back_and_the_old_receipt_is_worthless(
    http: httpx.AsyncClient, queue: Queue
) -> None:
    await queue.put("text")
    ours = StorageQueue(http, queue.url)
    [first] = await ours.take(hidden_s=1)
    again = []
    async with asyncio.timeout(30):
        while not again:
            await asyncio.sleep(0.2)
            again = await ours.take(hidden_s=HIDDEN_S)

    assert again[0].taken == 2
    assert not await ours.delete(first)
    assert await ours.delete(again[0])
    assert not await ours.delete(again[0])


async def test_a_queue_that_is_missing_is_told_by_its_code(http: httpx.AsyncClient, queue: Queue) -> None:
    url = httpx.URL(queue.url)
    with pytest.raises(RefusedError) as refused:
        await StorageQueue(http, str(url.copy_with(path=f"{url.path}-not"))).take(hidden_s=HIDDEN_S)
    assert (refused.value.status, refused.value.code) == (404, QUEUE_NOT_FOUND)


async def test_a_signature_that_is_wrong_is_refused_and_not_told(http: httpx.AsyncClient, queue: Queue) -> None:
    url = httpx.URL(queue.url).copy_merge_params({"sig": "c2VjcmV0"})
    with pytest.raises(RefusedError) as refused:
        await StorageQueue(http, str(url)).take(hidden_s=HIDDEN_S)
    assert refused.value.status == 403
    assert "c2VjcmV0" not in str(refused.value)


def _bearer() -> str:
    """A token as Entra makes them for Storage; Azurite checks all of it but the signature."""
    now = int(time.time())
    tenant = "4d8f4e0e-5d1e-4f0a-9a53-1b7f1f3f0a11"
    claims = {
        "aud": "https://storage.azure.com",
        "iss": f"https://sts.windows.net/{tenant}/",
        "nbf": now - 60,
        "iat": now - 60,
        "exp": now + 3600,
    }
    parts = [{"alg": "RS256", "typ": "JWT"}, claims, {"signed": "no"}]
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts)


async def test_a_token_of_entra_opens_the_queue_over_tls(tmp_path: Path) -> None:
    ca = LocalCA.create(tmp_path / "ca")
    certificate = ca.server_certificate("azurite", "127.0.0.1")
    command = find_or_get(progress_for(sys.stderr))

    async def token() -> str:
        return _bearer()

    async with (
        running(command, certificate=certificate, ca_file=ca.ca_file) as azurite,
        client(tls=tls_context(ca.ca_file), auth=EntraTokenAuth(token)) as opened,
    ):
        await azurite.create_queue("events")
        assert await StorageQueue(opened, f"{azurite.url}/events").take(hidden_s=HIDDEN_S) == []


def _answers(answer: Callable[[httpx.Request], httpx.Response]) -> StorageQueue:
    return StorageQueue(client(transport=httpx.MockTransport(answer)), "https://x.queue.example/events?sig=c2VjcmV0")


@pytest.mark.parametrize(
    "body",
    [
        "",
        "{}",
        "<QueueMessagesList><QueueMessage><MessageId>1</MessageId>",
        "<QueueMessagesList><QueueMessage><MessageId>1</MessageId></QueueMessage></QueueMessagesList>",
        '<!DOCTYPE a [<!ENTITY b "c">]><QueueMessagesList>&b;</QueueMessagesList>',
        '<!DOCTYPE a SYSTEM "file:///etc/hostname"><QueueMessagesList/>',
    ],
    ids=["nothing", "no XML", "half", "no receipt", "entity", "external document type"],
)
async def test_an_answer_that_is_not_what_was_promised_is_refused(body: str) -> None:
    with pytest.raises(ContractError):
        await _answers(lambda _: httpx.Response(200, stream=httpx.ByteStream(body.encode()))).take(hidden_s=HIDDEN_S)


async def test_a_document_type_in_another_encoding_is_refused_too() -> None:
    body = '<?xml version="1.0" encoding="utf-16"?><!DOCTYPE a [<!ENTITY b "c">]><QueueMessagesList/>'.encode("utf-16")
    with pytest.raises(ContractError):
        await _answers(lambda _: httpx.Response(200, stream=httpx.ByteStream(body))).take(hidden_s=HIDDEN_S)


@pytest.mark.parametrize(("status", "retry_after_s"), [(429, 7), (500, None), (503, 30)], ids=["429", "500", "503"])
async def test_a_service_that_is_busy_says_when_to_come_again(status: int, retry_after_s: float | None) -> None:
    headers = {} if retry_after_s is None else {"Retry-After": f"{retry_after_s:g}"}
    busy = _answers(
        lambda _: httpx.Response(
            status, stream=httpx.ByteStream(b""), headers={"x-ms-error-code": "ServerBusy", **headers}
        )
    )
    with pytest.raises(TemporaryError) as failed:
        await busy.take(hidden_s=HIDDEN_S)
    assert (failed.value.status, failed.value.retry_after_s) == (status, retry_after_s)
    assert "c2VjcmV0" not in str(failed.value)


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n<QueueMessagesList>"])
async def test_a_connection_that_ends_before_the_answer_is_temporary(http: httpx.AsyncClient, said: bytes) -> None:
    async def end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(said)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(end, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(TemporaryError):
            await StorageQueue(http, f"http://127.0.0.1:{port}/events").take(hidden_s=HIDDEN_S)


async def test_a_service_that_says_nothing_is_temporary() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        async with client() as http:
            http.timeout = httpx.Timeout(0.25)
            url = f"http://127.0.0.1:{listener.getsockname()[1]}/events"
            with pytest.raises(RemoteError) as failed:
                await StorageQueue(http, url).take(hidden_s=HIDDEN_S)
    assert isinstance(failed.value, TemporaryError)
