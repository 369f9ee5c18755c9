"""The page of messages: what became of texts and e-mails. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from ehr_connector.clinician.sending import NOTICES, PREFIX
from ehr_connector.notify.wording.wordings import Occasion
from ehr_connector.reports.charts.blocks import Drawing, Group
from ehr_connector.reports.charts.drawing import Tone
from ehr_connector.reports.ports import MessageStatus, MessageSummary
from ehr_connector.reports.web.views import Block, Figure, Table
from ehr_connector.web.locales import N_

STATUSES: Mapping[MessageStatus, str] = {
    MessageStatus.SENT: N_("Delivered"),
    MessageStatus.OPTED_OUT: N_("Blocked by the recipient (opted out)"),
    MessageStatus.INVALID_NUMBER: N_("Invalid phone number"),
    MessageStatus.NUMBER_DOES_NOT_EXIST: N_("The phone number does not exist"),
    MessageStatus.BLOCKED_NUMBER: N_("Blocked phone number"),
    MessageStatus.UNREACHABLE_NUMBER: N_("Unreachable phone number"),
    MessageStatus.SPAM_DETECTED: N_("Taken for spam"),
    MessageStatus.RECIPIENT_BLOCKED: N_("Recipient blocked"),
    MessageStatus.OTHER_ERROR: N_("Other error"),
    MessageStatus.UNCONFIRMED: N_("Sent, not confirmed yet"),
    MessageStatus.PENDING: N_("Being sent"),
    MessageStatus.NOT_SENT: N_("Not sent"),
}
_CHANNELS = {"sms": N_("Text message"), "email": N_("E-mail")}
OCCASIONS: Mapping[str, str] = {
    Occasion.BOOKING: N_("Confirmation"),
    Occasion.CHANGE: N_("Change of time"),
    Occasion.CANCELLATION: N_("Cancellation"),
    Occasion.REMINDER: N_("Reminder"),
    Occasion.LINK: N_("Link from the clinician"),
}
_ON_THE_WAY = frozenset({MessageStatus.UNCONFIRMED, MessageStatus.PENDING})
_FAILED = frozenset(MessageStatus) - _ON_THE_WAY - {MessageStatus.SENT, MessageStatus.NOT_SENT}
_GROUPS = (
    Group(N_("Delivered"), Tone.GOOD, frozenset({MessageStatus.SENT})),
    Group(N_("Not delivered"), Tone.BAD, _FAILED),
    Group(N_("On the way"), Tone.SOFT, _ON_THE_WAY),
    Group(N_("Not sent"), Tone.MUTED, frozenset({MessageStatus.NOT_SENT})),
)
_NOT_ARRIVED = (_GROUPS[1], _GROUPS[3])
_CODE = N_("The provider's code is %(code)s")
EMPTY = (
    N_("No message was due in this time."),
    N_(
        "Messages stand here once text messages or e-mail are switched on for the organization and a visit is booked. Choose more"
        " days, or take the filters back."
    ),
)


def figures(summary: MessageSummary, drawing: Drawing) -> Sequence[Figure]:
    """Return the numbers at the top."""
    written, text = drawing.written, drawing.text
    counts: Counter[MessageStatus] = Counter()
    for one in summary.counts:
        counts[one.status] += one.count
    delivered, failed, on_the_way, not_sent = (group.of(counts) for group in _GROUPS)
    told = delivered + failed
    return [
        Figure(text(N_("Messages")), written.number(summary.total)),
        Figure(
            text(N_("Delivered")),
            written.percent(delivered / told if told else None),
            text(N_("of those whose end is known")),
        ),
        Figure(text(N_("Not delivered")), written.number(failed)),
        Figure(text(N_("On the way")), written.number(on_the_way)),
        Figure(text(N_("Not sent")), written.number(not_sent), text(N_("for a reason below"))),
    ]


def blocks(summary: MessageSummary, drawing: Drawing) -> Sequence[Block]:
    """Return the pictures with their tables."""
    text = drawing.text
    by_status: Counter[str] = Counter()
    by_occasion: dict[str, Counter[MessageStatus]] = {}
    for one in summary.counts:
        by_status[text(STATUSES[one.status])] += one.count
        name = f"{text(_CHANNELS.get(one.channel, one.channel))}: {text(OCCASIONS.get(one.occasion, one.occasion))}"
        by_occasion.setdefault(name, Counter())[one.status] += one.count
    ordered = {words: by_status[words] for words in map(text, STATUSES.values())}
    return [
        drawing.over_time("by-day", N_("Messages over time"), summary.by_day, _GROUPS),
        # By itself: beside all that arrive it would be too small to be seen.
        drawing.over_time("not-arrived", N_("Messages that did not arrive"), summary.by_day, _NOT_ARRIVED),
        drawing.plain("by-status", N_("What became of them"), N_("Status"), ordered, Tone.ACCENT, N_("Messages")),
        drawing.by_name("by-occasion", N_("Messages by occasion"), N_("Occasion"), by_occasion, _GROUPS),
        _reasons(summary, drawing),
    ]


def _reasons(summary: MessageSummary, drawing: Drawing) -> Block:
    """Return why messages were not sent or not delivered, the most frequent reason first."""
    counts: Counter[tuple[str, str]] = Counter()
    for one in summary.counts:
        if one.reason is not None and one.status not in {MessageStatus.SENT, *_ON_THE_WAY}:
            words, _ = NOTICES.get(f"{PREFIX}{one.reason}", (None, ""))
            told = drawing.language.text(_CODE, code=one.reason).unescape() if words is None else drawing.text(words)
            counts[drawing.text(STATUSES[one.status]), told] += one.count
    rows = [[*key, drawing.written.number(count)] for key, count in counts.most_common()]
    headers = [drawing.text(words) for words in (N_("Status"), N_("Reason"), N_("Messages"))]
    return Block("reasons", drawing.text(N_("Why messages did not arrive")), Table(headers, rows, numbers_from=2))
