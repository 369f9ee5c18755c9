"""Whom a message reaches, from what the EHR has: free text, in any order, in the patient's language."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from ehr_api.v1alpha1.message_templates import Locale
from ehr_clients.fhir_model import Patient
from ehr_connector.notify.recipient import (
    Unreachable,
    Wish,
    email_of,
    is_closed,
    locale_of,
    phone_of,
    wish_of,
    zones_of,
)

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
US, GB = "+18005550100", "+448081570123"


def patient(*telecom: dict[str, Any], communication: list[dict[str, Any]] | None = None) -> Patient:
    return Patient.model_validate({"id": "1", "telecom": telecom, "communication": communication or []})


def phone(value: str, **more: Any) -> dict[str, Any]:
    return {"system": "phone", "value": value, **more}


@pytest.mark.parametrize(
    "written",
    ["8165550123", "(816) 555-0123", "816-555-0123", "+1 816 555 0123", "1816.555.0123", "tel:+1-816-555-0123"],
)
def test_free_text_becomes_e164(written: str) -> None:
    assert phone_of(patient(phone(written)), US, NOW) == "+18165550123"


def test_a_number_without_a_country_code_is_of_the_senders_country() -> None:
    assert phone_of(patient(phone("07911 123456")), GB, NOW) == "+447911123456"
    assert phone_of(patient(phone("07911 123456")), US, NOW) is Unreachable.NOT_MOBILE


def test_a_mobile_number_comes_before_others_then_rank() -> None:
    found = patient(
        phone("816-555-0101", use="home", rank=1),
        phone("816-555-0102", use="mobile", rank=2),
        phone("816-555-0103", use="mobile", rank=1),
    )
    assert phone_of(found, US, NOW) == "+18165550103"


@pytest.mark.parametrize(
    ("telecom", "why"),
    [
        ([], Unreachable.NO_PHONE),
        ([{"system": "email", "value": "a@b.example"}], Unreachable.NO_PHONE),
        ([phone("816-555-0101", use="old")], Unreachable.NO_PHONE),
        ([phone("816-555-0101", period={"end": "2020-01-01T00:00:00Z"})], Unreachable.NO_PHONE),
        ([phone("555-0101")], Unreachable.NOT_MOBILE),
        ([phone("call the daughter")], Unreachable.NOT_MOBILE),
        ([phone("+44 20 7946 0123")], Unreachable.NOT_MOBILE),
        ([phone("+1 800 555 0123")], Unreachable.NOT_MOBILE),
        ([{"system": "phone"}], Unreachable.NOT_MOBILE),
    ],
)
def test_what_cannot_take_a_text_is_told(telecom: list[dict[str, Any]], why: Unreachable) -> None:
    assert phone_of(patient(*telecom), US, NOW) is why


def test_a_number_that_cannot_take_a_text_is_passed_over() -> None:
    assert phone_of(patient(phone("+44 20 7946 0123"), phone("816-555-0101")), US, NOW) == "+18165550101"


@pytest.mark.parametrize(
    ("values", "found"),
    [
        (["pat@home.example"], "pat@home.example"),
        (["none", "pat@home.example"], "pat@home.example"),
        (["a@b.example, c@d.example"], Unreachable.NO_EMAIL),
        (["Pat <pat@home.example>"], Unreachable.NO_EMAIL),
        ([], Unreachable.NO_EMAIL),
    ],
)
def test_an_address_is_one_address_or_none(values: list[str], found: str | Unreachable) -> None:
    assert email_of(patient(*({"system": "email", "value": value} for value in values)), NOW) == found


def speaks(code: str, *, preferred: bool = False) -> dict[str, Any]:
    return {"language": {"coding": [{"code": code}]}, "preferred": preferred}


@pytest.mark.parametrize(
    ("communication", "locale"),
    [
        ([], Locale.SPANISH),
        ([speaks("en-US")], Locale.ENGLISH),
        ([speaks("en"), speaks("ar", preferred=True)], Locale.ARABIC),
        ([speaks("zh")], Locale.CHINESE_SIMPLIFIED),
        ([speaks("zh-CN")], Locale.CHINESE_SIMPLIFIED),
        ([speaks("zh-TW")], Locale.SPANISH),
        ([speaks("vi", preferred=True), speaks("en")], Locale.SPANISH),
        ([speaks("not a language")], Locale.SPANISH),
        ([{"preferred": True}], Locale.SPANISH),
    ],
)
def test_the_language_is_the_patients_or_the_organisations(communication: list[dict[str, Any]], locale: Locale) -> None:
    assert locale_of(patient(communication=communication), Locale.SPANISH) is locale


PREFERENCE = "https://fhir-ehr.cerner.com/r4/StructureDefinition/communication-preference"
CODE_SETS = "https://fhir.cerner.com/ec2458f2-1e24-41c8-b71b-0e701af7583d/codeSet"


def concept(own: str, standard: str | None, system: str) -> dict[str, Any]:
    """As Millennium writes it: its own code with a name, and beside it the standard one where there is any."""
    codings = [{"system": f"{CODE_SETS}/1", "code": "485602703", "display": own, "userSelected": True}]
    if standard is not None:
        codings.append({"system": system, "code": standard, "display": own, "userSelected": False})
    return {"coding": codings, "text": own}


def preference(
    method: str, standard: str | None, *, about: str = "appointment-reminder", deep: bool = False
) -> dict[str, Any]:
    topic = concept(about, about, "http://terminology.hl7.org/CodeSystem/communication-topic")
    parts = [
        {"url": "communication-type", "valueCodeableConcept": topic},
        {
            "url": "contact-method",
            "valueCodeableConcept": concept(method, standard, "http://hl7.org/fhir/contact-point-system"),
        },
        {"url": "verified-datetime", "valueDateTime": "2019-04-13T20:00:00.000Z"},
    ]
    return {"url": PREFERENCE, "extension": [{"extension": parts}] if deep else parts}


def preferring(*extension: object, **more: object) -> Patient:
    return Patient.model_validate({"id": "1", "extension": extension, **more})


@pytest.mark.parametrize(
    ("preferences", "wish"),
    [
        ([], Wish.UNKNOWN),
        ([preference("Text Message", "sms")], Wish.TEXT),
        ([preference("Text Message", None)], Wish.TEXT),
        ([preference("Text Message", "sms", deep=True)], Wish.TEXT),
        ([preference("Phone", "phone")], Wish.ANOTHER),
        ([preference("Phone", "phone"), preference("Text Message", "sms")], Wish.TEXT),
        ([preference("Fax", "fax")], Wish.ANOTHER),
        ([preference("Do not contact", None)], Wish.ANOTHER),
        ([preference("SMS", "phone")], Wish.ANOTHER),
        ([preference("Text Message", "sms", about="test-results")], Wish.UNKNOWN),
        ([{"url": PREFERENCE}], Wish.UNKNOWN),
        ([{"url": "http://other.example", "extension": preference("Fax", "fax")["extension"]}], Wish.UNKNOWN),
    ],
)
def test_how_a_patient_wants_to_be_reminded_is_what_millennium_says(
    preferences: list[dict[str, Any]], wish: Wish
) -> None:
    assert wish_of(preferring(*preferences)) is wish


@pytest.mark.parametrize("extension", [[{"url": 5}], [{"extension": "x"}], "x", [None]])
def test_an_extension_that_cannot_be_read_hides_nothing_else_of_the_patient(extension: object) -> None:
    found = Patient.model_validate({"id": "1", "extension": extension, "telecom": [phone("816-555-0101")]})
    assert (wish_of(found), phone_of(found, US, NOW)) == (Wish.UNKNOWN, "+18165550101")


def test_a_patient_who_has_died_is_written_to_no_more() -> None:
    assert not is_closed(preferring(deceasedBoolean=False))
    assert is_closed(preferring(deceasedBoolean=True))
    assert is_closed(preferring(deceasedDateTime="2026"))


@pytest.mark.parametrize(
    ("number", "zones"),
    [
        ("+14155550100", {"America/Los_Angeles"}),
        ("+12085551234", {"America/Boise", "America/Los_Angeles"}),
        ("+18005550100", set[str]()),
        ("+15005550123", set[str]()),
        ("+15555550100", set[str]()),
    ],
    ids=["one zone", "an area of two", "toll-free", "personal", "no such area"],
)
def test_a_phone_is_in_the_zones_of_its_area_where_that_tells_anything(number: str, zones: set[str]) -> None:
    assert set(zones_of(number)) == zones
