"""Send link: the clinician presses a button, the patient gets one message, and nothing of the patient is written down."""

from __future__ import annotations

import asyncio
import html
import re
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from contract.visits.acting import LINK, Chart, clinician_of, signed_in, tables
from contract.visits.world import Document, World, running_world
from unit.api.full_documents import SMS_NOTIFICATIONS

from ehr_sandbox.acs.app import create_app as create_acs
from ehr_sandbox.acs.settings import AcsSettings, Behaviour, example_access_key
from ehr_sandbox.local_ca import LocalCA
from ehr_sandbox.serving import serve

pytestmark = pytest.mark.asyncio(loop_scope="module")

SENDER, EMAIL_SENDER = "+18005550100", "visits@lamna.example"
NOTICE = re.compile(r'<p class="notice (\w+)" role="status">([^<]+)</p>')
NIGHT = datetime(2027, 2, 10, 4, 0, tzinfo=UTC)
"""22:00 in Chicago."""


ONLY_LINKS: Document = {
    "enabled": True,
    "defaultLocale": "en",
    "confirmation": {"onBooking": False, "onChange": False, "onCancellation": False},
    "reminders": [],
}
"""Settings under which nobody gets a message that no clinician sent."""


@dataclass
class Clinic:
    """The hospital with its message provider, and the list of those whom Test endpoints may write to."""

    world: World
    acs: str
    allowed: Path
    phones: int = 0

    async def patient(self, *, allowed: bool = True, **changes: Any) -> tuple[str, str]:
        """Plant a patient, by usual on the list, and return the id and the phone."""
        self.phones += 1
        phone = f"+1214555{self.phones:04}"
        if allowed:
            self.allow(phone)
        return await self.world.patient(**{"phone": phone.removeprefix("+1")} | changes), phone

    def allow(self, recipient: str) -> None:
        """Put a recipient on the list."""
        with self.allowed.open("a", encoding="utf-8") as file:
            file.write(f"{recipient}\n")

    async def chart(self, patient: str, **booking: Any) -> Chart:
        """Book a visit and open the board."""
        booked = await self.world.book(patient, **booking)
        return await signed_in(self.world, patient, booked["encounter"], **clinician_of(self.world))

    async def texts(self, phone: str) -> list[Document]:
        """The texts to a phone that the provider accepted."""
        ledger = await self.world.control(self.acs, "GET", "ledger")
        return [text for text in ledger["texts"] if text["to"] == phone]

    async def emails(self, address: str) -> list[Document]:
        """The e-mails to an address that the provider accepted."""
        ledger = await self.world.control(self.acs, "GET", "ledger")
        return [mail for mail in ledger["emails"] if mail["to"] == [address]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory, ca: LocalCA) -> AsyncGenerator[Clinic]:
    """A hospital for all tests of the module."""
    work = tmp_path_factory.mktemp("sending")
    async with AsyncExitStack() as stack:
        chain, key = ca.server_certificate("acs", "127.0.0.1")
        behaviour = Behaviour(verified_at_once=True, delivery_seconds=0, texts_per_minute=10_000)
        app = create_acs(AcsSettings(behaviour=behaviour))
        acs = await stack.enter_async_context(serve(app, ssl_certfile=chain, ssl_keyfile=key))
        (work / "access-key").write_text(example_access_key())
        allowed = work / "recipients" / "lamna" / "lamna"
        allowed.parent.mkdir(parents=True)
        allowed.touch()
        world = await stack.enter_async_context(
            running_world(
                work,
                ca,
                f"sqlite+aiosqlite:///{work / 'connector.sqlite3'}",
                acs_credential=f"file:{work / 'access-key'}",
                trusted_urls=acs,
                test_recipients_dir=work / "recipients",
            )
        )
        await world.control(acs, "POST", "state", json={"own": [SENDER]})
        yield Clinic(world, acs, allowed)


@pytest_asyncio.fixture(loop_scope="module")
async def clinic(running: Clinic) -> AsyncGenerator[Clinic]:
    """The hospital as it sends, and afterwards undisturbed."""
    usual = sending(running)
    if usual != {name: running.world.document.get(name) for name in usual}:
        await configured(running)
    yield running
    running.world.clock.at = None
    for system in (running.acs, running.world.cerner):
        await running.world.control(system, "PUT", "faults", json=[])


