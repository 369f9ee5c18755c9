"""Send link: the clinician presses a button, the patient gets one message, and nothing of the patient is written down."""

from __future__ import annotations

import asyncio
import html
import re
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
from contract.visits.acting import LINK, Chart, tables
from contract.visits.clinic import EMAIL_SENDER, SENDER, Clinic, configured, running_clinic, sending
from contract.visits.world import Document

from ehr_sandbox.local_ca import LocalCA

pytestmark = pytest.mark.asyncio(loop_scope="module")

NOTICE = re.compile(r'<p class="notice (\w+)" role="status">([^<]+)</p>')
NIGHT = datetime(2027, 2, 10, 4, 0, tzinfo=UTC)
"""22:00 in Chicago."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory, ca: LocalCA) -> AsyncGenerator[Clinic]:
    """A hospital for all tests of the module."""
    work = tmp_path_factory.mktemp("sending")
    async with running_clinic(work, ca, f"sqlite+aiosqlite:///{work / 'connector.sqlite3'}") as found:
        yield found


@pytest_asyncio.fixture(loop_scope="module")
async def clinic(running: Clinic) -> AsyncGenerator[Clinic]:
    """The hospital as it sends, and afterwards undisturbed."""
    usual = sending(running)
    if usual != {name: running.world.document.get(name) for name in usual}:
        await configured(running)
    yield running
    await running.world.control(running.acs, "PUT", "faults", json=[])
    await running.world.undisturb()


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


@pytest.mark.parametrize(
    ("missing", "says"),
    [
        ("number", "no sender is linked to this endpoint."),
        ("switch", "your organization does not send such messages."),
        ("consent", "your organization has not recorded its consent to text messages."),
    ],
)
async def test_a_button_is_not_there_while_the_set_up_allows_no_texts(clinic: Clinic, missing: str, says: str) -> None:
    changes: dict[str, Document] = {
        "number": {"sender": None},
        "switch": {"sms": {"enabled": False}},
        "consent": {"sms": {"enabled": True, "consent": {}}},
    }
    patient, phone = await clinic.patient()
    chart = await clinic.chart(patient)
    before = chart.page.text
    await configured(clinic, **changes[missing])
    notice = await press(chart)

    assert "Send link by text message" in before
    assert "Send link by text message" not in (await chart.reload()).text
    assert "Send link by e-mail" in chart.page.text
    assert notice == ("warn", f"Not sent: {says}")
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
