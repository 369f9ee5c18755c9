"""Health and metrics, served before anything else starts, so that a start that hangs can be seen."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

Check = Callable[[], str | None]
"""Returns what is wrong, or None."""


@asynccontextmanager
async def serve(
    host: str, port: int, *, live: Check, ready: Check, registry: CollectorRegistry, refresh: Callable[[], None]
) -> AsyncGenerator[None]:
    """Serve /livez, /readyz and /metrics while the block runs; `refresh` sets what is counted only when it is asked for.

    Raises:
        OSError: The address cannot be had.
    """
    app = web.Application()
    app.add_routes(
        [
            web.get("/livez", _answer(live)),
            web.get("/readyz", _answer(ready)),
            web.get("/metrics", _metrics(registry, refresh)),
        ]
    )
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        yield
    finally:
        await runner.cleanup()


def _answer(check: Check) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def handle(_request: web.Request) -> web.Response:
        problem = check()
        return web.Response(text="ok\n") if problem is None else web.Response(status=503, text=f"{problem}\n")

    return handle


def _metrics(
    registry: CollectorRegistry, refresh: Callable[[], None]
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def handle(_request: web.Request) -> web.Response:
        refresh()
        return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    return handle
