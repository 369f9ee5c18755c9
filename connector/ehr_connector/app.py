"""The connector as a web app: what is built at the start, and what is served."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from fastapi import FastAPI

from ehr_clients.guard import Resolve, system_resolve
from ehr_clients.http import client, tls_context
from ehr_connector.control.caller import Caller
from ehr_connector.control.probes import Probes
from ehr_connector.control.routes import ControlApi
from ehr_connector.directory import Directory
from ehr_connector.health import Health
from ehr_connector.keys.secret import SecretKeys
from ehr_connector.keys.signing import SigningKeys
from ehr_connector.metrics import Metrics
from ehr_connector.settings import Settings
from ehr_connector.store.database import open_database
from ehr_connector.store.events import Events
from ehr_connector.store.migrate import migrate
from ehr_connector.store.organizations import Organizations
from ehr_connector.store.visits import VisitRow, Visits
from ehr_connector.teams.composed import Teams
from ehr_connector.visits.events import VisitEvent
from ehr_connector.web.middleware import RequestMiddleware
from ehr_connector.web.problems import answer_problems


def create_app(settings: Settings, *, resolve: Resolve = system_resolve) -> FastAPI:
    """Return the app; it opens and migrates the database when it starts, and closes everything when it ends."""
    metrics = Metrics()
    engine = open_database(settings.database_url)
    organizations = Organizations(engine, _now)
    keys = SigningKeys(settings.keys_dir, _now)
    issuer_http = client(tls=tls_context(settings.control_ca_file))
    caller = Caller(
        issuer_http,
        issuer=settings.control_issuer,
        jwks_url=settings.control_jwks_url,
        audience=settings.control_audience,
        subject=settings.control_subject,
        monotonic=time.monotonic,
    )
    probes = Probes(tls_context(settings.ca_file), settings.allowed_networks, keys.signing_key, _now, metrics, resolve)

    visits, events = Visits(engine, _now), Events(engine, _now)
    teams = Teams(
        settings,
        engine,
        visits=visits,
        events=events,
        directory=Directory(organizations, time.monotonic),
        secret_keys=SecretKeys(settings.keys_dir, _now),
        metrics=metrics,
        now=_now,
        on_new=_nothing_follows,
    )

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncGenerator[None]:
        keys.signing_key()
        try:
            await migrate(engine)
            async with teams.running():
                yield
        finally:
            await issuer_http.aclose()
            await engine.dispose()

    app = FastAPI(
        title="EHR connector",
        lifespan=lifespan,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.include_router(Health(engine, organizations, keys, metrics).router())
    app.include_router(ControlApi(caller, organizations, engine, probes, teams.preflight, settings.geography).router())
    app.include_router(teams.notifications.router())
    answer_problems(app)
    app.add_middleware(RequestMiddleware, metrics=metrics)
    return app


async def _nothing_follows(_visit: VisitRow, _events: Sequence[VisitEvent]) -> None:
    """Do no more than record what Graph tells."""


def _now() -> datetime:
    return datetime.now(UTC)
