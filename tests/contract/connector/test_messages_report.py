"""The report on messages: what workers told, as the operator's client reads it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import UTC, datetime

import httpx
import pytest
from contract.connector.running import Connector, organization
from sqlalchemy.ext.asyncio import AsyncEngine

from ehr_api.control import HeldMessages as HeldMessagesOfReason
from ehr_api.control import MessagesReport, NumberTrouble, OrganizationConfiguration, messages_path
from ehr_clients.control import Control, TokenAuth
from ehr_clients.http import client
from ehr_connector.store.database import open_database
from ehr_connector.store.held_messages import HeldMessages
from ehr_connector.store.number_troubles import NumberTroubles

URL = "https://connector.lamna.example"
SINCE = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.fixture
async def control(connector: Connector) -> AsyncGenerator[Control]:
    """The operator's client, of a connector that knows the organisation."""
    transport = httpx.ASGITransport(connector.app, raise_app_exceptions=False)
    async with client(transport=transport, auth=TokenAuth(connector.issuer.token)) as http:
        control = Control(http, URL)
        await control.configure(OrganizationConfiguration.model_validate(organization()), replaces=None)
        yield control


@pytest.fixture
async def engine(connector: Connector, database_url: str) -> AsyncGenerator[AsyncEngine]:
    """The connector's database, as a worker has it."""
    assert connector.app is not None
    engine = open_database(database_url)
    yield engine
    await engine.dispose()


def now() -> datetime:
    return datetime.now(UTC)


async def test_nothing_waits_and_no_number_is_in_trouble_at_first(control: Control) -> None:
    assert await control.messages("lamna", "lamna") == MessagesReport()


async def test_what_workers_hold_and_what_the_provider_said_is_reported(control: Control, engine: AsyncEngine) -> None:
    await HeldMessages(engine, now).tell(
        {
            ("lamna", "lamna", "test"): {"quiet_hours": 2},
            ("lamna", "lamna", "production"): {"quiet_hours": 3, "no_provider": 1},
            ("lamna", "other", "test"): {"quiet_hours": 9},
        }
    )
    troubles = NumberTroubles(engine, now)
    await troubles.note("lamna", "lamna", "+18005550100", 4010, SINCE)
    await troubles.note("lamna", "other", "+18005550111", 4010, SINCE)

    assert await control.messages("lamna", "lamna") == MessagesReport(
        held=[
            HeldMessagesOfReason(reason="no_provider", messages=1),
            HeldMessagesOfReason(reason="quiet_hours", messages=5),
        ],
        troubles=[NumberTrouble(number="+18005550100", code=4010, since=SINCE)],
    )
    await troubles.clear("lamna", "lamna", "+18005550100", now())
    found = await control.messages("lamna", "lamna")
    assert found is not None
    assert found.troubles == []


async def test_an_organisation_that_is_not_configured_has_no_report(control: Control) -> None:
    assert await control.messages("lamna", "nobody") is None


async def test_the_report_is_for_the_operator_alone(connector: Connector) -> None:
    async with client(transport=httpx.ASGITransport(connector.app, raise_app_exceptions=False)) as http:
        answer = await http.get(URL + messages_path("lamna", "lamna"))
    assert answer.status_code == 401
