"""How long visits take, and how many one connector process bears, beside a bare uvicorn in the same run.

The connector is one process (SQLite, TLS) as its users start it; the stand-ins of the EHR and of Microsoft share another, and
whoever asks is a third. What the figures hold of the stand-ins is therefore in them: they are upper bounds.

- launch to join: from the EHR's launch to the answer that sends the clinician into the meeting (launch, EHR's authorization,
  callback, board, Join), with an account that signed in before.
- link to lobby: from the patient's link to the answer that sends the browser into Teams' lobby (page, Join).
- throughput: the patient's page and /livez, as fast as 16 connections ask, beside `hello` of a bare uvicorn over the same TLS.
- streams: open status streams of one process, with its resident memory for each; the client holds them in its own process.
- notification to stream: from the moment at which somebody enters the lobby until the first and the last stream tell of it;
  Graph's stand-in, encryption, and our log of events in between.

Prints a table, and last one JSON object a line for each figure.
"""

from __future__ import annotations

import argparse
import asyncio
import html
import json
import os
import re
import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from visits_clinic import AGENT, Clinic, line, part, running_clinic
from visits_parts import raise_file_limit

_CONNECTIONS = 16
_ROUNDS = 5
_QUIET_S = 4.0
"""What is told of one arrival has reached every stream after this time."""
_LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)
_CSRF = re.compile(r'name="csrf" value="([^"]+)"')
_STREAM = re.compile(r'data-stream="([^"]+)"')
_JOIN = re.compile(r'action="([^"]+/join)"')


@dataclass
class Figure:
    """One measured value, and what it is compared with."""

    name: str
    value: float
    unit: str
    peer: str | None = None
    peer_value: float | None = None

    def row(self) -> dict[str, Any]:
        """Return the figure as it is printed last."""
        ratio = self.value / self.peer_value if self.peer_value else None
        return {
            "name": self.name,
            "value": round(self.value, 4),
            "unit": self.unit,
            "peer": self.peer,
            "peer_value": None if self.peer_value is None else round(self.peer_value, 4),
            "ratio": None if ratio is None else round(ratio, 3),
        }


async def latencies(clinic: Clinic, visits: int) -> list[Figure]:
    """Measure one visit after the other, and `hello` as often on connections that are as new."""
    figures: list[Figure] = []
    joins: list[float] = []
    lobbies: list[float] = []
    hellos: list[float] = []
    booked = [await clinic.book() for _ in range(visits)]
    links = [await clinic.link(appointment) for _, appointment, _ in booked]
    for (patient, _, encounter), link in zip(booked, links, strict=True):
        async with clinic.browser() as browser:
            joins.append(await _timed(lambda b=browser, p=patient, e=encounter: _joined(clinic, b, p, e)))
        async with clinic.browser() as browser:
            lobbies.append(await _timed(lambda b=browser, at=link: _in_lobby(b, at)))
        async with clinic.browser() as browser:
            hellos.append(await _timed(lambda b=browser: b.get(clinic.hello)))
    for name, times in (("launch to join", joins), ("link to lobby", lobbies)):
        for what, of in (("median", statistics.median), ("p99", _p99)):
            figures.append(Figure(f"{name}, {what}", of(times), "s", f"bare uvicorn hello, {what}", of(hellos)))
    return figures


async def _joined(clinic: Clinic, browser: httpx.AsyncClient, patient: str, encounter: str) -> None:
    board = await clinic.launch(browser, patient, encounter)
    action = html.unescape(_JOIN.findall(board.text)[0])
    answer = await browser.post(
        clinic.connector + action,
        data={"csrf": _CSRF.findall(board.text)[0]},
        headers={"Sec-Fetch-Site": "same-origin"},
    )
    _expect(answer, clinic.graph)


async def _in_lobby(browser: httpx.AsyncClient, link: str) -> None:
    (await browser.get(link)).raise_for_status()
    answer = await browser.post(link + "/join", headers={"Sec-Fetch-Site": "same-origin"})
    _expect(answer, "http")


def _expect(answer: httpx.Response, where: str) -> None:
    if answer.status_code != 303 or not answer.headers["Location"].startswith(where):
        raise RuntimeError(f"no way into the meeting: {answer.status_code}")


async def throughput(clinic: Clinic, seconds: float) -> list[Figure]:
    """Ask for the same page for a while; the three take turns, since other work on the machine comes and goes."""
    figures: list[Figure] = []
    _, appointment, _ = await clinic.book()
    urls = {
        "bare": clinic.hello,
        "patient's page": await clinic.link(appointment),
        "/livez": f"{clinic.connector}/livez",
    }
    rates: dict[str, list[float]] = {name: [] for name in urls}
    for _ in range(_ROUNDS):
        for name, url in urls.items():
            rates[name].append(await _rate(clinic, url, seconds / _ROUNDS))
    bare = statistics.median(rates.pop("bare"))
    for name, found in rates.items():
        rate = statistics.median(found)
        figures.append(Figure(f"{name}, requests a second", rate, "1/s", "bare uvicorn hello", bare))
    return figures


