"""What happens in a clinic that texts its patients, and what they get."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from contract.visits.acting import tables, until
from contract.visits.clinic import Clinic, sending
from contract.visits.world import Document

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
SMS: Document = {
    "confirmation": {"onBooking": True, "onChange": True, "onCancellation": True},
    "reminders": ["24h", "1h"],
    # From a time until the same time is never: a test runs at any hour.
    "quietHours": {"start": "00:00", "end": "00:00"},
    "caps": {"perDay": 20, "perWeek": 100},
}
BOOKED, MOVED, CANCELLED, REMINDED = "is booked for", "is now on", "is cancelled", "reminder of"


async def configure(clinic: Clinic, *, sender: str | None = "+18005550100", **sms: Any) -> None:
    """Configure the organisation to text, with changes."""
    await clinic.world.configure(**sending(clinic, sms=SMS | sms, sender=sender))


async def ready(clinic: Clinic) -> None:
    """Configure it, and wait until what is booked from now on is new."""
    await configure(clinic)

    async def is_read() -> bool:
        return bool((await tables(clinic.world))["notice_reading"])

    await until(is_read, seconds=60)


async def messages(clinic: Clinic, phone: str) -> list[str]:
    """Return the texts to a phone, in their order."""
    return [text["message"] for text in await clinic.texts(phone)]


async def got(clinic: Clinic, phone: str, *words: str) -> list[str]:
    """Wait until a phone has as many texts as `words`, and return them; each must hold its own."""

    async def has() -> list[str] | None:
        found = await messages(clinic, phone)
        return found if len(found) >= len(words) else None

    found = await until(has, seconds=60)
    assert [word in text for word, text in zip(words, found, strict=True)] == [True] * len(words), found
    return found


async def moved_on(clinic: Clinic, ahead: timedelta) -> None:
    """Move the clock, once the end of every message is written: by the new clock it would have been told only then."""

    async def all_ended() -> bool:
        return all(row["state"] != "claimed" for row in (await tables(clinic.world))["send"])

    await until(all_ended, seconds=60)
    clinic.world.clock.ahead = ahead


async def read_again(clinic: Clinic, times: int = 2) -> None:
    """Wait until coming visits were read some times more, and what is due from them was looked at."""
    before = await reads(clinic)

    async def has_read() -> bool:
        return await reads(clinic) >= before + times

    await until(has_read, seconds=60)


async def reads(clinic: Clinic) -> int:
    """Return how often coming visits were searched."""
    found = await clinic.world.control(
        clinic.world.cerner, "GET", "requests", params={"method": "GET", "path": "/Appointment"}
    )
    return sum(request["path"].endswith("/Appointment") for request in found["requests"])


def start_in(wait: timedelta) -> str:
    """Return a time of the EHR."""
    return (datetime.now(UTC) + wait).replace(microsecond=0).isoformat()
