"""Which message of a coming visit is due, and when the next one will be: pure, from what the patient was told before.

What the patient was told is known by digest, so that a restart confirms nothing twice. What is found by the first reading
of an EHR was not booked just now: it is noted and not confirmed, and gets its reminders.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from ehr_api.control import OrganizationConfiguration
from ehr_api.duration import seconds
from ehr_api.v1alpha1.messages import QuietHours
from ehr_connector.notify.quiet import allowed_from, end_of_quiet, is_quiet, start_of_quiet
from ehr_connector.notify.wording.wordings import Occasion
from ehr_connector.visits.booking import Booking
from ehr_connector.visits.events import Channel

FORGIVEN = timedelta(hours=24)
"""What was booked while nobody looked for longer than this is not confirmed any more: the clinic has told the patient."""
_MARGIN = timedelta(minutes=15)
"""A message that goes out before the quiet hours begins this much earlier, so that a queue of them ends in time."""
_NOT_HELD = frozenset({"noshow", "fulfilled"})


class Heard(StrEnum):
    """What the patient knows of a visit's time, beside what stands in the EHR now."""

    NOTHING = "nothing"
    THIS_TIME = "this_time"
    ANOTHER_TIME = "another_time"
    CANCELLATION = "cancellation"


@dataclass(frozen=True, slots=True)
class Past:
    """What is known of the messages of a visit."""

    heard: Heard = Heard.NOTHING
    since: datetime | None = None
    """When the patient was told, or when it was noted; reminders that were due before are not made up for."""
    reminded: frozenset[timedelta] = frozenset()
    """Offsets of the reminders of this time that have ended."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The last time that coming visits were read whole while messages could be sent."""

    read_at: datetime
    covered_until: datetime
    """What begins before this moment was seen then, if it was booked."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the organisation wants to be sent."""

    channel: Channel | None
    """By which messages go first; None: none are sent."""
    zone: str
    on_booking: bool = True
    on_change: bool = True
    on_cancellation: bool = True
    reminders: Sequence[timedelta] = ()
    quiet_hours: QuietHours | None = None


@dataclass(frozen=True, slots=True)
class Due:
    """A message that may go out now."""

    occasion: Occasion
    since: datetime
    """When it fell due."""
    offset: timedelta | None = None
    """Of a reminder: how long before the visit."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done for a visit."""

    due: Due | None = None
    note: bool = False
    """The patient is not told of what stands in the EHR; it is noted as known."""
    next_at: datetime | None = None
    """When to look again, unless the visit changes before."""
    waits: Due | None = None
    """A message that is due and waits for the end of the quiet hours, or is not said since that is after the visit."""


def channel_of(organization: OrganizationConfiguration) -> Channel | None:
    """Return by which messages go first: texts go before e-mail, which takes their place where they are not wanted."""
    sms, emails = organization.sms_notifications, organization.email_notifications
    if sms is not None and sms.enabled:
        return Channel.SMS
    return Channel.EMAIL if emails is not None and emails.enabled else None


def wishes_of(organization: OrganizationConfiguration, zone: str) -> Wishes:
    """Return what an organisation wants."""
    sms = organization.sms_notifications
    confirmation = sms.confirmation if sms else None
    return Wishes(
        channel=channel_of(organization),
        zone=zone,
        on_booking=_unless_false(confirmation.on_booking if confirmation else None),
        on_change=_unless_false(confirmation.on_change if confirmation else None),
        on_cancellation=_unless_false(confirmation.on_cancellation if confirmation else None),
        reminders=tuple(timedelta(seconds=seconds(one)) for one in sms.reminders) if sms else (),
        quiet_hours=sms.quiet_hours if sms else None,
    )


def is_new(found: Booking, before: Reading | None, now: datetime) -> bool:
    """Return whether a visit of which nothing is known was booked since coming visits were last read."""
    return before is not None and now - before.read_at <= FORGIVEN and found.start < before.covered_until


def is_told_of(found: Booking, now: datetime) -> bool:
    """Return whether a confirmation of what the EHR says of the visit is of use."""
    return (found.appointment.status == "booked" or found.is_cancelled) and now < _over_at(found)


def until(found: Booking, occasion: Occasion) -> datetime:
    """Return from when on a message is of no use: a reminder when the visit begins, any other when it is over."""
    return found.start if occasion is Occasion.REMINDER else _over_at(found)


def is_stale(due: Due, found: Booking, wishes: Wishes) -> bool:
    """Return whether a message that waited is not said because it is no news any more, rather than not wanted."""
    return due.occasion is Occasion.BOOKING and wishes.on_booking and not found.is_cancelled


