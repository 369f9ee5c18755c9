"""A running simulator, and the vendor's client for it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack

import httpx
import pytest
from azure.communication.phonenumbers.aio import PhoneNumbersClient
from contract.acs_stand_in.running import AcsStandIn, AcsStarter


@pytest.fixture
async def start_acs() -> AsyncGenerator[AcsStarter]:
    async with AsyncExitStack() as resources:
        yield AcsStarter(resources)


@pytest.fixture
async def acs(start_acs: AcsStarter) -> AcsStandIn:
    return await start_acs()


@pytest.fixture
async def sdk(acs: AcsStandIn) -> PhoneNumbersClient:
    return await acs.sdk()


@pytest.fixture
async def acs_http(acs: AcsStandIn) -> httpx.AsyncClient:
    return await acs.http()