def sending(clinic: Clinic, *, sms: Document | None = None, sender: str | None = SENDER) -> Document:
    """What of the document is about messages."""
    endpoints = deepcopy(clinic.world.document["endpoints"])
    for endpoint in endpoints:
        endpoint.pop("senderNumber", None)
        if sender is not None:
            endpoint["senderNumber"] = sender
    return {
        "communicationServices": {"endpoint": clinic.acs},
        "smsNotifications": SMS_NOTIFICATIONS | ONLY_LINKS | (sms or {}),
        "emailNotifications": {"enabled": True, "senderAddress": EMAIL_SENDER, "replyTo": "desk@lamna.example"},
        "endpoints": endpoints,
    }


async def configured(clinic: Clinic, **changes: Any) -> None:
    """Configure the organisation, and wait until every part of the connector goes by it."""
    await clinic.world.configure(**sending(clinic, **changes))
    await asyncio.sleep(0.6)


async def press(chart: Chart, channel: str = "sms") -> tuple[str, str]:
    """Press the button of the first visit, and return the kind and the words of the notice."""
    answer = await chart.press(chart.visits[0], "send", channel=channel)
    assert answer.status_code == 303, answer.text
    page = await chart.browser.open(str(answer.request.url.join(answer.headers["Location"])))
    [(kind, words)] = NOTICE.findall(page.text)
    return kind, html.unescape(words)


async def test_a_text_takes_the_patients_link_to_the_phone(clinic: Clinic) -> None:
    patient, phone = await clinic.patient()
    chart = await clinic.chart(patient)
    link = html.unescape(LINK.findall(chart.page.text)[0])

    assert await press(chart) == ("good", "The link was sent.")

    [text] = await clinic.texts(phone)
    assert text["from"] == SENDER
    assert text["message"].startswith("Lamna Healthcare: video visit ")
    assert text["message"].endswith(f": {link} Reply STOP to opt out.")
    assert "Link sent by text message" in (await chart.reload()).text


async def test_a_text_is_in_the_patients_language(clinic: Clinic) -> None:
    patient, phone = await clinic.patient(language="es")
    await press(await clinic.chart(patient))

    [text] = await clinic.texts(phone)
    assert "visita por video" in text["message"]


async def test_an_email_takes_the_link_to_the_mailbox(clinic: Clinic) -> None:
    address = "rosa@home.example"
    clinic.allow(address)
    patient, phone = await clinic.patient(email=address)
    chart = await clinic.chart(patient)
    link = html.unescape(LINK.findall(chart.page.text)[0])

    assert await press(chart, "email") == ("good", "The link was sent.")

    [mail] = await clinic.emails(address)
    async with chart.world.browser().http as browser:
        mailbox = await browser.get(f"{clinic.acs}/mailbox/{address}")
    assert (mail["from"], mail["subject"]) == (EMAIL_SENDER, "Lamna Healthcare: the link of your video visit")
    assert f'href="{link}"' in mailbox.text
    assert await clinic.texts(phone) == []


async def test_presses_that_come_together_are_one_text(clinic: Clinic) -> None:
    patient, phone = await clinic.patient()
    chart = await clinic.chart(patient)
    await clinic.world.fault(clinic.acs, "/sms", action="delay", delay_s=0.5)

    told = await asyncio.gather(*(press(chart) for _ in range(3)))

    assert sorted(told) == [("good", "The link was sent.")] + [("warn", "The link is being sent already.")] * 2
    assert len(await clinic.texts(phone)) == 1


async def test_a_later_press_is_one_more_text(clinic: Clinic) -> None:
    patient, phone = await clinic.patient()
    chart = await clinic.chart(patient)
    assert [await press(chart), await press(chart)] == [("good", "The link was sent.")] * 2
    assert len(await clinic.texts(phone)) == 2


