"""The board: the launched patient's visits today and next, and what the clinician can do with each.

Only visits of the launched patient can be reached from a session: each action reads them from the EHR again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from ehr_clients.fhir_model import Patient
from ehr_connector.audit import Action, Audit
from ehr_connector.audit import Outcome as AuditOutcome
from ehr_connector.clinician.charts import BoardError, BoardReason, Charts
from ehr_connector.directory import Site
from ehr_connector.keys.secret import SecretKeys
from ehr_connector.launch.session import ClinicianSession
from ehr_connector.notify.decision import Reason
from ehr_connector.notify.sender import Outcome, Sender
from ehr_connector.store.accounts import Accounts
from ehr_connector.store.events import Events
from ehr_connector.store.evidence import EvidenceBook
from ehr_connector.store.guests import GuestLink, Guests
from ehr_connector.store.rates import Limit, Rates
from ehr_connector.visits.booking import Access, Booking, VisitKind, access
from ehr_connector.visits.events import Channel, Kind, Status, VisitEvent, status_of
from ehr_connector.visits.links import Role
from ehr_connector.visits.service import Meetings, VisitService

_NOT_SHOWN = frozenset({Access.CANCELLED, Access.GONE})
_CHANGES = frozenset({Kind.MOVED, Kind.CANCELLED})
_SENDS = Limit(5, timedelta(hours=1))
"""Links of one visit that are sent."""
_MEETINGS = Limit(10, timedelta(minutes=10))
"""Joins of one visit by one clinician: above that something presses the button by itself."""


@dataclass(frozen=True, slots=True)
class BoardVisit:
    """A visit on the board."""

    visit: str
    """Keyed name: what forms and streams call it."""
    booking: Booking = field(repr=False)
    access: Access
    status: Status
    is_launched: bool
    """Whether the launch was about this very visit (the encounter's appointment)."""
    guests: Sequence[GuestLink]
    channels: frozenset[Channel] = frozenset()
    """How the link can be sent, as far as the set-up goes."""
    changes: int = 0
    """How often it was moved or cancelled, as far as is written down."""

    @property
    def until(self) -> datetime | None:
        """When time alone gives the visit another access."""
        return {Access.EARLY: self.booking.opens_at, Access.OPEN: self.booking.closes_at}.get(self.access)


def _place(one: BoardVisit, now: datetime) -> tuple[bool, bool, timedelta, datetime]:
    """A visit may stay open for hours after its time, beside the one that begins now."""
    is_open = one.access is Access.OPEN
    start = one.booking.start
    return not one.is_launched, not is_open, abs(start - now) if is_open else timedelta(), start


def _audited(channel: Channel, outcome: Outcome | Reason) -> AuditOutcome:
    """Return an outcome as the audit has it; the reason is in the messages' own table."""
    if outcome is Outcome.SENT:
        return AuditOutcome(channel.value)
    return AuditOutcome.REFUSED if isinstance(outcome, Reason) else AuditOutcome.FAILED


@dataclass(frozen=True, slots=True)
class Board:
    """What the page shows."""

    site: Site
    visits: Sequence[BoardVisit]
    """That of the encounter first, then the open ones, the nearest of them first; then by time."""
    account: str | None = field(repr=False)
    """Entra object id of the clinician, once signed in."""


class Boards:
    """Reads boards and does what their buttons ask for."""

    def __init__(
        self,
        *,
        charts: Charts,
        service: VisitService,
        meetings: Meetings,
        accounts: Accounts,
        events: Events,
        guests: Guests,
        rates: Rates,
        sender: Sender,
        evidence: EvidenceBook,
        audit: Audit,
        secret: SecretKeys,
        now: Callable[[], datetime],
    ) -> None:
        self._charts = charts
        self._service = service
        self._meetings = meetings
        self._accounts = accounts
        self._events = events
        self._guests = guests
        self._rates = rates
        self._sender = sender
        self._evidence = evidence
        self._audit = audit
        self._secret = secret
        self._now = now

    async def board(self, session: ClinicianSession) -> Board:
        """Return the board of a session.

        Raises:
            BoardError: It cannot be had.
        """
        site = await self._charts.site(session)
        launched = await self._charts.launched(site, session)
        now = self._now()
        found = [one for one in await self._charts.bookings(site, session) if access(one, now) not in _NOT_SHOWN]
        visits = [await self._visit(one, launched) for one in found]
        visits.sort(key=lambda one: _place(one, now))
        return Board(site, visits, await self.account(site, session))

    async def account(self, site: Site, session: ClinicianSession) -> str | None:
        """Return the clinician's Microsoft account, once signed in."""
        return await self._accounts.get(site.base_url, session.user, site.organization.microsoft365.tenant_id)

    async def seen(self, visit: str) -> tuple[Status, int]:
        """Return the live status of a visit, and how often it was moved or cancelled."""
        events = await self._events.of(visit)
        return status_of(events, self._now()), sum(event.kind in _CHANGES for event in events)

    async def join(self, session: ClinicianSession, visit: str) -> str:
        """Return the address of the visit's meeting, in which the clinician may admit.

        Raises:
            BoardError: Not now.
            TeamsError: There is no meeting to be had.
        """
        site, found = await self._found(session, visit)
        if access(found, self._now()) not in {Access.EARLY, Access.OPEN}:
            raise BoardError(BoardReason.NOT_OPEN)
        account = await self._needed_account(site, session)
        await self._limit(_MEETINGS, "join", visit, session.user)
        row = await self._service.record(found)
        meeting = await self._meetings.ensure(site.organization, row, [account])
        now = self._now()
        key = f"{Kind.PROVIDER_JOINING} {now.timestamp():.3f}"
        await self._events.record(visit, [VisitEvent(key, Kind.PROVIDER_JOINING, now)])
        await self._evidence.provider_launched(row)
        await self._note(site, session, Action.JOINED, visit)
        return meeting.join_web_url

    async def consult(self, session: ClinicianSession, visit: str) -> str:
        """Return the address of a meeting with a colleague about a visit; no patient's link leads there.

        Raises:
            BoardError, TeamsError: As for `join`.
        """
        site, found = await self._found(session, visit)
        account = await self._needed_account(site, session)
        await self._limit(_MEETINGS, "consult", visit, session.user)
        row = await self._service.record(found, VisitKind.CONSULT)
        meeting = await self._meetings.ensure(site.organization, row, [account])
        await self._note(site, session, Action.CONSULTED, visit)
        return meeting.join_web_url

    async def consult_alone(self, session: ClinicianSession) -> str:
        """Return the address of a meeting with a colleague about a patient who has no visit: one for a clinician and a day.

        Raises:
            BoardError, TeamsError: As for `join`.
        """
        site = await self._charts.site(session)
        account = await self._needed_account(site, session)
        await self._limit(_MEETINGS, "consult", session.patient, session.user)
        day = self._now().astimezone(ZoneInfo(site.endpoint.appointments.time_zone)).date()
        row = await self._service.consult(site, session.patient, session.user, day.isoformat())
        meeting = await self._meetings.ensure(site.organization, row, [account])
        await self._note(site, session, Action.CONSULTED, row.visit)
        return meeting.join_web_url

    async def copied(self, session: ClinicianSession, visit: str) -> None:
        """Note that the clinician copied the patient's link, to pass it on.

        Raises:
            BoardError: Not now.
        """
        site, found = await self._sendable(session, visit)
        # The browser has copied it already: what cannot be prevented is written down, however often.
        await self._service.sent(found, Channel.COPY)
        await self._note(site, session, Action.SENT, visit, AuditOutcome.COPY)

    async def send(self, session: ClinicianSession, visit: str, channel: Channel) -> Outcome | Reason:
        """Send the patient's link, and return what became of it; who asked is noted, and nothing of the patient.

        Raises:
            BoardError: Not now.
        """
        site, found = await self._sendable(session, visit)
        await self._limit(_SENDS, "send", visit)
        outcome = await self._sender.send_link(found, session.patient, channel)
        if outcome is Outcome.SENT:
            await self._service.sent(found, channel)
        await self._note(site, session, Action.SENT, visit, _audited(channel, outcome))
        return outcome

    async def add_guest(self, session: ClinicianSession, visit: str, role: Role) -> None:
        """Make a link for a guest or an interpreter.

        Raises:
            BoardError: Not now, or there are too many.
        """
        site, _ = await self._sendable(session, visit)
        number = await self._guests.add(visit, role.name.lower())
        if number is None:
            raise BoardError(BoardReason.TOO_MANY_LINKS)
        await self._note(site, session, Action.GUEST_LINK_MADE, visit)

    async def revoke_guest(self, session: ClinicianSession, visit: str, number: int) -> None:
        """Let a guest's link open nothing any more.

        Raises:
            BoardError: There is no such visit.
        """
        site, _ = await self._found(session, visit)
        await self._guests.revoke(visit, number)
        await self._note(site, session, Action.GUEST_LINK_REVOKED, visit)

    def patient_link(self, found: Booking) -> str:
        """Return the address of the patient's link."""
        return self._service.link(found, Role.PATIENT)

    async def patient_banner(self, site: Site, session: ClinicianSession) -> Patient | None:
        """Return whom the page is about, when the EHR does not show it around the page (`need_patient_banner`).

        Raises:
            BoardError: The EHR gave no usable answer.
        """
        if not session.banner:
            return None
        return await self._charts.patient(site, session)

    def guest_link(self, found: Booking, link: GuestLink) -> str:
        """Return the address of a guest's link."""
        return self._service.link(found, Role[link.kind.upper()], link.number)

    async def _sendable(self, session: ClinicianSession, visit: str) -> tuple[Site, Booking]:
        site, found = await self._found(session, visit)
        if access(found, self._now()) not in {Access.EARLY, Access.OPEN}:
            raise BoardError(BoardReason.NOT_OPEN)
        return site, found

    async def _needed_account(self, site: Site, session: ClinicianSession) -> str:
        account = await self.account(site, session)
        if account is None:
            raise BoardError(BoardReason.NO_ACCOUNT)
        return account

    async def _limit(self, limit: Limit, *parts: str) -> None:
        wait = await self._rates.take(self._secret.name("rate", *parts), limit)
        if wait is not None:
            raise BoardError(BoardReason.TOO_OFTEN, minutes=str(max(1, round(wait.total_seconds() / 60))))

    async def _note(
        self,
        site: Site,
        session: ClinicianSession,
        action: Action,
        visit: str,
        outcome: AuditOutcome = AuditOutcome.SUCCESS,
    ) -> None:
        actor = self._secret.name("actor", site.base_url, session.user)
        await self._audit.record(site.namespace, site.organization_name, action, actor, visit, outcome)

    async def _found(self, session: ClinicianSession, visit: str) -> tuple[Site, Booking]:
        site = await self._charts.site(session)
        for found in await self._charts.bookings(site, session):
            if self._service.name(site, found.appointment_id) == visit:
                return site, found
        raise BoardError(BoardReason.NO_SUCH_VISIT)

    async def _visit(self, found: Booking, launched: str | None) -> BoardVisit:
        visit = self._service.name(found.site, found.appointment_id)
        status, changes = await self.seen(visit)
        return BoardVisit(
            visit=visit,
            booking=found,
            access=access(found, self._now()),
            status=status,
            is_launched=found.appointment_id == launched,
            guests=await self._guests.of(visit),
            channels=frozenset(one for one in (Channel.SMS, Channel.EMAIL) if self._sender.offers(found, one)),
            changes=changes,
        )
