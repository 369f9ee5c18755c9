"""The connector as a web app: what is built at the start, and what is served."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from fastapi import FastAPI

from ehr_clients.guard import Resolve, system_resolve
from ehr_clients.http import client, tls_context
from ehr_connector.audit import Audit
from ehr_connector.background import Work, going_on
from ehr_connector.composition import GUESSING_LIMITS, PAGE_PREFIXES, VisitParts
from ehr_connector.control.caller import Caller
from ehr_connector.control.messages import MessagesReports
from ehr_connector.control.probes import Probes
from ehr_connector.control.routes import PREFIX as CONTROL_PREFIX
from ehr_connector.control.routes import ControlApi
from ehr_connector.directory import Directory
from ehr_connector.ground import Ground
from ehr_connector.health import Health
from ehr_connector.keys.secret import SecretKeys
from ehr_connector.keys.signing import SigningKeys
from ehr_connector.metrics import Metrics
from ehr_connector.reports.quality.composed import CallQuality
from ehr_connector.settings import Role, Settings
from ehr_connector.store.access import Database
from ehr_connector.store.events import Events
from ehr_connector.store.evidence import EvidenceBook
from ehr_connector.store.migrate import migrate
from ehr_connector.store.organizations import Organizations
from ehr_connector.store.single_use import SingleUse
from ehr_connector.store.token_endpoints import TokenEndpoints
from ehr_connector.store.visits import Visits
from ehr_connector.teams.composed import Teams
from ehr_connector.teams.subscriptions import PATH as NOTIFICATIONS_PATH
from ehr_connector.visits.evidenced import Evidenced
from ehr_connector.web.guessing import GuessingLimit
from ehr_connector.web.middleware import RequestMiddleware
from ehr_connector.web.pages import answer_pages, failure_answers, limit_pages
from ehr_connector.web.problems import answer_problems


def _utc_now() -> datetime:
    return datetime.now(UTC)


def create_app(
    settings: Settings, *, resolve: Resolve = system_resolve, now: Callable[[], datetime] = _utc_now
) -> FastAPI:
    """Return the app; it opens and migrates the database when it starts, and closes everything when it ends.

    `now` is the clock by which sessions, tickets and join windows end.
    """
    metrics = Metrics()
    database = Database(settings)
    engine = database.engine
    organizations = Organizations(engine, now)
    keys = SigningKeys(settings.keys_dir, now)
    issuer_http = client(tls=tls_context(settings.control_ca_file))
    caller = Caller(
        issuer_http,
        issuer=settings.control_issuer,
        jwks_url=settings.control_jwks_url,
        audience=settings.control_audience,
        subject=settings.control_subject,
        monotonic=time.monotonic,
    )
    probes = Probes(
        tls_context(settings.ca_file),
        settings.allowed_networks,
        keys.signing_key,
        now,
        metrics,
        TokenEndpoints(engine).check,
        resolve,
    )

    ground = Ground(
        settings=settings,
        engine=engine,
        directory=Directory(organizations, time.monotonic),
        signing_keys=keys,
        secret_keys=SecretKeys(settings.keys_dir, now),
        visits=Visits(engine, now),
        events=Events(engine, now),
        metrics=metrics,
        now=now,
        resolve=resolve,
    )
    audit = Audit(engine, now)
    evidence = EvidenceBook(engine, SingleUse(engine, now), ground.secret_keys, now)
    teams = Teams(
        settings,
        engine,
        visits=ground.visits,
        events=ground.events,
        directory=ground.directory,
        secret_keys=ground.secret_keys,
        metrics=metrics,
        now=now,
        on_told=Evidenced(evidence, audit, ground.events, ground.secret_keys, now),
    )
    parts = VisitParts(ground, teams, evidence, audit)
    quality = CallQuality(
        engine,
        teams,
        visits=ground.visits,
        directory=ground.directory,
        secret_keys=ground.secret_keys,
        metrics=metrics,
        now=now,
    )
    works: dict[str, Work] = {}
    if settings.role is not Role.WORKER:
        works |= {**teams.web_works(), **parts.web_works()}
    if settings.role is not Role.WEB:
        works |= {**teams.worker_works(), **parts.worker_works(), **quality.worker_works()}

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncGenerator[None]:
        keys.signing_key()
        ground.secret_keys.check()
        try:
            await migrate(engine)
            async with going_on(works):
                yield
        finally:
            await parts.aclose()
            await teams.aclose()
            await issuer_http.aclose()
            await database.aclose()

    app = FastAPI(
        title="EHR connector",
        lifespan=lifespan,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    other_keys = (ground.secret_keys, teams.notification_keys)
    app.include_router(Health(engine, organizations, keys, other_keys, metrics).router())
    if settings.role is not Role.WORKER:
        control = ControlApi(
            caller=caller,
            organizations=organizations,
            engine=engine,
            probes=probes,
            preflight=teams.preflight,
            messages=MessagesReports(engine, now),
            geography=settings.geography,
            audit=audit,
        )
        for router in (control.router(), teams.notifications.router(), *parts.routers()):
            app.include_router(router)
    answer_problems(app)
    answer_pages(app, parts.pages, PAGE_PREFIXES, ground.directory.embedders)
    too_often = limit_pages(parts.pages, PAGE_PREFIXES, ground.directory.embedders)
    app.add_middleware(GuessingLimit, limits=GUESSING_LIMITS, page=too_often)
    failed = failure_answers(parts.pages, PAGE_PREFIXES, ground.directory.embedders)
    app.add_middleware(
        RequestMiddleware, metrics=metrics, failed=failed, own_limits=(CONTROL_PREFIX, NOTIFICATIONS_PATH)
    )
    return app