@pytest.mark.parametrize(
    "rule",
    [{"action": "lose_answer"}, {"action": "half_answer"}, {"action": "status", "status": 503}, {"action": "cut"}],
    ids=lambda rule: str(rule["action"]),
)
@pytest.mark.parametrize("channel", ["sms", "email"])
async def test_a_press_after_a_lost_answer_sends_nothing_twice(
    clinic: Clinic, rule: dict[str, Any], channel: str
) -> None:
    address = f"{rule['action']}@home.example"
    clinic.allow(address)
    patient, phone = await clinic.patient(email=address)
    chart = await clinic.chart(patient)
    path = "/sms" if channel == "sms" else "/emails:send"
    await clinic.world.fault(clinic.acs, path, **rule)
    first = await press(chart, channel)
    await clinic.world.control(clinic.acs, "PUT", "faults", json=[])
    second = await press(chart, channel)

    assert first[0] == "warn"
    assert first[1].startswith("Perhaps not sent")
    assert second == ("good", "The link was sent.")
    assert len([*await clinic.texts(phone), *await clinic.emails(address)]) == 1


async def test_a_refusal_of_the_provider_is_told_and_the_next_press_begins_anew(clinic: Clinic) -> None:
    patient, phone = await clinic.patient()
    chart = await clinic.chart(patient)
    await clinic.world.fault(clinic.acs, "/sms", action="status", status=401)
    refused = await press(chart)
    await clinic.world.control(clinic.acs, "PUT", "faults", json=[])

    assert refused == ("warn", "Not sent: the message service refused it. Copy the link instead.")
    assert (await press(chart))[0] == "good"
    assert len(await clinic.texts(phone)) == 1


async def test_an_ehr_that_does_not_tell_the_phone_is_told(clinic: Clinic) -> None:
    patient, phone = await clinic.patient()
    chart = await clinic.chart(patient)
    await clinic.world.fault(clinic.world.cerner, f"/Patient/{patient}", action="status", status=503)

    assert (await press(chart))[1].startswith("Not sent: the EHR does not answer.")
    assert await clinic.texts(phone) == []


async def test_a_test_endpoint_writes_to_nobody_but_those_on_its_list(clinic: Clinic) -> None:
    patient, phone = await clinic.patient(allowed=False)
    chart = await clinic.chart(patient)
    refused = await press(chart)
    clinic.allow(phone)

    assert refused == ("warn", "Not sent: this is a test endpoint, and the patient is not on its list of recipients.")
    assert (await press(chart))[0] == "good"


@pytest.mark.parametrize(
    ("phone", "words"),
    [
        (None, "Not sent: the EHR has no phone number of the patient."),
        ("call the daughter", "Not sent: none of the patient's phone numbers can take text messages."),
    ],
)
async def test_a_patient_without_a_phone_for_texts_is_told(clinic: Clinic, phone: str | None, words: str) -> None:
    patient, _ = await clinic.patient(phone=phone)
    assert await press(await clinic.chart(patient)) == ("warn", words)


async def test_no_text_goes_out_at_night_unless_the_visit_is_open(clinic: Clinic) -> None:
    clinic.world.clock.at = NIGHT
    patient, phone = await clinic.patient()
    later = await clinic.chart(patient, start=(NIGHT + timedelta(hours=3)).isoformat())
    refused = await press(later)
    await clinic.world.book(patient, start=(NIGHT + timedelta(minutes=5)).isoformat())
    await later.reload()

    assert refused == ("warn", "Not sent: these are quiet hours, and the visit is not open yet.")
    assert (await press(later))[0] == "good"
    assert len(await clinic.texts(phone)) == 1


async def test_the_daily_cap_counts_all_visits_of_a_phone(clinic: Clinic) -> None:
    await configured(clinic, sms={"caps": {"perDay": 1, "perWeek": 9}})
    patient, phone = await clinic.patient()
    first, second = await clinic.chart(patient), await clinic.chart(patient, starts_in=timedelta(minutes=20))
    assert await press(first) == ("good", "The link was sent.")
    assert await press(second) == ("warn", "Not sent: the patient has got as many messages as a day allows.")
    assert len(await clinic.texts(phone)) == 1


@pytest.mark.parametrize("missing", ["number", "switch", "consent"])
async def test_a_button_is_not_there_while_the_set_up_allows_no_texts(clinic: Clinic, missing: str) -> None:
    changes: dict[str, Document] = {
        "number": {"sender": None},
        "switch": {"sms": {"enabled": False}},
        "consent": {"sms": {"enabled": False, "consent": {}}},
    }
    patient, phone = await clinic.patient()
    chart = await clinic.chart(patient)
    before = chart.page.text
    await configured(clinic, **changes[missing])
    kind, _ = await press(chart)

    assert "Send link by text message" in before
    assert "Send link by text message" not in (await chart.reload()).text
    assert "Send link by e-mail" in chart.page.text
    assert kind == "warn"
    assert await clinic.texts(phone) == []


