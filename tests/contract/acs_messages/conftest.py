"""Our clients of messages, against the simulator."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack

import pytest
from contract.acs_messages.connected import Connected
from contract.acs_stand_in.messaging import ready
from contract.acs_stand_in.running import AcsStarter

from ehr_clients.acs_auth import AccessKeyAuth
from ehr_clients.acs_email import Email
from ehr_clients.acs_sms import Sms
from ehr_clients.http import client


@pytest.fixture
async def connected() -> AsyncGenerator[Connected]:
    async with AsyncExitStack() as resources:
        acs = await AcsStarter(resources)()
        await ready(acs)
        http = await resources.enter_async_context(client(auth=AccessKeyAuth(acs.settings.access_key)))
        yield Connected(acs, http, Sms(http, acs.url), Email(http, acs.url))
