"""Who takes no texts any more is written e-mails by the planner, and texted again once that is wanted."""

from __future__ import annotations

from contract.answers.texting_back import says
from contract.notify.texting import BOOKED, DAY, MOVED, got, messages, start_in
from contract.visits.acting import tables, until
from contract.visits.clinic import Clinic

ADDRESS = "rosa@home.example"


async def test_after_stop_news_come_by_email_and_after_start_by_text(clinic: Clinic) -> None:
    clinic.allow(ADDRESS)
    patient, phone = await clinic.patient(email=ADDRESS)
    visit = await clinic.world.book(patient, starts_in=3 * DAY)
    await got(clinic, phone, BOOKED)
    await says(clinic, phone, "Alto")
    await clinic.world.change(visit["id"], start=start_in(4 * DAY))
    await until(lambda: clinic.emails(ADDRESS), seconds=60)
    after_stop = await messages(clinic, phone)
    await says(clinic, phone, "START")
    await clinic.world.change(visit["id"], start=start_in(5 * DAY))
    await got(clinic, phone, BOOKED, MOVED)

    assert len(after_stop) == 1
    assert [mail["subject"] for mail in await clinic.emails(ADDRESS)] == [
        "Lamna Healthcare: your video visit was moved"
    ]


async def test_a_text_that_the_carrier_blocks_for_a_stop_of_which_nobody_knew_comes_by_email(clinic: Clinic) -> None:
    clinic.allow(ADDRESS)
    patient, phone = await clinic.patient(email=ADDRESS)
    codes = [{"code": 4007, "to": phone}]
    await clinic.world.control(clinic.acs, "POST", "messages", json={"codes": codes})
    await clinic.world.book(patient, starts_in=3 * DAY)
    [mail] = await until(lambda: clinic.emails(ADDRESS), seconds=60)

    async def arrived() -> bool:
        rows = (await tables(clinic.world))["send"]
        return [(row["channel"], row["state"], row["attempts"]) for row in rows] == [("email", "delivered", 2)]

    await until(arrived, seconds=60)
    assert mail["subject"] == "Lamna Healthcare: your video visit"
    assert len(await messages(clinic, phone)) == 1
