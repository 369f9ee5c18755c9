"""What a clinician does in the frame: open a chart, sign in, press buttons, watch the status."""

from __future__ import annotations

import asyncio
import html
import json
import re
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
from contract.visits.test_clinician import ACTION, CSRF, sign_in
from contract.visits.world import CLINICIAN, Browser, Document, World
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

HEADING = re.compile(r"<h1>([^<]+)</h1>")
CORRELATION = re.compile(r"<code[^>]*>([0-9a-f]{32})</code>")
LINK = re.compile(r'value="(https://[^"]+/v/[^"]+)"')
STREAM = re.compile(r'data-stream="([^"]+)"')
CARD = re.compile(r'data-visit="([^"]+)"')


def clinician_of(world: World) -> dict[str, Any]:
    """Return the launch of a clinician who was never here before."""
    return {"idToken": {"fhirUser": f"{world.base_url()}/Practitioner/{uuid.uuid4().hex[:12]}"}}


@dataclass
class Chart:
    """A patient's chart with our page in its frame."""

    world: World
    browser: Browser
    url: str
    page: httpx.Response = field(repr=False)

    @property
    def stream(self) -> str:
        """Where the page listens."""
        return self.world.connector + html.unescape(STREAM.findall(self.page.text)[0])

    @property
    def csrf(self) -> str:
        """What the page's forms carry."""
        return CSRF.findall(self.page.text)[0]

    @property
    def visits(self) -> list[str]:
        """The visits on the board, in their order."""
        return CARD.findall(self.page.text)

    def action(self, visit: str, name: str) -> str:
        """Return the address of a button."""
        return f"{self.url}/visits/{visit}/{name}"

    def offers(self, name: str) -> list[str]:
        """Return the visits that have a button."""
        paths = [html.unescape(one) for one in ACTION.findall(self.page.text)]
        return [path.split("/")[-2] for path in dict.fromkeys(paths) if path.endswith(f"/{name}")]

    async def press(self, visit: str, name: str, **changes: Any) -> httpx.Response:
        """Press a button; the answer is what the browser gets first."""
        fields = changes if "csrf" in changes else changes | {"csrf": self.csrf}
        return await self.browser.submit(self.action(visit, name), follow=False, **fields)

    async def reload(self) -> httpx.Response:
        """Load the page again."""
        self.page = await self.browser.open(self.url)
        return self.page


async def opened(
    world: World, patient: str, encounter: str | None = None, *, browser: Browser | None = None, **changes: Any
) -> Chart:
    """Open a chart."""
    browser = browser or world.browser()
    page = await browser.launch(await world.launch(patient, encounter, **changes))
    assert "/clinician/" in str(page.url), page.text
    return Chart(world, browser, str(page.url), page)


async def signed_in(
    world: World,
    patient: str,
    encounter: str | None = None,
    *,
    browser: Browser | None = None,
    user: str = CLINICIAN,
    **changes: Any,
) -> Chart:
    """Open a chart as somebody who has a Microsoft account."""
    chart = await opened(world, patient, encounter, browser=browser, **changes)
    if "Sign in to Microsoft once" in chart.page.text:
        assert (await sign_in(world, chart.page, user=user)).status_code == 200
        await chart.reload()
    assert HEADING.findall(chart.page.text) == ["Video visits"]
    return chart


@dataclass
class Stream:
    """An open stream of events."""

    response: httpx.Response
    _events: asyncio.Queue[tuple[str, Any] | None] = field(default_factory=asyncio.Queue[tuple[str, Any] | None])

    async def next(self, *, seconds: float = 10) -> tuple[str, Any] | None:
        """Return the next event as its name and data; None at the stream's end."""
        async with asyncio.timeout(seconds):
            return await self._events.get()

    async def status(self, wanted: Callable[[dict[str, Any]], bool], *, seconds: float = 10) -> dict[str, Any]:
        """Return the next status that is as `wanted`."""
        async with asyncio.timeout(seconds):
            while True:
                event = await self._events.get()
                assert event is not None, "the stream has ended"
                if event[0] == "status" and wanted(event[1]):
                    return event[1]

    async def stage(self, *stages: str, seconds: float = 10) -> dict[str, Any]:
        """Return the next status at one of these stages."""
        return await self.status(lambda status: status["stage"] in stages, seconds=seconds)

    async def read(self) -> None:
        """Read until the end."""
        name = ""
        try:
            async for line in self.response.aiter_lines():
                key, _, value = line.partition(": ")
                if key == "event":
                    name = value
                elif key == "data":
                    self._events.put_nowait((name, json.loads(value)))
        except httpx.TransportError:
            pass
        self._events.put_nowait(None)


@asynccontextmanager
async def listening(browser: Browser, url: str) -> AsyncGenerator[Stream]:
    """Listen to a stream for the time of the block."""
    async with browser.http.stream("GET", url) as response:
        assert response.status_code == 200, response.status_code
        assert response.headers["Content-Type"].startswith("text/event-stream")
        assert "no-store" in response.headers["Cache-Control"]
        stream = Stream(response)
        reading = asyncio.create_task(stream.read())
        try:
            yield stream
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)


async def until(told: Callable[[], Awaitable[Any]], *, seconds: float = 15) -> Any:
    """Wait until something is true, and return it."""
    async with asyncio.timeout(seconds):
        while not (found := await told()):  # noqa: ASYNC110 (what is waited for tells nobody)
            await asyncio.sleep(0.05)
    return found


async def tables(world: World) -> dict[str, Sequence[Document]]:
    """Return every row of every table."""
    engine = create_async_engine(world.settings["database_url"])
    listing = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    if engine.dialect.name == "postgresql":
        listing = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
    try:
        async with engine.connect() as connection:
            names = [row[0] for row in await connection.execute(text(listing))]
            return {
                name: [dict(row) for row in (await connection.execute(text(f'SELECT * FROM "{name}"'))).mappings()]
                for name in names
            }
    finally:
        await engine.dispose()
