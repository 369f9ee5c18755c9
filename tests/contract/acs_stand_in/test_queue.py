"""Events reach a Storage queue at least once, in the shape in which Event Grid puts them there."""

from __future__ import annotations

import asyncio
import base64
import json
from contextlib import AsyncExitStack
from typing import Any
from xml.etree import ElementTree as ET

from contract.acs_stand_in.messaging import PATIENT, SENDER, events, ready, sms_client
from contract.acs_stand_in.running import AcsStarter
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ehr_sandbox.serving import serve


class Queue:
    """A queue that takes what it is given, after it has refused the first."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.messages: list[Any] = []

    async def put(self, request: Request) -> Response:
        """Put Message."""
        self.asked.append(str(request.url.query))
        if len(self.asked) == 1:
            return Response(status_code=503)
        text = ET.fromstring(await request.body()).findtext("MessageText") or ""
        self.messages.append(json.loads(base64.b64decode(text)))
        return Response(status_code=201)

    async def holds(self, count: int) -> None:
        """Wait until there are so many messages."""
        async with asyncio.timeout(10):
            while len(self.messages) < count:  # noqa: ASYNC110 (the queue is another server's)
                await asyncio.sleep(0.05)


async def test_each_event_comes_into_the_queue_although_it_was_refused_at_first() -> None:
    queue = Queue()
    async with AsyncExitStack() as stack:
        app = Starlette(routes=[Route("/account/events/messages", queue.put, methods=["POST"])])
        address = await stack.enter_async_context(serve(app))
        acs = await AcsStarter(stack)(
            behaviour={"delivery_seconds": 0}, queue_url=f"{address}/account/events?sv=2025&sig=secret"
        )
        await ready(acs)
        async with sms_client(acs) as sms:
            await sms.send(SENDER, [PATIENT], "Hello", enable_delivery_report=True)
        await acs.control("POST", "messages", {"inbound": [{"from": PATIENT, "to": SENDER, "message": "STOP"}]})
        await queue.holds(2)

        assert queue.messages == await events(acs)
        assert [message["eventType"].rpartition(".")[2] for message in queue.messages] == [
            "SMSDeliveryReportReceived",
            "SMSReceived",
        ]
        assert set(queue.asked) == {"sv=2025&sig=secret"}
