"""The part of `reports.py` that serves reports and asks for them: a process of its own, so that its memory is its own."""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from reports import ADDED, CLIENT, now
from reports_month import TENANT
from starlette.responses import Response

from ehr_api.v1alpha1.ehr_connector_config import DataGeography
from ehr_connector.app import create_app
from ehr_connector.directory import Directory
from ehr_connector.keys.secret import SecretKeys
from ehr_connector.reports.web.access import ReportsAccess, ReportsSession
from ehr_connector.settings import Role, Settings
from ehr_connector.store.database import open_database
from ehr_connector.store.organizations import Organizations
from ehr_connector.store.single_use import SingleUse

_TIMES = 10
_PAGES = ("consumption", "call-quality", "messages", "audit")
_LOOK_S = 0.02


def cookie(url: str, keys: Path) -> str:
    """Return the cookie of a reader who has signed in."""
    engine = open_database(url)
    secret = SecretKeys(keys, now)
    access = ReportsAccess(Directory(Organizations(engine, now), time.monotonic), secret, SingleUse(engine, now), now)
    session = ReportsSession(
        number="1", tenant=TENANT, client=CLIENT, account="a", username="r", roles=("Reports.Auditor",)
    )
    answer = Response()
    access.begin(answer, session, "browser")
    return answer.headers["set-cookie"].partition(";")[0]


async def measured(arguments: dict[str, Any]) -> dict[str, Any]:
    """Serve, ask, and return the figures."""
    settings = Settings(
        database_url=arguments["url"],
        geography=DataGeography.AMERICAS,
        keys_dir=Path(arguments["keys"]),
        control_issuer="https://issuer.example",
        role=Role.WEB,
        log_level="WARNING",
    )
    config = uvicorn.Config(
        create_app(settings, now=now), host="127.0.0.1", port=0, log_level="warning", access_log=False
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 (uvicorn has no event for it)
        await asyncio.sleep(_LOOK_S)
    port = server.servers[0].sockets[0].getsockname()[1]
    headers = {"Cookie": cookie(arguments["url"], Path(arguments["keys"]))}
    first, last = arguments["days"]
    query = {"from": first, "to": last}
    async with httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=60, trust_env=False
    ) as http:
        figures = [
            *[
                await _slowest(http, f"page {page}", f"/reports/organizations/lamna/lamna/{page}", query)
                for page in _PAGES
            ],
            *[
                await _slowest(
                    http, f"summary {what}", f"/reports/api/v1/organizations/lamna/lamna/{what}/summary", query
                )
                for what in ("visits", "call-quality", "messages")
            ],
            *[
                await _slowest(
                    http,
                    f"page {page} of one department",
                    f"/reports/organizations/lamna/lamna/{page}",
                    query | {"department": "oncology"},
                )
                for page in ("consumption", "call-quality")
            ],
        ]
        before, rows = _resident_bytes(), dict[str, int]()
        peak = before
        for what in ("visits", "call-quality", "messages", "audit"):
            rows[what], rate, most = await _download(http, what, query)
            peak = max(peak, most)
            figures.append((f"CSV {what}", rate, "rows/s"))
    server.should_exit = True
    await serving
    figures += [
        ("CSV, memory before", before / 2**20, "MiB"),
        ("CSV, memory at most", peak / 2**20, "MiB"),
        (ADDED, (peak - before) / 2**20, "MiB"),
    ]
    return {"figures": figures, "rows": rows}


async def _slowest(http: httpx.AsyncClient, name: str, path: str, query: dict[str, str]) -> tuple[str, float, str]:
    times: list[float] = []
    for _ in range(_TIMES):
        began_s = time.perf_counter()
        answer = await http.get(path, params=query)
        if answer.is_error:
            raise RuntimeError(f"{name}: {answer.status_code} {answer.text[:500]}")
        times.append(time.perf_counter() - began_s)
    print(f"{name}: median {statistics.median(times):.3f} s", file=sys.stderr)
    return f"{name}, slowest of {_TIMES}", max(times), "s"


async def _download(http: httpx.AsyncClient, what: str, query: dict[str, str]) -> tuple[int, float, int]:
    """Return how many rows there were, how many came a second, and the most memory that it took."""
    lines = peak = 0
    began_s = time.perf_counter()
    path = f"/reports/api/v1/organizations/lamna/lamna/{what}.csv"
    async with http.stream("GET", path, params=query) as answer:
        async for piece in answer.aiter_raw():
            lines += piece.count(b"\n")
            peak = max(peak, _resident_bytes())
    rows = lines - 1
    return rows, rows / (time.perf_counter() - began_s), peak


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    print(json.dumps(asyncio.run(measured(json.loads(sys.argv[1])))))
