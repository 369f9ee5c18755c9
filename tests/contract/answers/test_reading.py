"""The worker goes on reading whatever fails, drops what cannot be dealt with, and loses nothing while the database is away."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from contract.acs_stand_in.messaging import PATIENT, SENDER
from contract.answers.answering import Desk, utc_now
from sqlalchemy.exc import SQLAlchemyError

from ehr_clients.errors import RefusedError
from ehr_clients.http import client
from ehr_clients.storage_queue import StorageQueue
from ehr_connector.notify.answers.reader import MOST_TRIES, Answers
from ehr_connector.store.database import open_database
from ehr_connector.store.deliveries import Deliveries

TEXT = {
    "id": "1",
    "topic": "/providers/Microsoft.Communication/communicationServices/sandbox",
    "eventType": "Microsoft.Communication.SMSReceived",
    "data": {"messageId": "Incoming_1", "from": PATIENT, "to": SENDER, "message": "STOP"},
}


class Scripted:
    """A queue that says what it is told to."""

    def __init__(self, *answers: httpx.Response) -> None:
        self.answers = [*answers]
        self.asked: list[str] = []

    @property
    def queue(self) -> StorageQueue:
        """The queue, as our client has it."""
        return StorageQueue(client(transport=httpx.MockTransport(self._answer)), "https://x.example/events?sig=x")

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request.method)
        return self.answers.pop(0)


def answered(status: int = 200, *, taken: int = 1, text: str | None = None, **headers: str) -> httpx.Response:
    """A queue's answer, with one message or none."""
    message = ""
    if text is not None:
        fields = {"MessageId": "1", "PopReceipt": "r", "DequeueCount": str(taken), "MessageText": text}
        message = "".join(f"<{name}>{value}</{name}>" for name, value in fields.items())
        message = f"<QueueMessage>{message}</QueueMessage>"
    body = f"<QueueMessagesList>{message}</QueueMessagesList>".encode()
    return httpx.Response(
        status,
        stream=httpx.ByteStream(body),
        headers={name.replace("_", "-"): value for name, value in headers.items()},
    )


def encoded(content: object = TEXT) -> str:
    return base64.b64encode(json.dumps(content).encode()).decode()


@asynccontextmanager
async def reading(answers: Answers) -> AsyncGenerator[None]:
    """Read beside the block."""
    task = asyncio.create_task(answers.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_the_worker_reads_on_after_a_queue_that_is_missing_and_one_that_is_busy(desk: Desk) -> None:
    scripted = Scripted(
        answered(404, x_ms_error_code="QueueNotFound"),
        answered(503, Retry_After="0"),
        answered(text=encoded()),
        answered(204),
        *(answered() for _ in range(600)),
    )
    async with reading(replace(desk.answers, queue=scripted.queue)), asyncio.timeout(30):
        while not await desk.is_opted_out():  # noqa: ASYNC110 (the worker does it)
            await asyncio.sleep(0.05)

    sample = desk.answers.metrics.registry.get_sample_value
    assert sample("ehr_connector_answer_reads_total", {"outcome": "failed"}) == 2


async def test_an_answer_that_was_taken_too_often_is_dropped_without_a_word_of_it_in_the_log(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    scripted = Scripted(answered(text=encoded(), taken=MOST_TRIES + 1), answered(204))
    caplog.set_level(logging.WARNING, logger="ehr_connector")
    await replace(desk.answers, queue=scripted.queue).read()

    assert scripted.asked == ["GET", "DELETE"]
    assert not await desk.is_opted_out()
    assert desk.count("text", "dropped") == 1
    assert "an answer (text) is dropped" in caplog.text
    assert "STOP" not in caplog.text


async def test_an_answer_that_is_hard_to_deal_with_stays_in_the_queue_and_keeps_no_other_waiting(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(Deliveries):
        async def find(self, report: object) -> None:
            raise ZeroDivisionError("with a name in it")

    await desk.send()
    await desk.say("STOP")
    await desk.queue.holds(2)
    await replace(desk.answers, deliveries=Broken(desk.engine, utc_now)).read()

    assert await desk.is_opted_out()
    assert desk.count("text_report", "later") == 1
    assert await desk.queue.size() == 1
    assert "ZeroDivisionError" in caplog.text
    assert "with a name in it" not in caplog.text


async def test_nothing_is_taken_while_the_database_is_away(desk: Desk, tmp_path: Path) -> None:
    away = open_database(f"sqlite+aiosqlite:///{tmp_path / 'nowhere' / 'connector.sqlite3'}")
    scripted = Scripted()
    answers = replace(desk.answers, queue=scripted.queue, deliveries=Deliveries(away, utc_now))
    with pytest.raises(SQLAlchemyError):
        await answers.read()
    await away.dispose()
    assert scripted.asked == []


async def test_a_worker_that_is_cut_off_anywhere_loses_nothing(desk: Desk) -> None:
    phones = [f"+1425555{number:04}" for number in range(12)]
    for phone in phones:
        await desk.say("STOP", phone=phone)
    await desk.queue.holds(len(phones))
    answers = replace(desk.answers, hidden_s=1)
    for seconds in (0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.08):
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await answers.read()
    async with asyncio.timeout(60):
        while await desk.queue.size():
            await answers.read()
            await asyncio.sleep(0.1)

    assert [await desk.is_opted_out(phone) for phone in phones] == [True] * len(phones)


async def test_an_answer_that_could_not_be_deleted_comes_again_and_changes_nothing_more(desk: Desk) -> None:
    scripted = Scripted(answered(text=encoded()), answered(403), answered(text=encoded(), taken=2), answered(204))
    answers = replace(desk.answers, queue=scripted.queue)
    with pytest.raises(RefusedError):
        await answers.read()
    await answers.read()
    assert scripted.asked == ["GET", "DELETE", "GET", "DELETE"]
    assert await desk.is_opted_out()


async def test_an_event_of_another_kind_is_deleted(desk: Desk) -> None:
    await desk.queue.put_event(TEXT | {"eventType": "Microsoft.Communication.ChatMessageReceived"})
    await desk.read()
    assert desk.count("other", "ignored") == 1
    assert await desk.queue.size() == 0
