"""The parts of visits, put together; built once by the app."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from functools import partial
from uuid import uuid4

from fastapi import APIRouter

from ehr_clients.http import tls_context
from ehr_connector.audit import Audit
from ehr_connector.background import Work, every
from ehr_connector.clinician.composed import ClinicianParts
from ehr_connector.coming.endpoint import Tools
from ehr_connector.coming.worker import ComingVisits
from ehr_connector.ehr.access import EhrAccess
from ehr_connector.ground import Ground
from ehr_connector.launch.flow import LaunchFlow
from ehr_connector.launch.identity import Identity
from ehr_connector.launch.routes import LaunchPages
from ehr_connector.launch.session import clinician_sessions
from ehr_connector.notify.allow_list import AllowLists
from ehr_connector.notify.answers.composed import AnswerParts
from ehr_connector.notify.planner.pace import Pacer
from ehr_connector.notify.planner.planned import PlannedSender
from ehr_connector.notify.planner.tools import NoticeTools
from ehr_connector.notify.planner.worker import EndpointNotices
from ehr_connector.notify.post import Post
from ehr_connector.notify.provider import Providers
from ehr_connector.notify.sender import Sender
from ehr_connector.reports.composed import Reports
from ehr_connector.store.evidence import EvidenceBook
from ehr_connector.store.guests import Guests
from ehr_connector.store.held_messages import HeldMessages
from ehr_connector.store.leases import Leases
from ehr_connector.store.notices import Notices
from ehr_connector.store.paces import Paces
from ehr_connector.store.rates import Rates
from ehr_connector.store.sends import Sends
from ehr_connector.store.single_use import SingleUse
from ehr_connector.store.token_endpoints import TokenEndpoints
from ehr_connector.teams.composed import Teams
from ehr_connector.visits.device_test_records import DeviceTestRecords
from ehr_connector.visits.links import PATH as LINK_PATH
from ehr_connector.visits.links import Links
from ehr_connector.visits.patient_routes import PatientPages
from ehr_connector.visits.service import VisitService
from ehr_connector.web.assets import Assets
from ehr_connector.web.guessing import OF_PATIENTS, OF_STAFF
from ehr_connector.web.locales import Locales
from ehr_connector.web.pages import Pages

_TIDY_S = 600.0
_TELL_S = 15.0
"""How soon others know which messages wait, and that they wait no more."""
PAGE_PREFIXES = ("/launch/", "/clinician/", "/sign-in/", "/v/", "/device-test", "/reports")
"""Paths whose refusals a browser gets as a page."""
GUESSING_LIMITS = {
    LINK_PATH: OF_PATIENTS,
    **dict.fromkeys(("/launch/", "/clinician/", "/sign-in/"), OF_STAFF),
}
"""Below which path an address may be refused how often."""


class VisitParts:
    """The pages of clinicians and patients, and the work behind them."""

    def __init__(self, ground: Ground, teams: Teams, evidence: EvidenceBook, audit: Audit) -> None:
        settings, engine, now = ground.settings, ground.engine, ground.now
        secret, metrics, directory, events = ground.secret_keys, ground.metrics, ground.directory, ground.events
        self._single_use = SingleUse(engine, now)
        self._rates = Rates(engine, now)
        self.ehr = EhrAccess(
            tls_context(settings.ca_file),
            settings.allowed_networks,
            ground.signing_keys.signing_key,
            time.monotonic,
            TokenEndpoints(engine).check,
            ground.resolve,
        )
        guests = Guests(engine, now)
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
        pacer = Pacer(Paces(engine, now), partial(secret.name, "pace"))
        sender = Sender(post, self._sends, secret, metrics, pacer.take_soon)
        sessions = clinician_sessions(secret, now)
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
            sender=PlannedSender(post, self._sends, metrics, pacer.spare),
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
        self._clinician = ClinicianParts(
            ground,
            teams,
            ehr=self.ehr,
            service=service,
            guests=guests,
            rates=self._rates,
            single_use=self._single_use,
            sender=sender,
            evidence=evidence,
            audit=audit,
            sessions=sessions,
            pages=self.pages,
        )
        self.reports = Reports(
            engine,
            directory=directory,
            entra=teams.sign_in,
            audit=audit,
            single_use=self._single_use,
            secret=secret,
            pages=self.pages,
            metrics=metrics,
            now=now,
        )
        records = DeviceTestRecords(directory, evidence, now)
        self._patient = PatientPages(self.pages, service, records, now, teams_origins=settings.teams_origins)

    def routers(self) -> Sequence[APIRouter]:
        """Return the routes of every page."""
        parts = (self._launch, self._patient, self.assets)
        return [*(part.router() for part in parts), *self._clinician.routers(), *self.reports.routers()]

    def web_works(self) -> Mapping[str, Work]:
        """Return the work of a process that serves pages."""
        return self._clinician.web_works()

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
