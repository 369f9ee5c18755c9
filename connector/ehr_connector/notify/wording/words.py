"""What a message says: built-in texts for each language, or the organisation's own. Pure.

A text holds the organisation, the department, a time, a link and how to opt out: nothing that tells why somebody is a
patient.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar
from zoneinfo import ZoneInfo

import babel
from babel.dates import format_skeleton, format_time, get_timezone_name

from ehr_api.gsm7 import is_gsm_7
from ehr_api.v1alpha1.message_templates import EmailTemplate, Locale, MessageKind, MessageTemplate
from ehr_connector.notify.wording.segments import thrifty
from ehr_connector.notify.wording.wordings import WORDINGS, Occasion

_PLACEHOLDER = re.compile(r"\{(organization|department|time|timeZone|link|helpPhone|optOut|help)\}")
_LINK = "\0"
"""Stands for the link until all else is filled in."""
_GLUED_LINK, _LINK_WITH_MORE = re.compile(rf"(?<=\w){_LINK}"), re.compile(rf"{_LINK}(?=[^\s.,;:!?)\]])")
"""What phones would read as no link, or as a longer one: Chinese letters may be part of an address."""
_Template = TypeVar("_Template", MessageTemplate, EmailTemplate)
_SHORT_NAME = re.compile(r"[A-Z]{2,5}")


KIND_OF = {
    Occasion.BOOKING: MessageKind.BOOKING,
    Occasion.CHANGE: MessageKind.CHANGE,
    Occasion.CANCELLATION: MessageKind.CANCELLATION,
    Occasion.REMINDER: MessageKind.REMINDER,
    Occasion.LINK: MessageKind.LINK,
}


@dataclass(frozen=True, slots=True)
class Particulars:
    """What goes into the placeholders."""

    organization: str
    department: str
    start: datetime
    zone: str
    """Time zone of the clinic."""
    link: str
    help_phone: str | None = None


def text_of(
    occasion: Occasion, locale: Locale, particulars: Particulars, templates: Sequence[MessageTemplate] = ()
) -> str:
    """Return a text message: the organisation's own words where it has some for the occasion and the language.

    It is kept in GSM-7 where no more than accents are lost by it: built-in texts, and words of the organisation that keep
    to it themselves, so that a name or a time does not make them dearer. Other words stay as they are.
    """
    own = _own(KIND_OF[occasion], locale, templates)
    return _said(locale, own, WORDINGS[locale].texts[occasion], _values(locale, particulars))


def help_answer(
    locale: Locale, organization: str, help_phone: str | None, templates: Sequence[MessageTemplate] = ()
) -> str:
    """Return the text that answers HELP, which is of no visit."""
    own = _own(MessageKind.HELP, locale, templates)
    return _said(locale, own, WORDINGS[locale].help_answer, _lasting_values(locale, organization, help_phone))


def email_of(
    occasion: Occasion, locale: Locale, particulars: Particulars, templates: Sequence[EmailTemplate] = ()
) -> tuple[str, str]:
    """Return the subject and the text of an e-mail. STOP is a word of text messages: an e-mail says nothing of it."""
    own, language = _own(KIND_OF[occasion], locale, templates), WORDINGS[locale]
    subject, text = (own.subject, own.text) if own else (language.subjects[occasion], language.texts[occasion])
    values = _values(locale, particulars) | {"optOut": ""}
    return _filled(subject, values), language.begin + _filled(text, values).strip()


def _said(locale: Locale, own: MessageTemplate | None, built_in: str, values: Mapping[str, str]) -> str:
    text = WORDINGS[locale].begin + _filled(own.text if own else built_in, values)
    return text if own is not None and not is_gsm_7(own.text) else thrifty(text)


def _own(kind: MessageKind, locale: Locale, templates: Sequence[_Template]) -> _Template | None:
    """Return the organisation's template. One that is older than a rule of the CRD, and breaks it, is passed over."""
    own = next((one for one in templates if one.kind is kind and one.locale is locale), None)
    return own if own is not None and not own.faults() else None


def when(locale: Locale, start: datetime, zone: str) -> str:
    """Return day and time on the clinic's clocks."""
    written, clock = babel.Locale.parse(locale.value, sep="-"), ZoneInfo(zone)
    day = format_skeleton("MMMEd", start.astimezone(clock), clock, locale=written)
    return f"{day} {format_time(start.astimezone(clock), 'short', clock, written)}"


def zone_name(locale: Locale, start: datetime, zone: str) -> str:
    """Return the name of the clinic's time zone at that time: CST where the language has such a short one."""
    written, local = babel.Locale.parse(locale.value, sep="-"), start.astimezone(ZoneInfo(zone))
    short = get_timezone_name(local, "short", locale=written)
    return short if _SHORT_NAME.fullmatch(short) else get_timezone_name(local, "long", locale=written)


def _values(locale: Locale, particulars: Particulars) -> dict[str, str]:
    return _lasting_values(locale, particulars.organization, particulars.help_phone) | {
        "department": particulars.department,
        "time": when(locale, particulars.start, particulars.zone),
        "timeZone": zone_name(locale, particulars.start, particulars.zone),
        "link": _whole(particulars.link),
    }


def _whole(link: str) -> str:
    """Return a link whose last character belongs to it on every phone, too.

    What makes addresses in a text into links leaves a hyphen before a space out of the address, and the visit is not found
    without it. What follows `#` stays on the phone. Source: android.util.Patterns, which ends an address at a word boundary.
    """
    return f"{link}#v" if link.endswith("-") else link


def _lasting_values(locale: Locale, organization: str, help_phone: str | None) -> dict[str, str]:
    """Return the values that are of no visit."""
    language = WORDINGS[locale]
    phone = language.before_number + help_phone if help_phone else ""
    return {
        "organization": organization,
        "helpPhone": phone,
        "help": language.help.replace("{helpPhone}", phone) if phone else "",
        "optOut": language.opt_out,
    }


def _filled(template: str, values: Mapping[str, str]) -> str:
    """Replace the placeholders once: braces in a value are text. The link stands apart from letters around it."""
    filled = _PLACEHOLDER.sub(lambda found: _LINK if found[1] == "link" else values[found[1]], template)
    return _GLUED_LINK.sub(f" {_LINK}", _LINK_WITH_MORE.sub(f"{_LINK} ", filled)).replace(_LINK, values.get("link", ""))
