"""A gateway keeps connections to the connector open between requests, and asks on them again whenever it likes."""

from __future__ import annotations

import asyncio

from contract.connector.listening import answered, serving_ok

from ehr_sandbox.local_ca import LocalCA

AFTER_S = 6
"""More than uvicorn's own five seconds, after which it would close."""


async def test_a_connection_that_was_idle_for_a_while_takes_the_next_request(ca: LocalCA) -> None:
    async with serving_ok(ca, *ca.server_certificate("idle", "localhost")) as serving:
        connection = await serving.connect()
        assert await answered(*connection) == b"ok"

        await asyncio.sleep(AFTER_S)

        assert await answered(*connection) == b"ok"
        connection[1].transport.abort()
