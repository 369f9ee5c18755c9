"""Whom a message reaches, from what the EHR has of the patient: read, used and forgotten. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import StrEnum

import babel
import phonenumbers
from babel.core import get_global
from phonenumbers import PhoneNumberFormat, PhoneNumberType
from phonenumbers.timezone import UNKNOWN_TIMEZONE, time_zones_for_number

from ehr_api.v1alpha1.message_templates import Locale
from ehr_clients.fhir_model import CodeableConcept, ContactPoint, Extension, Patient

_MOBILE = frozenset({PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE})
"""In the United States the numbers themselves do not tell mobile phones from others."""
_PHONES = frozenset({"phone", "sms"})
_NOT_ANY_MORE = "old"
_FEW_ZONES = 8
"""A number of more zones than this tells nothing: one without an area, as toll-free ones are in North America, has 42."""


class Wish(StrEnum):
    """What the EHR says of how the patient wants to be reminded of appointments."""

    UNKNOWN = "unknown"
    """Nothing is recorded."""
    TEXT = "text"
    ANOTHER = "another"
    """Another way than by text, or in no way that we know."""


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


def zones_of(phone: str) -> Sequence[str]:
    """Return the time zones of a phone's area, all of them where there are several; none where the number tells nothing.

    Source: libphonenumber's zones by prefix. Who has moved and kept the number is elsewhere.
    """
    zones = time_zones_for_number(phonenumbers.parse(phone))
    return () if len(zones) > _FEW_ZONES or UNKNOWN_TIMEZONE in zones else zones


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


def wish_of(patient: Patient) -> Wish:
    """Return how the patient wants to be reminded, as Millennium records it: for each sort of message a method.

    By the standard, `phone` is a voice call and `sms` a text. A method without a standard code counts by its name.

    Source: Millennium Platform APIs, R4 Patient, extension "Communication Preference" (communication-type,
    contact-method).
    """
    methods = [
        concept
        for preference in patient.extension
        if preference.url == _PREFERENCE
        and any(_is_of_reminders(one) for one in _parts(preference, "communication-type"))
        for concept in _parts(preference, "contact-method")
    ]
    if not methods:
        return Wish.UNKNOWN
    return Wish.TEXT if any(_is_text(method) for method in methods) else Wish.ANOTHER


def is_closed(patient: Patient) -> bool:
    """Return whether nobody is to be written to any more: the patient has died."""
    return patient.deceased_boolean or patient.deceased_date_time is not None


_PREFERENCE = "https://fhir-ehr.cerner.com/r4/StructureDefinition/communication-preference"
_REMINDERS = frozenset({"appointment-reminder", "appointment reminder", "appointment reminders"})
_SYSTEMS = "http://hl7.org/fhir/contact-point-system"
_TEXT = frozenset({"sms", "text", "text message", "text messages"})
_LAST = 1_000
"""Behind every rank that an EHR gives."""


def _current(points: Iterable[ContactPoint], systems: frozenset[str], now: datetime) -> list[ContactPoint]:
    return [one for one in points if one.system in systems and one.use != _NOT_ANY_MORE and not _is_over(one, now)]


def _parts(preference: Extension, name: str) -> list[CodeableConcept]:
    """Return the parts of a preference; Millennium's examples have them one level deep, and two."""
    inner = [*preference.extension, *(one for part in preference.extension for one in part.extension)]
    return [part.value_codeable_concept for part in inner if part.url == name and part.value_codeable_concept]


def _is_of_reminders(concept: CodeableConcept) -> bool:
    named = {*(one.code for one in concept.coding), *(one.display for one in concept.coding), concept.text}
    return any((name or "").casefold() in _REMINDERS for name in named)


def _is_text(concept: CodeableConcept) -> bool:
    standard = [one.code for one in concept.coding if one.system == _SYSTEMS]
    if standard:
        return "sms" in standard
    return any((name or "").casefold() in _TEXT for name in (*(one.display for one in concept.coding), concept.text))


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
