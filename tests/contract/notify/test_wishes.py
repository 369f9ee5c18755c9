"""What the EHR says of how a patient wants to be reminded decides on texts; and what waits is told to the operator."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from contract.notify.texting import BOOKED, DAY, MOVED, configure, got, messages, read_again, start_in
from contract.visits.acting import tables, until
from contract.visits.clinic import Clinic
from unit.api.full_documents import SMS_NOTIFICATIONS

CONSENT = SMS_NOTIFICATIONS["consent"]


async def begun(clinic: Clinic, **sms: Any) -> None:
    """Configure a new organisation, and wait until what is booked from now on is new."""
    await configure(clinic, **sms)

    async def is_read() -> bool:
        return bool((await tables(clinic.world))["notice_reading"])

    await until(is_read, seconds=60)


async def ended(clinic: Clinic) -> list[tuple[str, str | None]]:
    """How messages ended that were decided against."""
    return [(row["state"], row["reason"]) for row in (await tables(clinic.world))["send"] if row["state"] == "not_sent"]


async def test_who_prefers_texts_gets_them_and_who_prefers_a_call_does_not(clinic: Clinic) -> None:
    (by_text, phone), (by_call, silent) = await clinic.patient(reminders="sms"), await clinic.patient(reminders="phone")
    await clinic.world.book(by_call, starts_in=3 * DAY)
    assert await until(lambda: ended(clinic), seconds=60) == [("not_sent", "prefers_another_way")]
    await clinic.world.book(by_text, starts_in=3 * DAY)
    await got(clinic, phone, BOOKED)
    assert await messages(clinic, silent) == []


async def test_who_prefers_another_way_gets_an_email_where_there_is_an_address(clinic: Clinic) -> None:
    clinic.allow("rosa@home.example")
    patient, phone = await clinic.patient(reminders="email", email="rosa@home.example")
    await clinic.world.book(patient, starts_in=3 * DAY)
    await until(lambda: clinic.emails("rosa@home.example"), seconds=60)
    assert await messages(clinic, phone) == []


async def test_a_clinician_may_send_the_link_to_a_patient_who_prefers_calls(clinic: Clinic) -> None:
    patient, phone = await clinic.patient(reminders="phone")
    chart = await clinic.chart(patient)
    await chart.press(chart.visits[0], "send", channel="sms")
    assert len(await until(lambda: messages(clinic, phone), seconds=60)) == 1


async def test_where_the_patients_own_consent_is_required_nobody_without_it_gets_a_text(new_clinic: Clinic) -> None:
    clinic = new_clinic
    await begun(clinic, consent=CONSENT | {"patientPreference": "Required"})
    (asked, phone), (unknown, silent) = await clinic.patient(reminders="sms"), await clinic.patient()
    await clinic.world.book(unknown, starts_in=3 * DAY)
    await clinic.world.book(asked, starts_in=3 * DAY)
    await got(clinic, phone, BOOKED)
    assert await until(lambda: ended(clinic), seconds=60) == [("not_sent", "no_patient_consent")]
    assert await messages(clinic, silent) == []


async def test_where_preferences_mean_nothing_everybody_is_texted(new_clinic: Clinic) -> None:
    clinic = new_clinic
    await begun(clinic, consent=CONSENT | {"patientPreference": "Ignored"})
    patient, phone = await clinic.patient(reminders="phone")
    await clinic.world.book(patient, starts_in=3 * DAY)
    await got(clinic, phone, BOOKED)


async def test_nobody_writes_to_a_patient_who_has_died(clinic: Clinic) -> None:
    clinic.allow("rosa@home.example")
    patient, phone = await clinic.patient(deceased=True, email="rosa@home.example")
    await clinic.world.book(patient, starts_in=3 * DAY)
    assert await until(lambda: ended(clinic), seconds=60) == [("not_sent", "record_closed")]
    await read_again(clinic)
    assert (await messages(clinic, phone), await clinic.emails("rosa@home.example")) == ([], [])


async def test_the_operator_is_told_which_messages_wait_and_when_they_wait_no_more(new_clinic: Clinic) -> None:
    clinic = new_clinic
    await begun(clinic, caps={"perDay": 1, "perWeek": 100})
    patient, phone = await clinic.patient()
    visit = await clinic.world.book(patient, starts_in=3 * DAY)
    await got(clinic, phone, BOOKED)
    await clinic.world.change(visit["id"], start=start_in(4 * DAY))

    async def told() -> list[tuple[str, int]]:
        address = f"{clinic.world.connector}/control/v1/organizations/lamna/lamna/messages"
        answer = await clinic.world.http.get(
            address, headers={"Authorization": f"Bearer {clinic.world.issuer.token()}"}
        )
        return [(one["reason"], one["messages"]) for one in answer.json()["held"]]

    async def is_over() -> bool:
        return not await told()

    assert await until(told, seconds=60) == [("over_daily_cap", 1)]
    clinic.world.clock.ahead = timedelta(hours=25)
    await got(clinic, phone, BOOKED, MOVED)
    assert await until(is_over, seconds=60)
