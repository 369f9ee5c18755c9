"""A confirmation or a reminder that the carrier could not deliver goes out again by the planner, within bounds."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from contract.notify.texting import BOOKED, HOUR, REMINDED, got, messages, read_again
from contract.visits.acting import tables, until
from contract.visits.clinic import Clinic

PAUSES = (timedelta(minutes=6), timedelta(minutes=31))


async def fail(clinic: Clinic, phone: str, code: int, count: int = 1) -> None:
    """Let the next texts to a phone fail."""
    codes = [{"code": code, "to": phone, "count": count}]
    await clinic.world.control(clinic.acs, "POST", "messages", json={"codes": codes})


async def states(clinic: Clinic, *expected: str) -> list[dict[str, Any]]:
    """Wait until the messages are in these states, and return them."""

    async def are() -> list[dict[str, Any]] | None:
        rows = sorted((await tables(clinic.world))["send"], key=lambda row: str(row["first_sent_at"]))
        return rows if [row["state"] for row in rows] == [*expected] else None

    return await until(are, seconds=60)


async def open_again(clinic: Clinic, attempts: int) -> None:
    """Wait until the newest message is to be tried for the attempts-th time: it is claimed too while it is sent at first."""

    async def is_open() -> bool:
        rows = sorted((await tables(clinic.world))["send"], key=lambda row: str(row["first_sent_at"]))
        return bool(rows) and (rows[-1]["state"], rows[-1]["attempts"]) == ("claimed", attempts)

    await until(is_open, seconds=60)


async def test_a_confirmation_of_a_phone_that_was_off_goes_out_again_once_it_is_on(clinic: Clinic) -> None:
    patient, phone = await clinic.patient()
    await fail(clinic, phone, 4006)
    await clinic.world.book(patient, starts_in=30 * HOUR)
    await open_again(clinic, 2)
    await read_again(clinic)
    before = await messages(clinic, phone)
    clinic.world.clock.ahead = PAUSES[0]
    await got(clinic, phone, BOOKED, BOOKED)
    [row] = await states(clinic, "delivered")
    await read_again(clinic)

    assert len(before) == 1
    assert row["attempts"] == 2
    assert len(await messages(clinic, phone)) == 2


async def test_a_reminder_that_never_arrives_is_tried_three_times_and_no_more(clinic: Clinic) -> None:
    patient, phone = await clinic.patient()
    await clinic.world.book(patient, starts_in=25 * HOUR)
    await got(clinic, phone, BOOKED)
    await states(clinic, "delivered")
    await fail(clinic, phone, 5002, count=5)
    clinic.world.clock.ahead = 2 * HOUR
    await got(clinic, phone, BOOKED, REMINDED)
    for number, pause in enumerate(PAUSES):
        await open_again(clinic, number + 2)
        clinic.world.clock.ahead += pause
        await got(clinic, phone, BOOKED, *[REMINDED] * (number + 2))
    *_, row = await states(clinic, "delivered", "failed")
    clinic.world.clock.ahead += 2 * HOUR
    await read_again(clinic, 3)

    assert (row["reason"], row["attempts"]) == ("5002", 3)
    assert len(await messages(clinic, phone)) == 4


async def test_what_does_not_hold_any_more_is_not_sent_again(clinic: Clinic) -> None:
    patient, phone = await clinic.patient()
    await fail(clinic, phone, 4006)
    visit = await clinic.world.book(patient, starts_in=30 * HOUR)
    await open_again(clinic, 2)
    await clinic.world.change(visit["id"], status="cancelled")
    await got(clinic, phone, BOOKED, "is cancelled")
    clinic.world.clock.ahead = PAUSES[0]
    await read_again(clinic, 3)
    assert len(await messages(clinic, phone)) == 2
