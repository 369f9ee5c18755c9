"""What pages and the API ask of the reports: filters, rows and summaries, and who may see them. No I/O.

Visits belong to the time that they are booked for, so that one that nobody came to has a place too; messages to the time
at which they were first sent. `day` is always a day at the endpoint's clinic; messages are counted by the days of the filters.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from typing import ClassVar, Protocol
from zoneinfo import ZoneInfo

from fastapi import Request
from pydantic import ConfigDict, computed_field

from ehr_api.meta import api_name

API_NAMES = ConfigDict(alias_generator=api_name, use_attribute_docstrings=True)
"""Names of fields as the JSON API and CSV have them."""


class ReportRole(StrEnum):
    """What somebody may see of an organisation's reports."""

    VIEWER = "viewer"
    AUDITOR = "auditor"
    """Sees the audit log as well."""


@dataclass(frozen=True, slots=True)
class Reader:
    """Who reads, and of which organisation. The identity stays in the session."""

    namespace: str
    name: str
    roles: frozenset[ReportRole]


Access = Callable[[Request], Awaitable[Reader]]
"""A FastAPI dependency: returns the reader or raises `ProblemError` (401, 403)."""
Require = Callable[[ReportRole], Access]
"""Returns the dependency that lets only readers with a role in."""


@dataclass(frozen=True, slots=True)
class Filters:
    """Which part of an organisation's data is meant; an empty choice means all."""

    start: datetime
    """From here on, inclusive."""
    end: datetime
    """Until here, exclusive."""
    departments: Sequence[str] = ()
    """Short names of departments."""
    endpoints: Sequence[str] = ()
    environments: Sequence[str] = ()
    zone: str = "UTC"
    """Whose days what has no clinic is counted by."""

    @classmethod
    def of_days(
        cls,
        first: date,
        last: date,
        zone: str = "UTC",
        *,
        departments: Sequence[str] = (),
        endpoints: Sequence[str] = (),
        environments: Sequence[str] = (),
    ) -> Filters:
        """Return the filters for whole days of a time zone, the last one included."""
        here = ZoneInfo(zone)
        start = datetime.combine(first, time(), here)
        end = datetime.combine(last + timedelta(days=1), time(), here)
        return cls(start, end, departments, endpoints, environments, zone)


class VisitStatus(StrEnum):
    """How a visit went."""

    SCHEDULED = "scheduled"
    """Its time is not over, and both sides have not met."""
    IN_PROGRESS = "in_progress"
    """Both sides have met, and somebody is still there."""
    COMPLETED = "completed"
    """Both sides were in the meeting together."""
    HALF_JOINED = "half_joined"
    """Both sides came, and were never in the meeting together."""
    NO_SHOW_PATIENT = "no_show_patient"
    """The clinician came, and no patient."""
    NO_SHOW_PROVIDER = "no_show_provider"
    """The patient came, and no clinician."""
    NO_SHOW_BOTH = "no_show_both"
    """Nobody came."""
    TECHNICAL_FAILURE = "technical_failure"
    """Somebody tried to join, or the device test failed, and that side never came in."""
    CANCELLED = "cancelled"
    """In time, or nobody can say when; an appointment that was entered in error likewise."""
    CANCELLED_LATE = "cancelled_late"
    """Cancelled less than a day before it would have begun. One that is cancelled after that stays what it was by then, a no-show
    for example: the EHR was tidied up."""


class BroughtBy(StrEnum):
    """How the patient came to the visit."""

    SMS = "sms"
    """The link that was sent last before the patient first used it was a text; the next two likewise."""
    EMAIL = "email"
    """An e-mail."""
    COPY = "copy"
    """A clinician copied the link."""
    EHR = "ehr"
    """The link in the EHR, or the patient's portal."""
    NONE = "none"
    """The patient did not use the link."""


