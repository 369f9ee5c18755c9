"""Bad input is refused at apply, with the field and the remedy in the words that the author sees."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from cluster.control_plane.kubectl import Kubectl

REMOVED = object()
"""In place of a value: the field is left out."""

CONSENT = "spec.smsNotifications.consent"
BOX_1, BOX_2 = f"{CONSENT}.sendOnBehalfOfOrganization", f"{CONSENT}.attendeesHaveConsented"
BOX_1_REMEDY = "text messages need consent.sendOnBehalfOfOrganization: true; set it once the organisation lets"
BOX_2_REMEDY = "text messages need consent.attendeesHaveConsented: true; set it once the organisation makes sure"
WHO_AND_WHEN = "a consent needs consent.acknowledgedBy (who gave it) and consent.acknowledgedAt (when, for example"
URL = "https://fhir.lamna.example/r4"


@dataclass(frozen=True)
class Row:
    """One mistake: a change of a valid sample, and the words of the refusal."""

    name: str
    sample: str
    change: Mapping[str, Any]
    words: tuple[str, ...]
    first: Mapping[str, Any] | None = field(default=None)
    """For a mistake in an update: what the sample that is applied before has changed."""


CONFIG, TEST, PRODUCTION, NUMBER = "lamna", "lamna-test", "lamna-production", "lamna-sms"

ROWS = [
    # The base URL of an endpoint.
    Row("base URL over http", TEST, {"spec.baseURL": "http://fhir.lamna.example/r4"},
        ("spec.baseURL", "must start with https://")),
    Row("base URL with user and password", TEST, {"spec.baseURL": "https://me:secret@fhir.lamna.example/r4"},
        ("spec.baseURL", "must not contain user information", "credentials never stand in a URL")),
    Row("base URL with user", TEST, {"spec.baseURL": "https://me@fhir.lamna.example/r4"},
        ("spec.baseURL", "must not contain user information")),
    Row("base URL with a query", TEST, {"spec.baseURL": f"{URL}?tenant=1"},
        ("spec.baseURL", "must not contain a query", "remove everything from the question mark on")),
    Row("base URL with a fragment", TEST, {"spec.baseURL": f"{URL}#top"},
        ("spec.baseURL", "must not contain a fragment", "remove everything from the number sign on")),
    Row("base URL that is none", TEST, {"spec.baseURL": "fhir.lamna.example/r4"},
        ("spec.baseURL", "must be an absolute URL")),
    *[
        Row(f"base URL {name}", TEST, {"spec.baseURL": url}, ("spec.baseURL", "must be an absolute URL"))
        for name, url in {
            "without a host": "https:///r4",
            "with an empty label": "https://fhir..lamna.example/r4",
            "with a label that is too long": f"https://{'a' * 64}.lamna.example/r4",
            "with a port that is none": "https://fhir.lamna.example:99999/r4",
            "with a blank": "https://fhir.lamna.example/r4 test",
            "with an IPv4 address that is none": "https://0177.0.0.1/r4",
            "with letters that DNS does not know": "https://fhir_ä.lamna.example/r4",
        }.items()
    ],
    Row("base URL with a slash at its end", TEST, {"spec.baseURL": f"{URL}/"},
        ("spec.baseURL", "must not end with a slash: remove it")),
    Row("base URL with capitals in its host", TEST, {"spec.baseURL": "https://FHIR.lamna.example/r4"},
        ("spec.baseURL", "with its host in lower case")),
    Row("endpoint with a name that leaves no room for those of its records", TEST, {"metadata.name": "a" * 231},
        ("at most 230 characters",)),
    Row("base URL changed", TEST, {"spec.baseURL": f"{URL}/other"},
        ("spec.baseURL", "is immutable", "create a new FhirEndpoint instead"), first={}),
    Row("environment changed", TEST, {"spec.environment": "Production", "spec.promotedFrom": {"name": "lamna-old"}},
        ("spec.environment", "is immutable", "create a new FhirEndpoint instead"), first={}),
    # How an endpoint is promoted.
    Row("Production without promotedFrom", PRODUCTION, {"spec.promotedFrom": REMOVED},
        ("spec.promotedFrom", "a Production endpoint needs promotedFrom.name")),
    Row("Test with promotedFrom", TEST, {"spec.promotedFrom": {"name": "other"}},
        ("spec.promotedFrom", "must not be set on a Test endpoint", "only Production is promoted")),
    # What else an endpoint says.
    Row("unknown time zone", TEST, {"spec.appointments.timeZone": "America/Springfield"},
        ("spec.appointments.timeZone", 'Unsupported value: "America/Springfield"', '"America/Chicago"')),
    Row("time zone as an offset", TEST, {"spec.appointments.timeZone": "-06:00"},
        ("spec.appointments.timeZone", 'Unsupported value: "-06:00"')),
    Row("neither locations nor practitioners", TEST, {"spec.appointments.locations": REMOVED},
        ("spec.appointments", "needs at least one of locations and practitioners")),
    Row("validation interval in days", TEST, {"spec.validation.interval": "1d"},
        ("spec.validation.interval", "must be a positive duration", "for example 24h, 1h30m or 45s")),
    Row("two departments of one name", TEST,
        {"spec.departments": [{"name": "a", "displayName": "A"}, {"name": "a", "displayName": "B"}]},
        ("spec.departments[1]", "Duplicate value")),
    Row("unknown field", TEST, {"spec.baseUrl": URL}, ("strict decoding error", 'unknown field "spec.baseUrl"')),
    Row("unknown field deep inside", TEST, {"spec.appointments.writebackLinks": True},
        ("strict decoding error", 'unknown field "spec.appointments.writebackLinks"')),
    # The EHR of an organisation.
    *[
        Row(f"EHR release {release}", CONFIG, {"spec.ehr.release": release},
            ("spec.ehr.release", "must be 2018.11 (November 2018) or later", "upgrade the EHR first"))
        for release in ("2018.10", "2017.12", "1999.01")
    ],
    *[
        Row(f"EHR release {release!r}", CONFIG, {"spec.ehr.release": release},
            ("spec.ehr.release", "must be a release as year and month: YYYY.MM"))
        for release in ("2018.13", "2018.1", "latest")
    ],
    Row("another EHR", CONFIG, {"spec.ehr.system": "Epic"},
        ("spec.ehr.system", 'Unsupported value: "Epic"', '"Cerner"')),
    # The two boxes of consent, and who ticked them when.
    Row("SMS without consent", CONFIG, {CONSENT: REMOVED}, (CONSENT, BOX_1_REMEDY, BOX_2_REMEDY)),
    Row("SMS, first box missing", CONFIG, {BOX_1: REMOVED}, (CONSENT, BOX_1_REMEDY)),
    Row("SMS, first box false", CONFIG, {BOX_1: False}, (CONSENT, BOX_1_REMEDY)),
    Row("SMS, second box missing", CONFIG, {BOX_2: REMOVED}, (CONSENT, BOX_2_REMEDY)),
    Row("SMS, second box false", CONFIG, {BOX_2: False}, (CONSENT, BOX_2_REMEDY)),
    Row("consent without who", CONFIG, {f"{CONSENT}.acknowledgedBy": REMOVED}, (CONSENT, WHO_AND_WHEN)),
    Row("consent without when", CONFIG, {f"{CONSENT}.acknowledgedAt": REMOVED}, (CONSENT, WHO_AND_WHEN)),
    Row("consent at a time without zone", CONFIG, {f"{CONSENT}.acknowledgedAt": "2026-01-31T09:00:00"},
        (f"{CONSENT}.acknowledgedAt", "must be of type date-time")),
    Row("consent without who, SMS off", CONFIG,
        {"spec.smsNotifications.enabled": False, f"{CONSENT}.acknowledgedBy": REMOVED}, (CONSENT, WHO_AND_WHEN)),
    Row("consent withdrawn while SMS stays on", CONFIG, {BOX_1: False}, (CONSENT, BOX_1_REMEDY), first={}),
    Row("SMS without Communication Services", CONFIG, {"spec.communicationServices": REMOVED},
        ("spec.communicationServices", "text messages need communicationServices.endpoint")),
    # What patients are sent.
    Row("negative reminder", CONFIG, {"spec.smsNotifications.reminders": ["-1h"]},
        ("spec.smsNotifications.reminders[0]", "must be a positive duration", "for example 24h, 1h30m or 45s")),
    Row("reminder that is no duration", CONFIG, {"spec.smsNotifications.reminders": ["24h", "a day before"]},
        ("spec.smsNotifications.reminders[1]", "must be a positive duration")),
    Row("quiet hours without two digits", CONFIG, {"spec.smsNotifications.quietHours.start": "9:00"},
        ("spec.smsNotifications.quietHours.start", "should match")),
    Row("text without the way to opt out", CONFIG,
        {"spec.smsNotifications.templates": [{"kind": "Reminder", "locale": "en", "text": "{link}"}]},
        ("spec.smsNotifications.templates[0].text", "must hold the placeholder {optOut}")),
    Row("text with an unknown placeholder", CONFIG,
        {"spec.smsNotifications.templates": [{"kind": "Reminder", "locale": "en", "text": "{patient} {link} {optOut}"}]},
        ("spec.smsNotifications.templates[0].text", "may only hold the placeholders {organization}, {department}")),
    Row("e-mail without sender", CONFIG, {"spec.emailNotifications": {"enabled": True}},
        ("spec.emailNotifications", "e-mail needs senderAddress")),
    # What else an organisation says.
    Row("data geography changed", CONFIG, {"spec.dataGeography": "Europe"},
        ("spec.dataGeography", "is immutable", "create a new EHRConnectorConfig to move"), first={}),
    Row("unknown data geography", CONFIG, {"spec.dataGeography": "Antarctica"},
        ("spec.dataGeography", "Unsupported value", '"Americas", "Europe", "AsiaPacific"')),
    Row("tenant that is no identifier", CONFIG, {"spec.microsoft365.tenantID": "lamna.onmicrosoft.com"},
        ("spec.microsoft365.tenantID", "must be an Entra identifier such as")),
    Row("public URL with a slash at the end", CONFIG, {"spec.connector.publicURL": "https://visits.lamna.example/"},
        ("spec.connector.publicURL", "must not end with a slash")),
    Row("help phone without country code", CONFIG, {"spec.visits.helpPhone": "800-555-0199"},
        ("spec.visits.helpPhone", "must be a phone number in E.164", "for example +18005550100")),
    Row("frame ancestor with a path", CONFIG, {"spec.visits.frameAncestors": ["https://ehr.lamna.example/app"]},
        ("spec.visits.frameAncestors[0]", "must be an origin")),
    Row("unknown field in a config", CONFIG, {"spec.smsNotification": {"enabled": True}},
        ("strict decoding error", 'unknown field "spec.smsNotification"')),
    # Phone numbers.
    Row("phone number with spaces", NUMBER, {"spec.phoneNumber": "+1 800 555 0100"},
        ("spec.phoneNumber", "must be a phone number in E.164", "for example +18005550100")),
    Row("phone number with 00", NUMBER, {"spec.phoneNumber": "0018005550100"},
        ("spec.phoneNumber", "must be a phone number in E.164")),
    Row("pinned phone number changed", NUMBER, {"spec.phoneNumber": "+18005550101"},
        ("spec.phoneNumber", "is immutable once it is set", "create a new SmsNumber for another one"),
        first={"spec.phoneNumber": "+18005550100"}),
    Row("pinned phone number removed", NUMBER, {"spec.phoneNumber": REMOVED},
        ("spec.phoneNumber", "is immutable once it is set"), first={"spec.phoneNumber": "+18005550100"}),
    Row("pinned phone number to buy", NUMBER, {"spec.phoneNumber": "+18005550100", "spec.acquire": "Purchase"},
        ("spec.phoneNumber", "must not be set with acquire: Purchase", "use Adopt or AdoptOrPurchase")),
    Row("country changed", NUMBER, {"spec.countryCode": "CA"},
        ("spec.countryCode", "is immutable", "create a new SmsNumber instead"), first={}),
    Row("kind of number changed", NUMBER, {"spec.numberType": "Geographic"},
        ("spec.numberType", "is immutable", "create a new SmsNumber instead"), first={}),
    Row("cost with a sign", NUMBER, {"spec.maxMonthlyCost.amount": "$2.00"},
        ("spec.maxMonthlyCost.amount", "must be an amount such as '2.00'")),
]  # fmt: skip


def changed(document: dict[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    for path, value in change.items():
        *parents, name = path.split(".")
        place = document
        for parent in parents:
            place = place.setdefault(parent, {})
        if value is REMOVED:
            place.pop(name, None)
        else:
            place[name] = value
    return document


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_bad_input_is_refused_at_apply_with_field_and_remedy(row: Row, sample: Any, kubectl: Kubectl) -> None:
    apply = ("apply", "--filename=-")
    before = None
    if row.first is not None:
        before = changed(sample(row.sample), row.first)
        kubectl.ok(*apply, stdin=json.dumps(before))

    refused = kubectl(*apply, stdin=json.dumps(changed(sample(row.sample), row.change)))

    assert refused.returncode != 0, refused.stdout
    assert [words for words in row.words if words not in refused.stderr] == [], refused.stderr
    # Nothing was stored: the object is still not there, or still of its first generation.
    name = f"{sample(row.sample)['kind'].lower()}/{row.sample}"
    stored = kubectl.ok("get", name, "--ignore-not-found", "--output=jsonpath={.metadata.generation}")
    assert stored == ("1" if before else "")
