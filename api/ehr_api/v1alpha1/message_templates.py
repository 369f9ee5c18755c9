"""An organisation's own words in messages, and what they may and must hold.

Each rule stands twice, in Common Expression Language for the API server and in Python for whoever has no API server at hand;
one table of cases holds both to the same answers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from ehr_api.gsm7 import is_gsm_7, pattern
from ehr_api.meta import ApiModel, Cel, Rules, rules


class Locale(StrEnum):
    """Languages in which texts to patients exist."""

    ENGLISH = "en"
    SPANISH = "es"
    CHINESE_SIMPLIFIED = "zh-Hans"
    ARABIC = "ar"


class MessageKind(StrEnum):
    """The occasions for a message."""

    BOOKING = "Booking"
    CHANGE = "Change"
    CANCELLATION = "Cancellation"
    REMINDER = "Reminder"
    LINK = "Link"
    """A clinician sends the link."""
    HELP = "Help"
    """The answer to HELP."""


MOST_TEXT, MOST_UNICODE_TEXT, MOST_PLACEHOLDERS = 640, 280, 12
"""A text of four segments and what the placeholders bring, at the most: far below the 2,048 letters that the provider takes."""
MOST_EMAIL, MOST_SUBJECT = 4000, 120
_OF_VISIT = ("department", "time", "timeZone", "link")
_TEXT = ("organization", *_OF_VISIT, "helpPhone", "optOut")
_EMAIL = ("organization", *_OF_VISIT, "helpPhone")
_SUBJECT = ("organization", "department", "time", "timeZone")
_KINDS_WITH_LINK = (MessageKind.BOOKING, MessageKind.CHANGE, MessageKind.REMINDER, MessageKind.LINK)


@dataclass(frozen=True, slots=True)
class TemplateRule:
    """What must hold for a template of some kind."""

    holds: Callable[[MessageKind, str], bool]
    cel: str
    """The same, over the words alone where `for_any_kind`, else over the template."""
    message: str
    for_any_kind: bool = True


def _only(names: Sequence[str]) -> TemplateRule:
    known = f"^([^{{}}]|[{{]({'|'.join(names)})[}}])*$"
    found = re.compile(known)
    listed = ", ".join(f"{{{name}}}" for name in names)
    return TemplateRule(
        lambda _, text: found.fullmatch(text) is not None,
        f"self.matches('{known}')",
        f"may only hold the placeholders {listed}, and no other braces",
    )


def _common(field: str) -> tuple[TemplateRule, ...]:
    """Return the rules for words that may hold a link, in the field of this name."""
    listed = ", ".join(f"'{kind.value}'" for kind in _KINDS_WITH_LINK)
    return (
        TemplateRule(
            lambda _, text: text.count("{link}") <= 1 and text.count("{") <= MOST_PLACEHOLDERS,
            f"self.split('{{link}}').size() <= 2 && self.split('{{').size() <= {MOST_PLACEHOLDERS + 1}",
            f"must hold {{link}} no more than once, and no more than {MOST_PLACEHOLDERS} placeholders",
        ),
        _ZONE,
        TemplateRule(
            lambda kind, text: kind not in _KINDS_WITH_LINK or "{link}" in text,
            f"!(self.kind in [{listed}]) || self.{field}.contains('{{link}}')",
            "must hold the placeholder {link}: without it the patient cannot join",
            for_any_kind=False,
        ),
        TemplateRule(
            lambda kind, text: kind is not MessageKind.CANCELLATION or "{link}" not in text,
            f"self.kind != 'Cancellation' || !self.{field}.contains('{{link}}')",
            "must not hold {link} with kind: Cancellation: the link of a cancelled visit leads nowhere",
            for_any_kind=False,
        ),
    )


_ZONE = TemplateRule(
    lambda _, text: "{time}" not in text or "{timeZone}" in text,
    "!self.contains('{time}') || self.contains('{timeZone}')",
    "must hold {timeZone} beside {time}: the patient may be in another time zone than the clinic",
)
TEXT_RULES = (
    _only(_TEXT),
    TemplateRule(
        lambda _, text: "{optOut}" in text,
        "self.contains('{optOut}')",
        "must hold the placeholder {optOut}: the sentence on how to opt out",
    ),
    *_common("text"),
    TemplateRule(
        lambda _, text: is_gsm_7(text) or len(text) <= MOST_UNICODE_TEXT,
        f"size(self) <= {MOST_UNICODE_TEXT} || self.matches(r'{pattern()}')",
        f"must have at most {MOST_UNICODE_TEXT} letters when one of them is not of the GSM-7 alphabet, which makes every"
        " segment less than half as long: shorten it, or replace accents, typographic marks and emoji",
    ),
    TemplateRule(
        lambda kind, text: kind is not MessageKind.HELP or not any(f"{{{name}}}" in text for name in _OF_VISIT),
        "self.kind != 'Help' || !self.text.matches('[{](" + "|".join(_OF_VISIT) + ")[}]')",
        "may only hold the placeholders {organization}, {helpPhone}, {optOut} with kind: Help: it answers a text that is of no"
        " visit",
        for_any_kind=False,
    ),
)
EMAIL_TEXT_RULES = (_only(_EMAIL), *_common("text"))
SUBJECT_RULES = (
    _only(_SUBJECT),
    _ZONE,
    TemplateRule(
        lambda _, text: "\n" not in text and "\r" not in text,
        r"!self.contains('\n') && !self.contains('\r')",
        "must be one line: remove the line break",
    ),
)


def _of_words(table: Sequence[TemplateRule]) -> Rules:
    return rules(*(Cel(rule.cel, rule.message) for rule in table if rule.for_any_kind))


def _of_template(table: Sequence[TemplateRule]) -> Rules:
    return rules(*(Cel(rule.cel, f"text {rule.message}", ".text") for rule in table if not rule.for_any_kind))


class MessageTemplate(ApiModel):
    """The organisation's own words for one occasion in one language."""

    kind: MessageKind = Field(description="The occasion. Link: a clinician sends the link. Help: the answer to HELP.")
    locale: Locale = Field(description="The language of the text.")
    text: Annotated[str, _of_words(TEXT_RULES)] = Field(
        min_length=1,
        max_length=MOST_TEXT,
        description="The text. Placeholders: {organization}, {department}, {time}, {timeZone}, {link}, {helpPhone},"
        " {optOut}. {optOut} must be there, and {link} where there is a visit to join. No placeholder can carry clinical"
        " data.",
    )

    def faults(self) -> list[str]:
        """Return what is wrong with it, each with the field and the remedy. A good template has none."""
        return _faults("text", TEXT_RULES, self.kind, self.text, MOST_TEXT)


