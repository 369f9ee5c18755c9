"""How fast messages are planned and sent by one endpoint's worker, beside the plain rate of the stand-ins in the same run.

Everything is one process: the worker on a SQLite file, and over TLS the stand-ins of the EHR and of Communication Services, whose
work is in the figures. The provider takes as many as come: in production the pace of a number, 190 a minute, is the limit.

- planned: coming visits a second, at the first reading of an EHR (each is noted) and at every later one.
- read: coming visits a second from the EHR into memory.
- sent: messages a second, each with its claim, patient, decision, call and end, four at a time.
- plain: the same searches of the EHR, the same reads of patients and the same calls of the provider, four at a time and with
  nothing around them.
- FHIR requests an appointment: what one reading and one message take of the EHR, beside the two that no program can do without.
- memory: what 50,000 visits take of which each has a message due, and what is added while all of them go out.

Prints one JSON object a line for each figure, last. Ends with an error when a message is not sent once.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

from notifications_parts import DAY, PRACTITIONER, SENDER, TENANT, Bench, running_bench

from ehr_clients.fhir import Fhir
from ehr_clients.fhir_model import Appointment
from ehr_connector.coming.reading import visits_between
from ehr_connector.directory import Site
from ehr_connector.metrics import Metrics
from ehr_connector.notify.planner.pace import pace_of
from ehr_connector.notify.planner.planned import DueMessage, PlannedSender, Result, Tried
from ehr_connector.notify.planner.worker import EndpointNotices
from ehr_connector.visits.booking import Booking, booking
from ehr_sandbox.cerner.places import FACILITY_ID

_AT_ONCE = 4


@dataclass(frozen=True)
class Figure:
    """A measured value beside that of a peer, or of a limit, in the same run."""

    name: str
    value: float
    unit: str
    peer: str
    peer_value: float

    def row(self) -> str:
        """Return it as a line of JSON."""
        row: dict[str, str | float] = {
            "name": self.name,
            "value": round(self.value, 3),
            "unit": self.unit,
            "peer": self.peer,
            "peer_value": round(self.peer_value, 3),
            "ratio": round(self.value / self.peer_value, 3),
        }
        return json.dumps(row)


async def planned(bench: Bench, visits: int) -> Sequence[float]:
    """Plan for visits that stand in memory only, twice; return how many a second."""
    found = bench.named(_made_up(bench.site, visits, first=10_000_000))
    worker, until = bench.worker(), datetime.now(UTC) + 14 * DAY
    rates: list[float] = []
    for _ in range(2):
        worker.read(found, until)
        rates.append(visits / await _timed(worker.settle))
    return rates


async def drained(bench: Bench, visits: int) -> Sequence[Figure]:
    """Let a message of each visit be due, and all of them go out to a provider that does nothing."""
    began = _resident_bytes()
    found = bench.named(_made_up(bench.site, visits, first=20_000_000))
    indexed = _resident_bytes()
    sender = _TakesAll(bench.tools.sender.post, bench.tools.sender.sends, Metrics(), bench.tools.sender.spare)
    worker = EndpointNotices(bench.site, replace(bench.tools, sender=sender))
    worker.read(found, datetime.now(UTC) + 14 * DAY)
    await worker.settle()
    due = _resident_bytes()
    took_s = await _timed(lambda: _drained(worker))
    if sender.taken != Counter(dict.fromkeys(found, 1)):
        raise RuntimeError(f"of {visits} messages {sender.taken.total()} were sent, of {len(sender.taken)} visits")
    memory_mb, peer = (indexed - began) / 2**20, f"the {visits} coming visits themselves"
    allowed = timedelta(seconds=1) / pace_of(SENDER)[0].interval
    return [
        Figure(f"memory of {visits} due messages", (due - indexed) / 2**20, "MiB", peer, memory_mb),
        Figure("memory that sending them adds", (_resident_bytes() - due) / 2**20, "MiB", peer, memory_mb),
        Figure("taken from the queue", visits / took_s, "messages/s", "what one number may send", allowed),
    ]


async def sent(bench: Bench, messages: int, planned_s: Sequence[float]) -> Sequence[Figure]:
    """Book visits, and send what is due."""
    patients = [await _patient(bench, number) for number in range(messages)]
    start = (datetime.now(UTC) + 3 * DAY).replace(microsecond=0)
    for number, patient in enumerate(patients):
        who = {"tenant": TENANT, "patient": patient, "practitioner": PRACTITIONER, "location": FACILITY_ID}
        at = start + timedelta(minutes=number)
        await bench.control(bench.cerner, "POST", "appointments", json={**who, "start": at.isoformat()})
    before = await bench.fhir_requests()
    now = datetime.now(UTC)
    until = now + 14 * DAY
    began_s = time.perf_counter()
    found = await visits_between(bench.ehr, bench.site, now, until)
    read_s = time.perf_counter() - began_s
    if len(found) != messages:
        raise RuntimeError(f"{len(found)} of {messages} visits were read")
    worker = bench.worker()
    worker.read(bench.named(found), until)
    await worker.settle()
    took_s = await _timed(lambda: _drained(worker))
    requests = await bench.fhir_requests() - before
    texts = Counter(text["to"] for text in (await bench.control(bench.acs, "GET", "ledger"))["texts"])
    if texts != Counter(map(_phone, range(messages))):
        raise RuntimeError(f"{texts.total()} messages to {len(texts)} of {messages} patients were sent")
    search_s = await _timed(lambda: _plain_search(bench, now, until))
    reads_s = await _timed(lambda: _at_once(patients, lambda one: bench.ehr.call(bench.site, lambda f: f.patient(one))))
    plain_s = await _timed(lambda: _at_once(range(messages), lambda number: _plain_send(bench, number)))
    pages = await bench.fhir_requests() - before - requests - messages
    searches = messages / search_s
    return [
        *(
            Figure(name, rate, "appointments/s", "plain searches of the stand-in", searches)
            for name, rate in zip(("planned at a first reading", "planned at a later reading"), planned_s, strict=True)
        ),
        Figure("read from the EHR", messages / read_s, "appointments/s", "plain searches of the stand-in", searches),
        Figure("sent", messages / took_s, "messages/s", "plain sends of the stand-in", messages / plain_s),
        Figure("sent", messages / took_s, "messages/s", "plain reads of patients", messages / reads_s),
        Figure(
            "sent", messages / took_s, "messages/s", "plain reads and sends together", messages / (reads_s + plain_s)
        ),
        Figure(
            "FHIR requests an appointment",
            requests / messages,
            "requests",
            "pages of the search, and one read of each patient",
            (pages + messages) / messages,
        ),
    ]


@dataclass(frozen=True)
class _TakesAll(PlannedSender):
    """Counts what is due instead of sending it."""

    taken: Counter[str] = field(default_factory=Counter[str])

    async def send(self, found: Booking, due: DueMessage) -> Tried:
        """Count it, by its visit."""
        self.taken[due.visit] += 1
        return Tried(Result.SENT)


async def _plain_search(bench: Bench, start: datetime, end: datetime) -> None:
    await bench.ehr.call(bench.site, lambda fhir: _pages(fhir, start, end))


async def _pages(fhir: Fhir, start: datetime, end: datetime) -> None:
    await fhir.appointments("location", [FACILITY_ID], start, end)


async def _drained(worker: EndpointNotices) -> None:
    async def attend(_number: int) -> None:
        while await worker.attend():
            pass

    await _at_once(range(_AT_ONCE), attend)


async def _plain_send(bench: Bench, number: int) -> None:
    text = "Lamna Healthcare: your video visit is booked. " + "x" * 100
    at = datetime.now(UTC)
    await bench.sms.send(SENDER, _phone(number), text, request_id=uuid4(), first_sent=at, tag="plain")


async def _at_once(items: Iterable[Any], work: Callable[[Any], Awaitable[Any]]) -> None:
    """Do the work for each item, four at a time."""
    left = iter(items)

    async def take() -> None:
        for item in left:
            await work(item)

    await asyncio.gather(*(take() for _ in range(_AT_ONCE)))


async def _patient(bench: Bench, number: int) -> str:
    new = {"tenant": TENANT, "given": "Rosa", "family": "Quillfeather", "phone": _phone(number).removeprefix("+1")}
    return (await bench.control(bench.cerner, "POST", "patients", json=new))["id"]


def _phone(number: int) -> str:
    return f"+1214{5550000 + number:07}"


def _made_up(site: Site, visits: int, first: int) -> Iterable[Booking]:
    start = (datetime.now(UTC) + 2 * DAY).replace(microsecond=0)
    for number in range(visits):
        at = start + timedelta(seconds=number)
        fields = {
            "id": str(first + number),
            "status": "booked",
            "serviceType": [{"text": "Video Visit"}],
            "start": at.isoformat(),
            "participant": [{"actor": {"reference": f"Patient/{number}"}}],
        }
        found = booking(site, Appointment.model_validate(fields))
        if found is not None:
            yield found


async def _timed(work: Callable[[], Awaitable[object]]) -> float:
    began_s = time.perf_counter()
    await work()
    return time.perf_counter() - began_s


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def _run(visits: int, messages: int, due: int) -> Sequence[Figure]:
    async with running_bench() as bench:
        rates = await planned(bench, visits)
        return [*await sent(bench, messages, rates), *await drained(bench, due)]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of the usual sizes")
    parser.add_argument("--visits", type=int, default=10_000, help="coming visits to plan for")
    parser.add_argument("--messages", type=int, default=500, help="messages to send")
    parser.add_argument("--due", type=int, default=50_000, help="due messages that are taken from the queue")
    given = parser.parse_args()
    part = 10 if given.quick else 1
    for figure in asyncio.run(_run(given.visits // part, given.messages // part, given.due // part)):
        print(figure.row())


if __name__ == "__main__":
    main()
