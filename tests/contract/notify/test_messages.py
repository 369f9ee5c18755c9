"""What a patient hears of a visit, with the connector's own worker: each news once, at its time, and only what holds."""

from __future__ import annotations

import html
from datetime import timedelta

import pytest
from contract.notify.texting import (
    BOOKED,
    CANCELLED,
    DAY,
    HOUR,
    MOVED,
    REMINDED,
    configure,
    got,
    messages,
    moved_on,
    read_again,
    ready,
    start_in,
)
from contract.visits.acting import tables, until
from contract.visits.clinic import Clinic


async def test_booking_move_and_cancellation_are_told_once_each(clinic: Clinic) -> None:
    patient, phone = await clinic.patient()
    visit = await clinic.world.book(patient, starts_in=3 * DAY)
    await got(clinic, phone, BOOKED)
    await clinic.world.change(visit["id"], start=start_in(4 * DAY))
    await got(clinic, phone, BOOKED, MOVED)
    await clinic.world.change(visit["id"], status="cancelled")
    await got(clinic, phone, BOOKED, MOVED, CANCELLED)
    await read_again(clinic)
    assert len(await messages(clinic, phone)) == 3


async def test_the_link_of_a_text_opens_the_visit(clinic: Clinic) -> None:
    patient, phone = await clinic.patient()
    await clinic.world.book(patient)
    [text] = await got(clinic, phone, BOOKED)
    link = next(word for word in text.split() if word.startswith(clinic.world.connector))
    page = await clinic.world.browser().open(link)
    assert page.status_code == 200
    assert "Lamna Healthcare" in html.unescape(page.text)


async def test_a_clinic_full_of_old_bookings_texts_nobody_at_first_and_reminds_all(new_clinic: Clinic) -> None:
    clinic = new_clinic
    patient, phone = await clinic.patient()
    await clinic.world.book(patient, starts_in=25 * HOUR)
    await ready(clinic)
    await read_again(clinic)
    before = await messages(clinic, phone)
    await moved_on(clinic, 2 * HOUR)
    await got(clinic, phone, REMINDED)
    assert before == []


async def test_old_bookings_of_a_clinic_that_is_read_in_addition_are_not_confirmed(clinic: Clinic) -> None:
    patient, phone = await clinic.patient()
    await clinic.world.book(patient, location="21304877", starts_in=25 * HOUR)
    await read_again(clinic)
    clinic.world.document["endpoints"][1]["appointments"]["locations"] = ["21304870", "21304877"]
    await configure(clinic)
    await read_again(clinic, 3)
    newer, new_phone = await clinic.patient()
    await clinic.world.book(newer, location="21304877", starts_in=30 * HOUR)
    await got(clinic, new_phone, BOOKED)
    assert await messages(clinic, phone) == []


async def test_after_a_restart_nothing_is_told_again_and_what_was_booked_meanwhile_is(clinic: Clinic) -> None:
    patient, phone = await clinic.patient()
    other, other_phone = await clinic.patient()
    await clinic.world.book(patient, starts_in=3 * DAY)
    await got(clinic, phone, BOOKED)
    await clinic.world.running.aclose()
    await clinic.world.book(other, starts_in=3 * DAY)
    await clinic.world.start()
    await got(clinic, other_phone, BOOKED)
    await read_again(clinic)
    assert len(await messages(clinic, phone)) == 1


async def test_reminders_come_at_their_times_and_those_that_have_passed_do_not(clinic: Clinic) -> None:
    patient, phone = await clinic.patient()
    await clinic.world.book(patient, starts_in=25 * HOUR)
    late, late_phone = await clinic.patient()
    await clinic.world.book(late, starts_in=5 * HOUR)
    await got(clinic, phone, BOOKED)
    await got(clinic, late_phone, BOOKED)
    await moved_on(clinic, timedelta(hours=2))
    await got(clinic, phone, BOOKED, REMINDED)
    await read_again(clinic)
    assert len(await messages(clinic, late_phone)) == 1
    await moved_on(clinic, timedelta(hours=4, minutes=30))
    await got(clinic, late_phone, BOOKED, REMINDED)
    await moved_on(clinic, timedelta(hours=24, minutes=30))
    await got(clinic, phone, BOOKED, REMINDED, REMINDED)


async def test_who_cannot_be_texted_gets_an_email_instead(clinic: Clinic) -> None:
    address = "rosa@home.example"
    clinic.allow(address)
    patient, _ = await clinic.patient(phone=None, email=address)
    await clinic.world.book(patient, starts_in=3 * DAY)
    [mail] = await until(lambda: clinic.emails(address), seconds=60)
    assert mail["subject"] == "Lamna Healthcare: your video visit"

    async def ended() -> bool:
        rows = (await tables(clinic.world))["send"]
        return [(row["channel"], row["state"]) for row in rows] == [("email", "accepted")]

    assert await until(ended)


async def test_the_board_shows_that_the_patient_has_the_link(clinic: Clinic) -> None:
    patient, phone = await clinic.patient()
    chart = await clinic.chart(patient)
    await got(clinic, phone, BOOKED)

    async def is_on_it() -> bool:
        return "Link sent by text message" in (await chart.reload()).text

    assert await until(is_on_it)


@pytest.mark.parametrize("what", ["consent", "number", "suspended"])
async def test_what_is_withdrawn_stops_texts_within_one_reading_and_is_counted(clinic: Clinic, what: str) -> None:
    patient, phone = await clinic.patient()
    await clinic.world.book(patient, starts_in=25 * HOUR)
    await got(clinic, phone, BOOKED)
    if what == "consent":
        await configure(clinic, consent={"attendeesHaveConsented": True})
        await read_again(clinic)
    elif what == "number":
        await configure(clinic, sender=None)
        await read_again(clinic)
    else:
        clinic.world.document["endpoints"][1]["active"] = False
        await configure(clinic)
        await shown(clinic, "ehr_connector_endpoints_worked_for 0.0")
    await moved_on(clinic, timedelta(hours=2))
    if what != "suspended":
        reason = {"consent": "no_consent", "number": "no_sender"}[what]
        await shown(clinic, f'ehr_connector_held_messages{{reason="{reason}"}} 1.0')
    assert len(await messages(clinic, phone)) == 1
    clinic.world.document["endpoints"][1]["active"] = True
    await configure(clinic)
    await got(clinic, phone, BOOKED, REMINDED)


async def shown(clinic: Clinic, line: str) -> None:
    """Wait until a line stands in the metrics."""

    async def is_shown() -> bool:
        return line in (await clinic.world.http.get(f"{clinic.world.connector}/metrics")).text

    await until(is_shown, seconds=60)
