"""Whom a message reaches, from what the EHR has of the patient: read, used and forgotten. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum

import babel
import phonenumbers
from babel.core import get_global
from phonenumbers import PhoneNumberFormat, PhoneNumberType

from ehr_api.v1alpha1.message_templates import Locale
from ehr_clients.fhir_model import ContactPoint, Patient

_MOBILE = frozenset({PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE})
"""In the United States the numbers themselves do not tell mobile phones from others."""
_PHONES = frozenset({"phone", "sms"})
_NOT_ANY_MORE = "old"


class Unreachable(StrEnum):
    """Why there is nobody to send to."""

    NO_PHONE = "no_phone"
    NOT_MOBILE = "not_mobile"
    NO_EMAIL = "no_email"


def phone_of(patient: Patient, sender: str, now: datetime) -> str | Unreachable:
    """Return the phone to text, in E.164; a number without a country code is of the country of `sender`.

    A number that the EHR calls mobile comes before others, then by rank. One that is no valid number, or not a mobile
    one, is passed over.
    """
    points = _current(patient.telecom, _PHONES, now)
    points.sort(key=lambda one: (one.system != "sms", one.use != "mobile", one.rank or _LAST))
    region = _region(sender)
    for point in points:
        number = _parsed(point.value or "", region)
        if number is not None and phonenumbers.number_type(number) in _MOBILE:
            return phonenumbers.format_number(number, PhoneNumberFormat.E164)
    return Unreachable.NOT_MOBILE if points else Unreachable.NO_PHONE


def email_of(patient: Patient, now: datetime) -> str | Unreachable:
    """Return the address to write to."""
    points = _current(patient.telecom, frozenset({"email"}), now)
    points.sort(key=lambda one: (one.use != "home", one.rank or _LAST))
    addresses = [point.value.strip() for point in points if point.value]
    found = next((one for one in addresses if _is_address(one)), None)
    return Unreachable.NO_EMAIL if found is None else found


def locale_of(patient: Patient, default: Locale) -> Locale:
    """Return the patient's preferred language where there are texts in it, or the organisation's own."""
    spoken = sorted(patient.communication, key=lambda one: not one.preferred)
    for one in spoken:
        for coding in one.language.coding if one.language else []:
            found = _locale(coding.code or "")
            if found is not None:
                return found
        if one.preferred:
            break  # another language that the patient also speaks is no better than the clinic's
    return default


_LAST = 1_000
"""Behind every rank that an EHR gives."""


def _current(points: Iterable[ContactPoint], systems: frozenset[str], now: datetime) -> list[ContactPoint]:
    return [one for one in points if one.system in systems and one.use != _NOT_ANY_MORE and not _is_over(one, now)]


def _is_over(point: ContactPoint, now: datetime) -> bool:
    end = point.period.end if point.period else None
    return end is not None and end.tzinfo is not None and end < now


def _region(sender: str) -> str:
    parsed = phonenumbers.parse(sender)
    return phonenumbers.region_code_for_country_code(parsed.country_code or 0)


def _parsed(text: str, region: str) -> phonenumbers.PhoneNumber | None:
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None
    return number if phonenumbers.is_valid_number(number) else None


def _is_address(text: str) -> bool:
    name, at, domain = text.rpartition("@")
    return bool(name and at and "." in domain) and not any(
        letter.isspace() or letter in "<>,;@" for letter in name + domain
    )


def _locale(code: str) -> Locale | None:
    """Return the language of a BCP 47 tag: zh and zh-CN are written as zh-Hans is, zh-TW is not."""
    try:
        spoken = babel.Locale.parse(code.replace("_", "-"), sep="-")
    except (ValueError, babel.UnknownLocaleError):
        return None
    script = spoken.script
    if spoken.language == "zh" and script is None:
        likely = get_global("likely_subtags")
        script = babel.Locale.parse(likely.get(f"zh_{spoken.territory}") or likely["zh"]).script
    tag = f"zh-{script}" if spoken.language == "zh" else spoken.language
    return next((locale for locale in Locale if locale.value == tag), None)