def is_missed(due: Due, found: Booking, past: Past, now: datetime) -> bool:
    """Return whether a message waited until it made no sense any more, and so its patient was not told."""
    if now < found.start:
        return False
    if due.offset is not None:
        return past.heard is Heard.THIS_TIME and due.offset not in past.reminded
    return past.heard is not (Heard.CANCELLATION if found.is_cancelled else Heard.THIS_TIME)


def plan(found: Booking, past: Past, wishes: Wishes, now: datetime, *, new: bool = False) -> Plan:
    """Return what is due for a visit; `new`: it was booked just now, if nothing is known of it."""
    status = found.appointment.status
    if wishes.channel is None or now >= _over_at(found) or status in _NOT_HELD:
        return Plan()
    if found.is_cancelled:
        return _of_cancelled(found, past, wishes, now)
    if status != "booked":
        # Who has arrived needs no message. What is only proposed has no time, and is new once it is booked.
        return Plan(note=status in {"arrived", "checked-in"} and past.heard is not Heard.THIS_TIME)
    if past.heard is Heard.THIS_TIME:
        return _of_told(found, past, wishes, now)
    if past.heard is Heard.ANOTHER_TIME:
        return _confirmed(Occasion.CHANGE, found, wishes, now, wanted=wishes.on_change)
    wanted = wishes.on_booking and (new or past.heard is Heard.CANCELLATION)
    return _confirmed(Occasion.BOOKING, found, wishes, now, wanted=wanted)


def _of_cancelled(found: Booking, past: Past, wishes: Wishes, now: datetime) -> Plan:
    if past.heard is Heard.CANCELLATION:
        return Plan()
    wanted = wishes.on_cancellation and past.heard is not Heard.NOTHING
    return _confirmed(Occasion.CANCELLATION, found, wishes, now, wanted=wanted)


def _confirmed(occasion: Occasion, found: Booking, wishes: Wishes, now: datetime, *, wanted: bool) -> Plan:
    if not wanted:
        return Plan(note=True)
    due, at = Due(occasion, now), _allowed(found, wishes, now)
    return Plan(due=due) if at <= now else Plan(next_at=at, waits=due)


def _of_told(found: Booking, past: Past, wishes: Wishes, now: datetime) -> Plan:
    """Return the reminder that is due: of several whose time has come only the last, the others are late."""
    if now >= found.start:
        return Plan()
    known_since = past.since or now
    wanted = sorted({one for one in wishes.reminders if found.start - one > known_since}, reverse=True)
    times = [(offset, _reminder_at(found, wishes, offset)) for offset in wanted]
    times = [(offset, at) for offset, at in times if at < found.start]
    coming = min((at for _, at in times if at > now), default=None)
    come = [(offset, at) for offset, at in times if at <= now]
    if not come or come[-1][0] in past.reminded:
        return Plan(next_at=coming)
    offset, since = come[-1]
    due, at = Due(Occasion.REMINDER, since, offset), _allowed(found, wishes, now)
    if at <= now:
        return Plan(due=due, next_at=coming)
    return Plan(next_at=at if coming is None else min(at, coming), waits=due)


def _reminder_at(found: Booking, wishes: Wishes, offset: timedelta) -> datetime:
    """Return when a reminder goes out: at its time, or before or after the quiet hours in which that is."""
    at = found.start - offset
    if not _is_quiet(wishes, at) or at >= found.opens_at:
        return at
    hours = wishes.quiet_hours
    after = end_of_quiet(at, wishes.zone, hours)
    if (hours is None or hours.due_messages != "SendBefore") and after < found.start:
        return after
    return start_of_quiet(at, wishes.zone, hours) - _MARGIN


def _allowed(found: Booking, wishes: Wishes, now: datetime) -> datetime:
    """Return from when on a message may go out: once the quiet hours end, or the visit can be joined, or is over."""
    if wishes.channel is not Channel.SMS:
        return now
    return allowed_from(now, [wishes.zone], wishes.quiet_hours, not_held_after(found, now, _over_at(found)))


def not_held_after(found: Booking, now: datetime, of_use_until: datetime) -> datetime:
    """Return until when quiet hours hold a text at the most: until the visit can be joined, or the text is of no use."""
    return of_use_until if found.is_cancelled else max(now, min(found.opens_at, of_use_until))


def _is_quiet(wishes: Wishes, at: datetime) -> bool:
    return wishes.channel is Channel.SMS and is_quiet(at, wishes.zone, wishes.quiet_hours)


def _over_at(found: Booking) -> datetime:
    """Return from when on nothing is said of a visit."""
    return min(found.end, found.closes_at)


def _unless_false(wanted: bool | None) -> bool:
    return wanted is not False
