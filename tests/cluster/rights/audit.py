"""A proxy before the API server that notes what is asked of it, as RBAC sees it, and can refuse once with a conflict."""

from __future__ import annotations

import asyncio
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import NamedTuple

import aiohttp
from aiohttp import web

_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch"}
_PASSED_ON = ("Authorization", "Content-Type", "Accept", "User-Agent")


class Right(NamedTuple):
    """What a rule of RBAC grants."""

    group: str
    resource: str
    verb: str


@dataclass
class Audit:
    """What was asked, and what came of it."""

    url: str = ""
    asked: dict[Right, set[int]] = field(default_factory=dict[Right, set[int]])
    """The statuses of the answers to each request that needs a right."""
    conflict_on: set[str] = field(default_factory=set[str])
    """Resources whose next PATCH is answered with 409."""


def right_of(method: str, path: str, query: dict[str, str]) -> Right | None:
    """Return the right that a request needs; None for discovery, which everybody may.

    Source: Kubernetes documentation, "Authorization", request attributes; k8s.io/apiserver/pkg/endpoints/request.
    """
    parts = path.strip("/").split("/")
    if parts[0] not in {"api", "apis"}:
        return None
    group, rest = ("", parts[2:]) if parts[0] == "api" else (parts[1] if len(parts) > 1 else "", parts[3:])
    if rest[:1] == ["namespaces"] and len(rest) > 2:
        rest = rest[2:]
    if not rest:
        return None
    resource, name = "/".join([rest[0], *rest[2:]]), rest[1] if len(rest) > 1 else None
    if method == "GET":
        verb = "get" if name else "watch" if query.get("watch") in {"true", "1"} else "list"
    elif method == "DELETE":
        verb = "delete" if name else "deletecollection"
    else:
        verb = _VERBS[method]
    return Right(group, resource, verb)


@contextmanager
def audited(server_url: str, ca_file: Path) -> Iterator[Audit]:
    """Run the proxy for the time of the block."""
    audit = Audit()
    started, stop = threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        tls = ssl.create_default_context(cafile=str(ca_file))
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=tls, limit=0), auto_decompress=False
        ) as session:
            app = web.Application(client_max_size=16 * 2**20)
            app.router.add_route("*", "/{path:.*}", _Handler(audit, session, server_url).handle)
            runner = web.AppRunner(app, shutdown_timeout=0.5)
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            audit.url = "http://{}:{}".format(*runner.addresses[0][:2])
            started.set()
            await stop.wait()
            await runner.cleanup()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), daemon=True)
    thread.start()
    assert started.wait(10)
    try:
        yield audit
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()


@dataclass
class _Handler:
    audit: Audit
    session: aiohttp.ClientSession
    server_url: str

    async def handle(self, request: web.Request) -> web.StreamResponse:
        right = right_of(request.method, request.path, dict(request.query))
        if right is not None and right.verb == "patch" and right.resource in self.audit.conflict_on:
            self.audit.conflict_on.discard(right.resource)
            status = {
                "kind": "Status",
                "apiVersion": "v1",
                "status": "Failure",
                "code": 409,
                "message": "so it is told",
            }
            return web.Response(status=409, text=json.dumps(status), content_type="application/json")
        headers = {name: request.headers[name] for name in _PASSED_ON if name in request.headers}
        async with self.session.request(
            request.method,
            self.server_url + request.path_qs,
            data=await request.read() or None,
            headers=headers,
            timeout=aiohttp.ClientTimeout(total=None),
        ) as answer:
            if right is not None:
                self.audit.asked.setdefault(right, set()).add(answer.status)
                if right.verb == "patch" and answer.status == HTTPStatus.CREATED:
                    # An apply that makes the object: the API server asks RBAC about both verbs.
                    self.audit.asked.setdefault(right._replace(verb="create"), set()).add(answer.status)
            response = web.StreamResponse(status=answer.status)
            response.headers["Content-Type"] = answer.headers.get("Content-Type", "application/json")
            await response.prepare(request)
            async for chunk in answer.content.iter_any():
                await response.write(chunk)
            await response.write_eof()
            return response
