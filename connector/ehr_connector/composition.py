"""The parts of visits, put together; built once by the app."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from uuid import uuid4

from fastapi import APIRouter
from sqlalchemy.ext.asyncio import AsyncEngine

from ehr_clients.guard import Resolve
from ehr_clients.http import tls_context
from ehr_connector.audit import Action, Audit
from ehr_connector.background import Work, every
from ehr_connector.clinician.board import Boards
from ehr_connector.clinician.charts import Charts
from ehr_connector.clinician.routes import ClinicianPages
from ehr_connector.clinician.sign_in import SignIn
from ehr_connector.clinician.streams import Shown, Streams
from ehr_connector.clinician.waiting import SignIns
from ehr_connector.coming.endpoint import Tools
from ehr_connector.coming.worker import ComingVisits
from ehr_connector.directory import Directory
from ehr_connector.ehr.access import EhrAccess
from ehr_connector.keys.secret import SecretKeys
from ehr_connector.keys.signing import SigningKeys
from ehr_connector.launch.flow import LaunchFlow
from ehr_connector.launch.identity import Identity
from ehr_connector.launch.routes import LaunchPages
from ehr_connector.launch.sealed import Sealer
from ehr_connector.launch.session import clinician_sessions
from ehr_connector.metrics import Metrics
from ehr_connector.notify.allow_list import AllowLists
from ehr_connector.notify.answers_composed import AnswerParts
from ehr_connector.notify.pace import Pacer
from ehr_connector.notify.planned import PlannedSender
from ehr_connector.notify.post import Post
from ehr_connector.notify.provider import Providers
from ehr_connector.notify.sender import Sender
from ehr_connector.notify.worker import EndpointNotices, NoticeTools
from ehr_connector.reports.composed import Reports
from ehr_connector.settings import Settings
from ehr_connector.store.accounts import Accounts
from ehr_connector.store.events import Events
from ehr_connector.store.evidence import EvidenceBook
from ehr_connector.store.guests import Guests
from ehr_connector.store.held_messages import HeldMessages
from ehr_connector.store.leases import Leases
from ehr_connector.store.notices import Notices
from ehr_connector.store.paces import Paces
from ehr_connector.store.rates import Rates
from ehr_connector.store.sends import Sends
from ehr_connector.store.single_use import SingleUse
from ehr_connector.store.visits import VisitRow, Visits
from ehr_connector.teams.composed import Teams
from ehr_connector.visits.booking import VisitKind
from ehr_connector.visits.device_test_records import DeviceTestRecords
from ehr_connector.visits.events import Kind, Side, VisitEvent, status_of
from ehr_connector.visits.links import Links
from ehr_connector.visits.live import Live
from ehr_connector.visits.patient_routes import PatientPages
from ehr_connector.visits.service import VisitService
from ehr_connector.web.assets import Assets
from ehr_connector.web.locales import Locales
from ehr_connector.web.pages import Pages

_TIDY_S = 600.0
_TELL_S = 15.0
"""How soon others know which messages wait, and that they wait no more."""
PAGE_PREFIXES = ("/launch/", "/clinician/", "/sign-in/", "/v/", "/device-test", "/reports")
"""Paths whose refusals a browser gets as a page."""


@dataclass(frozen=True, slots=True)
class Ground:
    """What visits stand on."""

    settings: Settings
    engine: AsyncEngine
    directory: Directory
    signing_keys: SigningKeys
    secret_keys: SecretKeys
    visits: Visits
    events: Events
    metrics: Metrics
    now: Callable[[], datetime]
    resolve: Resolve


class Evidenced:
    """Follows what Graph tells of a visit: a patient in the meeting is evidence for promotion, and audited.

    Who has no account of the organisation may be a guest: it is the patient who went on to Teams by the patient's link.
    """

    def __init__(
        self, evidence: EvidenceBook, audit: Audit, events: Events, secret: SecretKeys, now: Callable[[], datetime]
    ) -> None:
        self._evidence = evidence
        self._audit = audit
        self._events = events
        self._secret = secret
        self._now = now

    async def __call__(self, row: VisitRow, told: Sequence[VisitEvent]) -> None:
        """Count a patient who joined; the same told again counts no second time."""
        joined = {one.participant or "" for one in told if one.kind is Kind.IN_VISIT and one.code == Side.PATIENT}
        if row.kind != VisitKind.PATIENT or not joined:
            return
        if status_of(await self._events.of(row.visit), self._now()).came_at is None:
            return
        await self._evidence.patient_joined(row)
        for participant in sorted(joined):
            token = self._secret.name("audited join", row.visit, participant)
            await self._audit.record_once(
                token, row.namespace, row.name, Action.PATIENT_JOINED, Side.PATIENT, row.visit
            )


class VisitParts:
    """The pages of clinicians and patients, and the work behind them."""

    def __init__(self, ground: Ground, teams: Teams, evidence: EvidenceBook, audit: Audit) -> None:
        settings, engine, now = ground.settings, ground.engine, ground.now
        secret, metrics, directory, events = ground.secret_keys, ground.metrics, ground.directory, ground.events
        self._single_use = SingleUse(engine, now)
        self._rates = Rates(engine, now)
        self._live = Live(events)
        self.ehr = EhrAccess(
            tls_context(settings.ca_file),
            settings.allowed_networks,
            ground.signing_keys.signing_key,
            time.monotonic,
            ground.resolve,
        )
        guests, accounts = Guests(engine, now), Accounts(engine, now)
        self._sign_ins = SignIns(accounts)
        self.assets = Assets()
        self.pages = Pages(Locales(), self.assets)
        service = VisitService(
            directory=directory,
            ehr=self.ehr,
            secret=secret,
            links=Links(secret),
            visits=ground.visits,
            events=events,
            guests=guests,
            meetings=teams.meetings,
            rates=self._rates,
            now=now,
            monotonic=time.monotonic,
        )
        self._sends = Sends(engine, now)
        self._providers = Providers(
            settings.acs_credential,
            settings.trusted_urls,
            tls_context(settings.ca_file),
            entra_authority=settings.entra_authority,
            entra_instance_discovery=settings.entra_instance_discovery,
            environment=os.environ,
        )
        post = Post(
            ehr=self.ehr,
            service=service,
            sends=self._sends,
            providers=self._providers,
            allow_lists=AllowLists(settings.test_recipients_dir),
            secret=secret,
            now=now,
        )
        sender = Sender(post, self._sends, secret, metrics)
        charts = Charts(directory, self.ehr, now)
        boards = Boards(
            charts=charts,
            service=service,
            meetings=teams.meetings,
            accounts=accounts,
            events=events,
            guests=guests,
            rates=self._rates,
            sender=sender,
            evidence=evidence,
            audit=audit,
            secret=secret,
            now=now,
        )
        sessions = clinician_sessions(secret, now)
        sign_in = SignIn.create(
            directory=directory,
            entra=teams.sign_in,
            accounts=accounts,
            audit=audit,
            single_use=self._single_use,
            secret=secret,
            pages=self.pages,
            now=now,
        )
        flow = LaunchFlow(
            directory=directory,
            ehr=self.ehr,
            identity=Identity(time.monotonic),
            secret=secret,
            single_use=self._single_use,
            signing_key=ground.signing_keys.signing_key,
            now=now,
        )
        self._notices = Notices(engine, now)
        pacer = Pacer(Paces(engine, now), partial(secret.name, "pace"))
        self._answers = AnswerParts(
            settings,
            engine,
            directory=directory,
            providers=self._providers,
            secret=secret,
            metrics=metrics,
            pace=pacer.take,
            now=now,
        )
        notice_tools = NoticeTools(
            sender=PlannedSender(post, self._sends, metrics),
            notices=self._notices,
            take=pacer.take,
            secret=secret,
            now=now,
        )
        tools = Tools(
            ehr=self.ehr,
            service=service,
            events=events,
            metrics=metrics,
            now=now,
            monotonic=time.monotonic,
            interval_s=settings.appointment_interval,
            notices=partial(EndpointNotices, tools=notice_tools),
        )
        self._leases = Leases(engine, uuid4().hex, now)
        self.coming = ComingVisits(directory, self._leases, tools)
        self._held = HeldMessages(engine, now)
        self._launch = LaunchPages(
            flow=flow,
            sessions=sessions,
            directory=directory,
            ehr=self.ehr,
            service=service,
            evidence=evidence,
            audit=audit,
            rates=self._rates,
            secret=secret,
            pages=self.pages,
            metrics=metrics,
            now=now,
        )
        self._clinician = ClinicianPages(
            charts=charts,
            boards=boards,
            sessions=sessions,
            sign_in=sign_in,
            streams=Streams(
                boards,
                self._live,
                self._sign_ins,
                Sealer(secret, Shown, purpose="board's stream", life=sessions.life, now=now),
                now,
            ),
            secret=secret,
            pages=self.pages,
            metrics=metrics,
            teams_origins=settings.teams_origins,
            now=now,
        )
        self._sign_in = sign_in
        self.reports = Reports(
            engine,
            directory=directory,
            entra=teams.sign_in,
            audit=audit,
            single_use=self._single_use,
            secret=secret,
            pages=self.pages,
            now=now,
        )
        records = DeviceTestRecords(directory, evidence, now)
        self._patient = PatientPages(self.pages, service, records, now, teams_origins=settings.teams_origins)

    def routers(self) -> Sequence[APIRouter]:
        """Return the routes of every page."""
        parts = (self._launch, self._clinician, self._sign_in, self._patient, self.assets)
        return [*(part.router() for part in parts), *self.reports.routers()]

    def web_works(self) -> Mapping[str, Work]:
        """Return the work of a process that serves pages."""
        return {"tell open pages": self._live.run, "tell of sign-ins": self._sign_ins.run}

    def worker_works(self) -> Mapping[str, Work]:
        """Return the work of which some process must do each piece."""
        return {
            "coming visits": self.coming.run,
            "tell held messages": partial(every, _TELL_S, self._tell_held),
            "tidy": partial(every, _TIDY_S, self._tidy),
            **self.reports.worker_works(),
            **self._answers.worker_works(),
        }

    async def aclose(self) -> None:
        """Close the connections to EHRs and to Communication Services."""
        await self.ehr.aclose()
        await self._providers.aclose()
        await self._answers.aclose()

    async def _tell_held(self) -> None:
        waits = self.coming.held().by_endpoint
        await self._held.tell({(one.namespace, one.organization, one.endpoint): waits[one] for one in waits})

    async def _tidy(self) -> None:
        await self._single_use.forget_expired()
        await self._rates.forget_expired()
        await self._leases.forget_expired()
        await self._sends.forget_recipients()
        await self._notices.forget_old()
        await self._answers.tidy()