async def test_a_link_is_not_sent_without_end(clinic: Clinic) -> None:
    await configured(clinic, sms={"caps": {"perDay": 20, "perWeek": 100}})
    patient, phone = await clinic.patient()
    chart = await clinic.chart(patient)
    for _ in range(5):
        assert (await press(chart))[0] == "good"
    refused = await chart.press(chart.visits[0], "send", channel="sms")

    assert refused.status_code == 429
    assert len(await clinic.texts(phone)) == 5


@pytest.mark.parametrize(
    "changes", [{"channel": "fax"}, {"channel": "sms", "csrf": "forged"}], ids=["no such channel", "no form of ours"]
)
async def test_a_press_that_is_none_of_ours_sends_nothing(clinic: Clinic, changes: dict[str, str]) -> None:
    patient, phone = await clinic.patient()
    chart = await clinic.chart(patient)
    answer = await chart.press(chart.visits[0], "send", **changes)

    assert answer.status_code == 400
    assert await clinic.texts(phone) == []


async def test_who_and_when_is_written_down_and_nothing_of_the_patient(clinic: Clinic) -> None:
    address = "canary.rosa@home.example"
    clinic.allow(address)
    patient, phone = await clinic.patient(email=address)
    chart = await clinic.chart(patient)
    await press(chart)
    await press(chart, "email")
    await clinic.world.fault(clinic.acs, "/sms", action="status", status=503)
    await press(chart)
    await clinic.world.control(clinic.acs, "PUT", "faults", json=[])
    clinic.allowed.write_text("")
    await press(chart)
    written = await tables(clinic.world)
    visit = chart.visits[0]

    sends = [row for row in written["send"] if row["visit"] == visit]
    audited = [row for row in written["audit_event"] if row["object"] == visit and row["action"] == "sent"]
    told = [row for row in written["visit_event"] if row["visit"] == visit and row["kind"] == "link_sent"]
    assert [(row["channel"], row["state"], row["reason"]) for row in sends] == [
        ("sms", "accepted", None),
        ("email", "accepted", None),
        ("sms", "not_sent", "not_allowed_in_test"),
    ]
    assert [row["outcome"] for row in audited] == ["sms", "email", "failed", "refused"]
    assert [row["code"] for row in told] == ["sms", "email"]
    everything = str(written)
    assert visit in everything
    for canary in (phone.removeprefix("+1"), address, patient, "Quillfeather", "Reply STOP"):
        assert canary not in everything


async def test_a_connector_that_dies_while_it_sends_leaves_one_text_to_whoever_presses_next(clinic: Clinic) -> None:
    patient, phone = await clinic.patient()
    chart = await clinic.chart(patient)
    await clinic.world.fault(clinic.acs, "/sms", action="delay", delay_s=2.0)
    pressed = asyncio.create_task(chart.press(chart.visits[0], "send", channel="sms"))
    await _arrived(clinic)
    await clinic.world.restart()
    broken_off = await pressed
    await clinic.world.control(clinic.acs, "PUT", "faults", json=[])
    too_early = await press(chart)
    await asyncio.sleep(2.0)  # the provider takes what it was sent, although nobody waits for its answer
    clinic.world.clock.ahead = timedelta(seconds=61)
    resumed = await press(chart)
    clinic.world.clock.ahead = timedelta()

    assert broken_off.status_code == 500
    assert too_early == ("warn", "The link is being sent already.")
    assert resumed == ("good", "The link was sent.")
    assert len(await clinic.texts(phone)) == 1


async def _arrived(clinic: Clinic) -> None:
    """Wait until a request has met the fault."""
    async with asyncio.timeout(10):
        while not (await clinic.world.control(clinic.acs, "GET", "faults"))[0]["matched"]:  # noqa: ASYNC110 (below)
            await asyncio.sleep(0.05)  # the stand-in is another server: it has no event for us
