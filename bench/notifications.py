"""How fast messages are planned and sent by one endpoint's worker, beside the plain rate of the stand-ins in the same run.

Everything is one process: the worker on a SQLite file, and over TLS the stand-ins of the EHR and of Communication Services, whose
work is in the figures. The provider takes as many as come: in production the pace of a number, 190 a minute, is the limit.

- planned: coming visits a second, at the first reading of an EHR (each is noted) and at every later one, beside bare inserts and
  bare reads of as many rows of the same table of the same database.
- read: coming visits a second from the EHR into memory.
- sent: messages a second, each with its turn, claim, patient, decision, call, end, and what is recorded of the visit, four at a time.
- plain: searches of the EHR, reads of patients and calls of the provider by a bare httpx client with a token and a key in its
  hands, four at a time; taken before.
- FHIR requests an appointment: what one reading and one message take of the EHR, beside the two that no program can do without.
- paced: due messages that the real pacer lets out, on a clock that passes as somebody waits.
- memory: what 50,000 visits take of which each has a message due, and what is added while all of them go out.

Prints one JSON object a line for each figure as soon as it is known. Ends with an error when a message is not sent once, or a
part failed; the others are measured nevertheless.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import time
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
from notifications_parts import DAY, PRACTITIONER, SENDER, TENANT, Bench, running_bench
from sqlalchemy import insert, select

from ehr_clients.fhir_model import Appointment
from ehr_connector.coming.reading import visits_between
from ehr_connector.directory import Site
from ehr_connector.metrics import Metrics
from ehr_connector.notify.planner.pace import Pacer, pace_of
from ehr_connector.notify.planner.planned import DueMessage, PlannedSender, Result, Tried
from ehr_connector.notify.planner.worker import EndpointNotices
from ehr_connector.store.paces import Paces
from ehr_connector.store.schema import notice
from ehr_connector.visits.booking import Booking, booking
from ehr_sandbox.cerner.places import FACILITY_ID

_AT_ONCE = 4
_A_TRANSACTION = 200
_PLAIN = 4_000_000
"""The phones that plain sends go to begin here."""


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
        row: dict[str, str | float | None] = {
            "name": self.name,
            "value": round(self.value, 3),
            "unit": self.unit,
            "peer": self.peer,
            "peer_value": round(self.peer_value, 3),
            "ratio": round(self.value / self.peer_value, 3) if self.peer_value else None,
        }
        return json.dumps(row)


async def planned(bench: Bench, visits: int) -> AsyncGenerator[Figure]:
    """Plan for visits that stand in memory only, twice."""
    inserted_s = await _timed(lambda: _bare_inserts(bench, visits))
    read_s = await _timed(lambda: _bare_reads(bench, visits))
    found = bench.named(_made_up(bench.site, visits, first=10_000_000))
    worker, until = bench.worker(), datetime.now(UTC) + 14 * DAY
    peers = {"first": ("bare inserts", inserted_s), "later": ("bare reads", read_s)}
    for which, (peer, peer_s) in peers.items():
        worker.read(found, until)
        took_s = await _timed(worker.settle)
        name = f"planned at a {which} reading"
        yield Figure(name, visits / took_s, "appointments/s", f"{peer} of rows", visits / peer_s)


async def drained(bench: Bench, visits: int) -> AsyncGenerator[Figure]:
    """Let a message of each visit be due, and all of them go out to a provider that does nothing."""
    began = _resident_bytes()
    found = bench.named(_made_up(bench.site, visits, first=20_000_000))
    indexed = _resident_bytes()
    worker, sender = await _counting(bench, _at_once_taken)
    worker.read(found, datetime.now(UTC) + 14 * DAY)
    await worker.settle()
    due = _resident_bytes()
    took_s = await _timed(lambda: _drained(worker))
    _each_once(sender, found)
    memory_mb, peer = (indexed - began) / 2**20, f"the {visits} coming visits themselves"
    allowed = timedelta(seconds=1) / pace_of(SENDER)[0].interval
    yield Figure(f"memory of {visits} due messages", (due - indexed) / 2**20, "MiB", peer, memory_mb)
    yield Figure("memory that sending them adds", (_resident_bytes() - due) / 2**20, "MiB", peer, memory_mb)
    yield Figure("taken from the queue", visits / took_s, "messages/s", "what one number may send", allowed)


async def paced(bench: Bench, visits: int) -> AsyncGenerator[Figure]:
    """Let as many be due, and go out at the pace of a number, on a clock that passes as somebody waits for it."""
    clock = [datetime.now(UTC)]
    began = clock[0]

    async def sleep(seconds: float) -> None:
        clock[0] += timedelta(seconds=seconds)
        await asyncio.sleep(0)

    pacer = Pacer(Paces(bench.engine, lambda: clock[0]), partial(bench.secret.name, "virtual pace"), sleep=sleep)
    found = bench.named(_made_up(bench.site, visits, first=30_000_000))
    worker, sender = await _counting(bench, pacer.take)
    worker.read(found, datetime.now(UTC) + 14 * DAY)
    await worker.settle()
    due = _resident_bytes()
    took_s = await _timed(lambda: _drained(worker))
    _each_once(sender, found)
    minutes = (clock[0] - began) / timedelta(minutes=1)
    limit = "what the provider takes"
    yield Figure("let out by the pacer, virtual time", visits / minutes, "messages/minute", limit, 200.0)
    yield Figure("turns given, real time", visits / took_s, "messages/s", "what one number may send", 200 / 60)
    yield Figure("memory added meanwhile", (_resident_bytes() - due) / 2**20, "MiB", "what was in use", due / 2**20)


async def sent(bench: Bench, messages: int) -> AsyncGenerator[Figure]:
    """Book visits, and send what is due."""
    patients = [await _patient(bench, number) for number in range(messages)]
    start = (datetime.now(UTC) + 3 * DAY).replace(microsecond=0)
    for number, patient in enumerate(patients):
        who = {"tenant": TENANT, "patient": patient, "practitioner": PRACTITIONER, "location": FACILITY_ID}
        at = start + timedelta(minutes=number)
        await bench.control(bench.cerner, "POST", "appointments", json={**who, "start": at.isoformat()})
    now = datetime.now(UTC)
    until = now + 14 * DAY
    headers = {"Authorization": f"Bearer {await bench.token()}", "Accept": "application/fhir+json"}
    before = await bench.fhir_requests()
    search_s = await _timed(lambda: _plain_search(bench, headers, now, until))
    pages = await bench.fhir_requests() - before
    reads_s = await _timed(lambda: _at_once(patients, lambda one: _plain_read(bench, headers, one)))
    plain_s = await _timed(lambda: _at_once(range(messages), lambda number: _plain_send(bench, number)))
    before = await bench.fhir_requests()
    began_s = time.perf_counter()
    found = await visits_between(bench.ehr, bench.site, now, until)
    read_s = time.perf_counter() - began_s
    if len(found) != messages:
        raise RuntimeError(f"{len(found)} of {messages} visits were read")
    peer = "plain searches of the stand-in"
    yield Figure("read from the EHR", messages / read_s, "appointments/s", peer, messages / search_s)
    worker = await _that_has_read(bench)
    worker.read(bench.named(found), until)
    await worker.settle()
    began_cpu_s = time.process_time()
    took_s = await _timed(lambda: _drained(worker))
    cpu_s = time.process_time() - began_cpu_s
    requests = await bench.fhir_requests() - before
    texts = Counter(text["to"] for text in (await bench.control(bench.acs, "GET", "ledger"))["texts"])
    texts -= Counter(_phone(_PLAIN + number) for number in range(messages))
    if texts != Counter(map(_phone, range(messages))):
        raise RuntimeError(f"{texts.total()} messages to {len(texts)} of {messages} patients were sent")
    rate, together_s = messages / took_s, reads_s + plain_s
    yield Figure("sent", rate, "messages/s", "plain sends of the stand-in", messages / plain_s)
    yield Figure("sent", rate, "messages/s", "plain reads of patients", messages / reads_s)
    yield Figure("sent", rate, "messages/s", "plain reads and sends together", messages / together_s)
    yield Figure("CPU of a message", 1000 * cpu_s / messages, "ms", "the time that it took", 1000 * took_s / messages)
    peer = "pages of the search, and one read of each patient"
    taken, needed = requests / messages, (pages + messages) / messages
    yield Figure("FHIR requests an appointment", taken, "requests", peer, needed)


@dataclass(frozen=True)
class _TakesAll(PlannedSender):
    """Counts what is due instead of sending it."""

    taken: Counter[str] = field(default_factory=Counter[str])

    async def send(self, found: Booking, due: DueMessage) -> Tried:
        """Count it, by its visit."""
        self.taken[due.visit] += 1
        return Tried(Result.SENT)


async def _counting(bench: Bench, take: Callable[[str, str], Awaitable[None]]) -> tuple[EndpointNotices, _TakesAll]:
    await _that_has_read(bench)
    sender = _TakesAll(bench.tools.sender.post, bench.tools.sender.sends, Metrics(), bench.tools.sender.spare)
    return EndpointNotices(bench.site, replace(bench.tools, sender=sender, take=take)), sender


async def _at_once_taken(_number: str, _endpoint: str) -> None:
    """No pace."""


async def _that_has_read(bench: Bench) -> EndpointNotices:
    """Return a worker to which all that it reads from now on is new."""
    worker = bench.worker()
    worker.read({}, datetime.now(UTC) + 14 * DAY)
    await worker.settle()
    return worker


def _each_once(sender: _TakesAll, found: Mapping[str, Booking]) -> None:
    if sender.taken != Counter(dict.fromkeys(found, 1)):
        raise RuntimeError(f"of {len(found)} messages {sender.taken.total()} were sent, of {len(sender.taken)} visits")


async def _bare_inserts(bench: Bench, rows: int) -> None:
    """Insert rows like those of a first reading, 200 in a transaction as the product does."""
    now = datetime.now(UTC)
    site = {"namespace": "bare", "name": "bare", "endpoint": "bare", "about": "a" * 43, "number": 1, "noted_at": now}
    for first in range(0, rows, _A_TRANSACTION):
        several = [{"visit": _bare(number), **site} for number in range(first, min(first + _A_TRANSACTION, rows))]
        async with bench.engine.begin() as connection:
            await connection.execute(insert(notice), several)


async def _bare_reads(bench: Bench, rows: int) -> None:
    """Read them again, as many in a query as the product does."""
    for first in range(0, rows, _A_TRANSACTION):
        several = [_bare(number) for number in range(first, min(first + _A_TRANSACTION, rows))]
        async with bench.engine.connect() as connection:
            (await connection.execute(select(notice).where(notice.c.visit.in_(several)))).all()


def _bare(number: int) -> str:
    return f"{number:043}"


async def _plain_search(bench: Bench, headers: Mapping[str, str], start: datetime, end: datetime) -> None:
    spans = [("date", f"ge{start:%Y-%m-%dT%H:%M:%SZ}"), ("date", f"lt{end:%Y-%m-%dT%H:%M:%SZ}")]
    query: list[tuple[str, str | int | float | bool | None]] = [("location", FACILITY_ID), *spans, ("_count", "100")]
    page = (await _got(bench, f"{bench.site.base_url}/Appointment", headers, query)).json()
    while following := [link["url"] for link in page["link"] if link["relation"] == "next"]:
        page = (await _got(bench, following[0], headers)).json()


async def _plain_read(bench: Bench, headers: Mapping[str, str], patient: str) -> None:
    (await _got(bench, f"{bench.site.base_url}/Patient/{patient}", headers)).json()


async def _got(
    bench: Bench,
    url: str,
    headers: Mapping[str, str],
    query: list[tuple[str, str | int | float | bool | None]] | None = None,
) -> httpx.Response:
    answer = await bench.http.get(url, headers=headers, params=query)
    return answer.raise_for_status()


async def _drained(worker: EndpointNotices) -> None:
    async def attend(_number: int) -> None:
        while await worker.attend():
            pass

    await _at_once(range(_AT_ONCE), attend)


async def _plain_send(bench: Bench, number: int) -> None:
    now = datetime.now(UTC)
    recipient = {
        "to": _phone(_PLAIN + number),
        "repeatabilityRequestId": str(uuid4()),
        "repeatabilityFirstSent": format_datetime(now, usegmt=True),
    }
    body = {
        "from": SENDER,
        "smsRecipients": [recipient],
        "message": "Lamna Healthcare: your video visit is booked. " + "x" * 100,
        "smsSendOptions": {"enableDeliveryReport": True, "tag": "plain"},
    }
    answer = await bench.http.post(f"{bench.acs}/sms?api-version=2026-01-23", json=body, auth=bench.sign)
    answer.raise_for_status()


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
    return f"+1214{5550000 + number if number < _PLAIN else number:07}"


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


async def _run(visits: int, messages: int, due: int, turns: int) -> int:
    failed = 0
    async with running_bench() as bench:
        parts = {
            "planned": planned(bench, visits),
            "sent": sent(bench, messages),
            "paced": paced(bench, turns),
            "drained": drained(bench, due),
        }
        for name, part in parts.items():
            try:
                async for figure in part:
                    print(figure.row(), flush=True)
            except Exception as exc:  # noqa: BLE001 (the other parts are measured nevertheless)
                failed = 1
                print(f"{name} failed: {type(exc).__name__}: {exc}", file=sys.stderr, flush=True)
    return failed


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of the usual sizes")
    parser.add_argument("--visits", type=int, default=10_000, help="coming visits to plan for")
    parser.add_argument("--messages", type=int, default=500, help="messages to send")
    parser.add_argument("--due", type=int, default=50_000, help="due messages that are taken from the queue")
    parser.add_argument("--turns", type=int, default=50_000, help="due messages that the pacer lets out")
    given = parser.parse_args()
    part = 10 if given.quick else 1
    sizes = (given.visits, given.messages, given.due, given.turns)
    sys.exit(asyncio.run(_run(*(size // part for size in sizes))))


if __name__ == "__main__":
    main()