class EmailTemplate(ApiModel):
    """The organisation's own words in e-mail for one occasion in one language."""

    kind: MessageKind = Field(description="The occasion. There is no e-mail of the kind Help.")
    locale: Locale = Field(description="The language of the e-mail.")
    subject: Annotated[str, _of_words(SUBJECT_RULES)] = Field(
        min_length=1,
        max_length=MOST_SUBJECT,
        description="The subject. Placeholders: {organization}, {department}, {time}, {timeZone}.",
    )
    text: Annotated[str, _of_words(EMAIL_TEXT_RULES)] = Field(
        min_length=1,
        max_length=MOST_EMAIL,
        description="The text. Placeholders: {organization}, {department}, {time}, {timeZone}, {link}, {helpPhone}. {link}"
        " must be there where there is a visit to join. No placeholder can carry clinical data.",
    )

    def faults(self) -> list[str]:
        """Return what is wrong with it, each with the field and the remedy. A good template has none."""
        found = [] if self.kind is not MessageKind.HELP else [f"kind {_NO_HELP}"]
        found += _faults("subject", SUBJECT_RULES, self.kind, self.subject, MOST_SUBJECT)
        return found + _faults("text", EMAIL_TEXT_RULES, self.kind, self.text, MOST_EMAIL)


_NO_HELP = "must not be Help: HELP is a word of text messages"
OF_TEXT_TEMPLATE = _of_template(TEXT_RULES)
OF_EMAIL_TEMPLATE = rules(
    *_of_template(EMAIL_TEXT_RULES).entries, Cel("self.kind != 'Help'", f"kind {_NO_HELP}", ".kind")
)
"""Rules of a template in which the kind plays a part."""


def _faults(field: str, table: Sequence[TemplateRule], kind: MessageKind, text: str, longest: int) -> list[str]:
    too_long = [f"{field} must have at most {longest} letters"] if len(text) > longest else []
    return too_long + [f"{field} {rule.message}" for rule in table if not rule.holds(kind, text)]
