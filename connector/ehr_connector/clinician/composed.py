"""The clinician's pages, put together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fastapi import APIRouter

from ehr_connector.audit import Audit
from ehr_connector.background import Work
from ehr_connector.clinician.board import Boards
from ehr_connector.clinician.charts import Charts
from ehr_connector.clinician.routes import ClinicianPages
from ehr_connector.clinician.sign_in import SignIn
from ehr_connector.clinician.streams import Shown, Streams
from ehr_connector.clinician.waiting import SignIns
from ehr_connector.ehr.access import EhrAccess
from ehr_connector.ground import Ground
from ehr_connector.launch.sealed import Sealer
from ehr_connector.launch.session import ClinicianSession
from ehr_connector.notify.sender import Sender
from ehr_connector.store.accounts import Accounts
from ehr_connector.store.evidence import EvidenceBook
from ehr_connector.store.guests import Guests
from ehr_connector.store.rates import Rates
from ehr_connector.store.single_use import SingleUse
from ehr_connector.teams.composed import Teams
from ehr_connector.visits.live import Live
from ehr_connector.visits.service import VisitService
from ehr_connector.web.pages import Pages


class ClinicianParts:
    """The board, its streams, and the one sign-in."""

    def __init__(
        self,
        ground: Ground,
        teams: Teams,
        *,
        ehr: EhrAccess,
        service: VisitService,
        guests: Guests,
        rates: Rates,
        single_use: SingleUse,
        sender: Sender,
        evidence: EvidenceBook,
        audit: Audit,
        sessions: Sealer[ClinicianSession],
        pages: Pages,
    ) -> None:
        secret, now = ground.secret_keys, ground.now
        accounts = Accounts(ground.engine, now)
        self._live = Live(ground.events)
        self._sign_ins = SignIns(accounts)
        charts = Charts(ground.directory, ehr, now)
        boards = Boards(
            charts=charts,
            service=service,
            meetings=teams.meetings,
            accounts=accounts,
            events=ground.events,
            guests=guests,
            rates=rates,
            sender=sender,
            evidence=evidence,
            audit=audit,
            secret=secret,
            now=now,
        )
        self._sign_in = SignIn.create(
            directory=ground.directory,
            entra=teams.sign_in,
            accounts=accounts,
            audit=audit,
            single_use=single_use,
            secret=secret,
            pages=pages,
            now=now,
        )
        shown = Sealer(secret, Shown, purpose="board's stream", life=sessions.life, now=now)
        self._pages = ClinicianPages(
            charts=charts,
            boards=boards,
            sessions=sessions,
            sign_in=self._sign_in,
            streams=Streams(boards, self._live, self._sign_ins, shown, now),
            secret=secret,
            pages=pages,
            teams_origins=ground.settings.teams_origins,
            now=now,
        )

    def routers(self) -> Sequence[APIRouter]:
        """Return the routes of every page."""
        return [self._pages.router(), self._sign_in.router()]

    def web_works(self) -> Mapping[str, Work]:
        """Return the work of a process that serves pages."""
        return {"tell open pages": self._live.run, "tell of sign-ins": self._sign_ins.run}