@dataclass(frozen=True, slots=True)
class ConsumptionRow:
    """One visit. Every column of Microsoft's report is here that holds no identity."""

    __pydantic_config__: ClassVar[ConfigDict] = API_NAMES

    visit: str
    """The name that the audit log has for it too; it leads to nobody."""
    booked_start: datetime
    """As the EHR has it, like the end; in UTC."""
    booked_end: datetime
    """As the EHR has it."""
    day: date
    """Of the booked start, at the clinic."""
    started_at: datetime | None
    """When both sides were in for the first time."""
    ended_at: datetime | None
    """When the last one left."""
    duration_s: int
    """From the start to the end; 0 when a side never came."""
    lobby_wait_s: int | None
    """How long the patient waited; None for one who never did."""
    status: VisitStatus
    """See below."""
    attendees: int
    """How many entered the meeting; who reloads the page, or comes back on another device, is counted again."""
    peak_attendees: int
    """How many were in the meeting at once, at most: nobody counts twice, unless Microsoft tells late that somebody left."""
    department: str
    """Its short name in the configuration."""
    endpoint: str
    """Name of the FhirEndpoint."""
    environment: str
    """Test or Production."""
    visit_type: str
    """patient or consult."""
    brought_by: BroughtBy
    """See below."""
    device_test: str | None
    """How the last one ended (`ehr_connector.visits.events.DeviceTestResult`)."""
    sms_sent: int
    """Texts about the visit that the provider took."""
    emails_sent: int
    """E-mails about the visit that the provider took."""


@dataclass(frozen=True, slots=True)
class Waits:
    """How long patients waited in the lobby, in seconds; None where nobody did."""

    __pydantic_config__: ClassVar[ConfigDict] = API_NAMES

    count: int = 0
    p50_s: int | None = None
    p90_s: int | None = None
    p95_s: int | None = None
    longest_s: int | None = None


Counts = Mapping[VisitStatus, int]
"""Visits by status; a status that none has is missing."""


@dataclass(frozen=True, slots=True)
class VisitSummary:
    """Numbers of the visits that the filters choose."""

    __pydantic_config__: ClassVar[ConfigDict] = API_NAMES

    total: int = 0
    by_status: Counts = field(default_factory=dict[VisitStatus, int])
    by_day: Mapping[date, Counts] = field(default_factory=dict[date, Counts])
    """In order of the days; a day without visits is missing."""
    by_department: Mapping[str, Counts] = field(default_factory=dict[str, Counts])
    by_endpoint: Mapping[str, Counts] = field(default_factory=dict[str, Counts])
    by_channel: Mapping[BroughtBy, Counts] = field(default_factory=dict[BroughtBy, Counts])
    waits: Waits = field(default_factory=Waits)
    waits_by_day: Mapping[date, Waits] = field(default_factory=dict[date, Waits])
    duration_s: int = 0
    """Of all visits together."""
    attendees: int = 0

    @computed_field
    @property
    def no_show_rate(self) -> float | None:
        """Return the part of the visits that were due in which a side did not come; None before any was due."""
        missed = (VisitStatus.NO_SHOW_PATIENT, VisitStatus.NO_SHOW_PROVIDER, VisitStatus.NO_SHOW_BOTH)
        due = self.total - sum(
            self.by_status.get(one, 0)
            for one in (VisitStatus.SCHEDULED, VisitStatus.CANCELLED, VisitStatus.CANCELLED_LATE)
        )
        return sum(self.by_status.get(one, 0) for one in missed) / due if due else None


class MessageStatus(StrEnum):
    """What became of a message: Microsoft's nine, and what theirs does not tell."""

    SENT = "sent"
    """Delivered."""
    OPTED_OUT = "opted_out"
    """Not delivered: blocked by the recipient."""
    INVALID_NUMBER = "invalid_number"
    """Not delivered: invalid phone number."""
    NUMBER_DOES_NOT_EXIST = "number_does_not_exist"
    """Not delivered: the phone number, or the mailbox, does not exist."""
    BLOCKED_NUMBER = "blocked_number"
    """Not delivered: the carrier blocks the phone number."""
    UNREACHABLE_NUMBER = "unreachable_number"
    """Not delivered: unreachable phone number."""
    SPAM_DETECTED = "spam_detected"
    """Not delivered: taken for spam."""
    RECIPIENT_BLOCKED = "recipient_blocked"
    """Not delivered: the provider sends nothing there."""
    OTHER_ERROR = "other_error"
    """Not delivered for another reason, for example that the sender's number is not verified."""
    UNCONFIRMED = "unconfirmed"
    """The provider has it, and has not said yet what became of it."""
    PENDING = "pending"
    """It is being sent."""
    NOT_SENT = "not_sent"
    """It was decided against, or the provider did not take it; the reason says why."""


