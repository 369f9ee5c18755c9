"""The facts that speak of messages to patients, with a message provider: each must be true of ours (see `test_facts`)."""

from __future__ import annotations

import html
from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from contract.notify.texting import BOOKED, DAY, REMINDED, configure, got, read_again, ready
from contract.visits.acting import HEADING, Chart, tables, until
from contract.visits.clinic import SENDER, Clinic, running_clinic
from contract.visits.world import OTHER_TENANT, Document

from ehr_sandbox.local_ca import LocalCA

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory, ca: LocalCA) -> AsyncGenerator[Clinic]:
    """A hospital that texts its patients."""
    work = tmp_path_factory.mktemp("facts")
    async with running_clinic(work, ca, f"sqlite+aiosqlite:///{work / 'connector.sqlite3'}") as found:
        await ready(found)
        yield found


@pytest_asyncio.fixture(loop_scope="module")
async def clinic(running: Clinic) -> AsyncGenerator[Clinic]:
    """The same, afterwards with its settings and its clock as they should be."""
    document = running.world.document.copy()
    yield running
    if running.world.document != document:
        await running.world.configure(**document)
        await read_again(running)  # what was booked before is old


@pytest_asyncio.fixture(loop_scope="module")
async def new_clinic(tmp_path: Path, ca: LocalCA) -> AsyncGenerator[Clinic]:
    """Another one, whose settings stay as a test leaves them."""
    async with running_clinic(tmp_path, ca, f"sqlite+aiosqlite:///{tmp_path / 'connector.sqlite3'}") as found:
        await ready(found)
        yield found


async def opened(clinic: Clinic, text: str) -> list[str]:
    """Open the link in a text, and return the heading of the page."""
    link = next(word for word in text.split() if word.startswith(clinic.world.connector))
    return HEADING.findall(html.unescape((await clinic.world.browser().open(link)).text))


async def pressed(chart: Chart, channel: str) -> None:
    assert (await chart.press(chart.visits[0], "send", channel=channel)).status_code == 303


async def test_s2_patients_join_from_a_text(clinic: Clinic) -> None:
    patient, phone = await clinic.patient()
    chart = await clinic.chart(patient)
    await pressed(chart, "sms")
    text = (await clinic.texts(phone))[-1]["message"]
    assert await opened(clinic, text) == ["Your video visit"]


async def test_s2_patients_join_from_an_email(clinic: Clinic) -> None:
    address = "rosa.facts@home.example"
    clinic.allow(address)
    patient, _ = await clinic.patient(email=address)
    chart = await clinic.chart(patient)
    await pressed(chart, "email")
    async with clinic.world.browser().http as browser:
        mailbox = html.unescape((await browser.get(f"{clinic.acs}/mailbox/{address}")).text)
    link = mailbox.partition('href="')[2].partition('"')[0]
    assert await opened(clinic, link) == ["Your video visit"]


async def test_s12_each_scheduled_visit_is_confirmed_and_reminded_of(new_clinic: Clinic) -> None:
    clinic = new_clinic
    await configure(clinic, reminders=["24h59m50s"])
    await read_again(clinic)
    patient, phone = await clinic.patient()
    await clinic.world.book(patient, starts_in=timedelta(hours=25))
    _, reminder = await got(clinic, phone, BOOKED, REMINDED)
    assert await opened(clinic, reminder) == ["Your video visit"]


@pytest.mark.parametrize("missing", ["sendOnBehalfOfOrganization", "attendeesHaveConsented"])
async def test_s9_without_both_consents_no_text_goes_out(clinic: Clinic, missing: str) -> None:
    consent: Document = clinic.world.document["smsNotifications"]["consent"]
    given = {name: value for name, value in consent.items() if name != missing}
    endpoint = clinic.world.document["endpoints"][-1]
    assert (endpoint["name"], endpoint["senderNumber"]) == ("lamna-test", SENDER)
    # Switched on, so that it is the consent that is missing.
    await configure(clinic, enabled=True, consent=given)
    patient, phone = await clinic.patient()
    chart = await clinic.chart(patient)

    async def is_taken_away() -> bool:
        return "Send link by text message" not in (await chart.reload()).text

    await until(is_taken_away)
    await pressed(chart, "sms")
    assert await clinic.texts(phone) == []


async def test_s11_one_number_serves_several_fhir_base_urls(clinic: Clinic) -> None:
    endpoints = [one | {"active": True} for one in clinic.world.document["endpoints"]]
    await clinic.world.configure(endpoints=endpoints)

    async def are_read() -> bool:
        return len((await tables(clinic.world))["notice_reading"]) == len(endpoints)

    await until(are_read, seconds=60)
    assert len({one["baseURL"] for one in endpoints}) == 2
    assert {one["senderNumber"] for one in endpoints} == {SENDER}
    patient, phone = await clinic.patient()
    other, other_phone = await clinic.patient(tenant=OTHER_TENANT)
    await clinic.world.book(patient, starts_in=3 * DAY)
    await clinic.world.book(other, starts_in=3 * DAY, tenant=OTHER_TENANT)
    for number in (phone, other_phone):
        await got(clinic, number, BOOKED)
        assert {text["from"] for text in await clinic.texts(number)} == {SENDER}
