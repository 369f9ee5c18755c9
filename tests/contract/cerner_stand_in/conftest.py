"""Running simulators of the EHR."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack

import pytest
from contract.cerner_stand_in.journey import Journey, journey_at
from contract.cerner_stand_in.running import CernerStandIn, Clock, Starter


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def start_cerner(clock: Clock) -> AsyncGenerator[Starter]:
    async with AsyncExitStack() as resources:
        yield Starter(clock, resources)


@pytest.fixture
async def cerner(start_cerner: Starter) -> CernerStandIn:
    return await start_cerner()


@pytest.fixture
async def journey(cerner: CernerStandIn) -> Journey:
    """A launch at a stand-in that knows two apps."""
    return await journey_at(cerner)