@dataclass(frozen=True, slots=True)
class MessageCount:
    """How many messages are alike."""

    __pydantic_config__: ClassVar[ConfigDict] = API_NAMES

    channel: str
    """sms or email."""
    occasion: str
    status: MessageStatus
    reason: str | None
    """Why it was not sent (`ehr_connector.notify.decision.Reason`, or the provider's code)."""
    count: int


@dataclass(frozen=True, slots=True)
class MessageRow:
    """One message. Every column of Microsoft's report is here that means something without their licences."""

    __pydantic_config__: ClassVar[ConfigDict] = API_NAMES

    first_sent_at: datetime
    """In UTC."""
    sent_from: str | None
    """The organisation's number or address; None while it is not known, and for what was not sent."""
    visit: str
    """As the report of visits has it."""
    channel: str
    """sms or email."""
    occasion: str
    """What it was for: booking, change, cancellation, reminder, link and others."""
    status: MessageStatus
    """See below."""
    reason: str | None
    """Why it did not arrive: the provider's code, or why it was not sent."""
    department: str
    endpoint: str
    environment: str


@dataclass(frozen=True, slots=True)
class MessageSummary:
    """Numbers of the messages that the filters choose."""

    __pydantic_config__: ClassVar[ConfigDict] = API_NAMES

    total: int = 0
    counts: Sequence[MessageCount] = ()
    by_day: Mapping[date, Mapping[MessageStatus, int]] = field(default_factory=dict[date, Mapping[MessageStatus, int]])
    """Days of the zone of the days that are asked for, by default that of the first endpoint."""


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One row of the audit log; actors and objects are opaque."""

    __pydantic_config__: ClassVar[ConfigDict] = API_NAMES

    number: int
    happened_at: datetime
    action: str
    outcome: str
    actor: str
    object: str
    digest: str


@dataclass(frozen=True, slots=True)
class AuditSummary:
    """How often what was done, and the newest rows of it, the newest first."""

    by_action: Mapping[str, int] = field(default_factory=dict[str, int])
    """The most frequent first."""
    not_successful: int = 0
    newest: Sequence[AuditRow] = ()

    @property
    def total(self) -> int:
        """Return how many rows there are."""
        return sum(self.by_action.values())


@dataclass(frozen=True, slots=True)
class Choices:
    """What the filters can be set to: what there is data of."""

    __pydantic_config__: ClassVar[ConfigDict] = API_NAMES

    departments: Sequence[str] = ()
    endpoints: Sequence[str] = ()
    environments: Sequence[str] = ()


class ReportQueries(Protocol):
    """What the database tells (`ehr_connector.reports.queries.Queries`).

    The iterators read in pages, each in a transaction of its own: a slow reader holds nothing, and memory stays flat.
    """

    async def choices(self, reader: Reader) -> Choices:
        """Return what can be filtered by."""
        ...

    def visits(self, reader: Reader, filters: Filters) -> AsyncIterator[ConsumptionRow]:
        """Give the visits in the order of their booked time."""
        ...

    async def visit_summary(self, reader: Reader, filters: Filters) -> VisitSummary:
        """Return the numbers of the visits."""
        ...

    def messages(self, reader: Reader, filters: Filters) -> AsyncIterator[MessageRow]:
        """Give the messages in the order in which they were sent."""
        ...

    async def message_summary(self, reader: Reader, filters: Filters) -> MessageSummary:
        """Return the numbers of the messages."""
        ...

    def audit(self, reader: Reader, start: datetime, end: datetime) -> AsyncIterator[AuditRow]:
        """Give the organisation's audit log, the oldest first."""
        ...

    async def audit_summary(self, reader: Reader, start: datetime, end: datetime, newest: int) -> AuditSummary:
        """Return the numbers of the audit log, and so many of its newest rows."""
        ...