async def _rate(clinic: Clinic, url: str, seconds: float) -> float:
    """Return the requests a second, asked without an HTTP library, which would be the slowest part."""
    address = httpx.URL(url)
    tls = clinic.ca.client_context()
    opened = [await asyncio.open_connection("localhost", address.port, ssl=tls) for _ in range(_CONNECTIONS)]
    host = f"localhost:{address.port}"
    request = f"GET {address.path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {AGENT}\r\n\r\n".encode()
    done = 0
    began_s = time.monotonic()

    async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal done
        while time.monotonic() < began_s + seconds:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = _LENGTH.search(head)
            if b" 200 " not in head[:16] or length is None:
                raise RuntimeError(f"no page: {head[:64]!r}")
            await reader.readexactly(int(length[1]))
            done += 1

    await asyncio.gather(*(ask(*one) for one in opened))
    rate = done / (time.monotonic() - began_s)
    for _, writer in opened:
        writer.transport.abort()
    return rate


async def streams(clinic: Clinic, number: int, notifications: int) -> list[Figure]:
    """Open streams from a process of its own, and let patients enter the lobby."""
    figures: list[Figure] = []
    patient, _, encounter = await clinic.book()
    browser = await clinic.stack.enter_async_context(clinic.browser())
    board = await clinic.launch(browser, patient, encounter)
    await _joined(clinic, browser, patient, encounter)
    meetings = await clinic.control(clinic.graph, "GET", "meetings")
    meeting = meetings[-1]
    async with asyncio.timeout(60):
        while True:
            if len(await clinic.control(clinic.graph, "GET", "subscriptions")) >= len(meetings):
                break
            await asyncio.sleep(0.2)
    before = _resident_bytes(clinic.pid)
    arguments = {
        "ca_file": str(clinic.ca.ca_file),
        "port": int(clinic.connector.rpartition(":")[2]),
        "path": html.unescape(_STREAM.findall(board.text)[0]),
        "cookie": "; ".join(f"{name}={value}" for name, value in browser.cookies.items()),
        "agent": AGENT,
        "number": number,
    }
    process = await clinic.stack.enter_async_context(part("streams", arguments))
    opened = await line(process)
    limit = raise_file_limit()
    figures.append(Figure("open streams of one process", opened["open"], "", "file limit", limit))
    a_stream = (_resident_bytes(clinic.pid) - before) / max(opened["open"], 1)
    figures.append(Figure("memory of a stream", a_stream / 1024, "KiB"))
    figures.append(Figure("streams opened", opened["open"] / opened["seconds"], "1/s"))
    first: list[float] = []
    last: list[float] = []
    if process.stdin is None:
        raise RuntimeError("the client has no input")
    for number_of in range(notifications):
        began = datetime.now(UTC).timestamp()
        process.stdin.write(f"{began}\n".encode())
        who = {"displayName": f"patient {number_of}"}
        await clinic.control(clinic.graph, "POST", f"meetings/{meeting['id']}/participants", json=who)
        told = await line(process)
        first.append(told["first"] - began)
        last.append(told["last"] - began)
        await asyncio.sleep(_QUIET_S)
    figures.append(Figure("notification to first stream, median", statistics.median(first), "s"))
    figures.append(Figure("notification to last stream, median", statistics.median(last), "s"))
    return figures


async def _timed(work: Callable[[], Awaitable[object]]) -> float:
    began_s = time.perf_counter()
    await work()
    return time.perf_counter() - began_s


def _p99(times: list[float]) -> float:
    return sorted(times)[min(len(times) * 99 // 100, len(times) - 1)]


def _resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def _measure(visits: int, seconds: float, number: int, notifications: int) -> list[Figure]:
    async with running_clinic() as clinic:
        return [
            *await latencies(clinic, visits),
            *await throughput(clinic, seconds),
            *await streams(clinic, number, notifications),
        ]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--visits", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each throughput")
    parser.add_argument("--streams", type=int, default=10_000)
    parser.add_argument("--notifications", type=int, default=10)
    parser.add_argument("--quick", action="store_true", help="under two minutes")
    given = parser.parse_args()
    if given.quick:
        given.visits, given.seconds, given.streams, given.notifications = 30, 3.0, 500, 5
    figures = asyncio.run(_measure(given.visits, given.seconds, given.streams, given.notifications))
    for figure in figures:
        row = figure.row()
        beside = f"  {row['peer']} {row['peer_value']:g}  ratio {row['ratio']:g}" if row["peer"] else ""
        print(f"{row['name']:<38} {row['value']:>10g} {row['unit']:<4}{beside}")
    for figure in figures:
        print(json.dumps(figure.row()))


if __name__ == "__main__":
    main()
