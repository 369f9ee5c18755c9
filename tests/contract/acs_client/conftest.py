"""Our client of phone numbers, against the simulator."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack

import pytest
from contract.acs_client.connected import Connected
from contract.acs_stand_in.running import AcsStarter

from ehr_clients.acs_auth import AccessKeyAuth
from ehr_clients.acs_numbers import PhoneNumbers
from ehr_clients.http import client


@pytest.fixture
async def resources() -> AsyncGenerator[AsyncExitStack]:
    async with AsyncExitStack() as resources:
        yield resources


@pytest.fixture
def start_acs(resources: AsyncExitStack) -> AcsStarter:
    return AcsStarter(resources)


@pytest.fixture
async def connected(start_acs: AcsStarter, resources: AsyncExitStack) -> Connected:
    acs = await start_acs(behaviour={"purchase_quota": 9})
    http = await resources.enter_async_context(client(auth=AccessKeyAuth(acs.settings.access_key)))
    return Connected(acs, http, PhoneNumbers(http, acs.url))
