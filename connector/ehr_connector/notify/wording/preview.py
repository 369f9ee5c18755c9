"""What patients of an organisation would be sent: every message in every language, with its size and what it costs. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal, InvalidOperation
from zoneinfo import ZoneInfo

from ehr_api.control import OrganizationConfiguration
from ehr_api.v1alpha1.ehr_connector_config import EHRConnectorConfigSpec
from ehr_api.v1alpha1.fhir_endpoint import FhirEndpointSpec
from ehr_api.v1alpha1.message_templates import EmailTemplate, Locale, MessageKind, MessageTemplate
from ehr_connector.notify.planner.plan import Wishes, wishes_of
from ehr_connector.notify.wording.segments import Segments, segments
from ehr_connector.notify.wording.wordings import Occasion
from ehr_connector.notify.wording.words import KIND_OF, Particulars, email_of, help_answer, text_of
from ehr_connector.visits.events import Channel
from ehr_connector.visits.links import PATH

PRICES: Mapping[str, Decimal] = {"US": Decimal("0.0100"), "CA": Decimal("0.0160"), "PR": Decimal("0.0400")}
"""US dollars a segment from a toll-free number, by the recipient's country: the list price and the carriers' surcharge.

Source: Azure Communication Services, "Toll-free SMS pricing": 0.0075 + 0.0025, 0.0075 + 0.0085, 0.0400; without taxes.
"""
_SAMPLE = "AbCdEfGhIjKlMnOpQrStUvWxYz0123456789AbCdEfGhIjKlMn"
"""As long as the token of a link."""
_VISIT = datetime(2026, 11, 25, 17)  # noqa: DTZ001 (on the clinic's clocks, in whatever zone it is)
"""A Wednesday: long in most languages. It is always the same, so that only a change of words changes a preview."""
_NO_ENDPOINT = ("Clinic", "America/Chicago")
"""Department and zone where the input holds no endpoint."""


@dataclass(frozen=True, slots=True)
class Shown:
    """One message as patients of some endpoints would get it."""

    organization: str
    endpoints: tuple[str, ...]
    """Names of those whose patients get the very same; empty where the input holds none."""
    kind: MessageKind
    channel: Channel
    locale: Locale
    is_on: bool
    """Whether the organisation sends it."""
    is_own: bool
    """Whether the words are the organisation's."""
    subject: str | None
    text: str
    size: Segments | None
    """Of a text; an e-mail has none."""

    def cost(self, prices: Mapping[str, Decimal]) -> dict[str, Decimal]:
        """Return what one text costs, by country."""
        return {country: price * (self.size.count if self.size else 0) for country, price in prices.items()}


def price_table(text: str) -> dict[str, Decimal]:
    """Return a price table that is written as US=0.0100,CA=0.0160.

    Raises:
        ValueError: It is not written so.
    """
    try:
        prices = {country: Decimal(price) for country, _, price in (part.partition("=") for part in text.split(","))}
    except InvalidOperation as exc:
        raise ValueError(text) from exc
    if not all(country and price.is_finite() and price >= 0 for country, price in prices.items()):
        raise ValueError(text)
    return prices


def preview(name: str, spec: EHRConnectorConfigSpec, endpoints: Mapping[str, FhirEndpointSpec]) -> list[Shown]:
    """Return every message of an organisation, for each department and time zone of its endpoints."""
    places: dict[tuple[str, str], list[str]] = {}
    for endpoint, part in endpoints.items():
        for department in part.departments:
            places.setdefault((department.display_name, part.appointments.time_zone), []).append(endpoint)
    shown: list[Shown] = []
    for (department, zone), names in (places or {_NO_ENDPOINT: []}).items():
        for locale in Locale:
            shown += _of_place(name, spec, tuple(dict.fromkeys(names)), locale, _particulars(spec, department, zone))
    return _joined(shown)


def _of_place(
    name: str, spec: EHRConnectorConfigSpec, endpoints: tuple[str, ...], locale: Locale, particulars: Particulars
) -> Iterable[Shown]:
    sms, email = spec.sms_notifications, spec.email_notifications
    texts, emails = sms.templates if sms else [], email.templates if email else []
    texts_on, emails_on = sms is not None and sms.enabled, email is not None and email.enabled
    wishes = _wishes(spec, particulars.zone)
    for occasion, kind in KIND_OF.items():
        text = text_of(occasion, locale, particulars, texts)
        is_on = _is_on(occasion, Channel.SMS, wishes, enabled=texts_on)
        is_own = _is_own(texts, kind, locale)
        yield Shown(name, endpoints, kind, Channel.SMS, locale, is_on, is_own, None, text, segments(text))
        subject, text = email_of(occasion, locale, particulars, emails)
        is_on = _is_on(occasion, Channel.EMAIL, wishes, enabled=emails_on)
        is_own = _is_own(emails, kind, locale)
        yield Shown(name, endpoints, kind, Channel.EMAIL, locale, is_on, is_own, subject, text, None)
    text = help_answer(locale, particulars.organization, particulars.help_phone, texts)
    is_own = _is_own(texts, MessageKind.HELP, locale)
    yield Shown(name, endpoints, MessageKind.HELP, Channel.SMS, locale, texts_on, is_own, None, text, segments(text))


def _particulars(spec: EHRConnectorConfigSpec, department: str, zone: str) -> Particulars:
    return Particulars(
        organization=spec.display_name,
        department=department,
        start=_VISIT.replace(tzinfo=ZoneInfo(zone)),
        zone=zone,
        link=f"{spec.connector.public_url}{PATH}{_SAMPLE}",
        help_phone=spec.visits.help_phone if spec.visits else None,
    )


def _wishes(spec: EHRConnectorConfigSpec, zone: str) -> Wishes:
    """Return what the organisation wants, as the connector reads it from its configuration."""
    configuration = OrganizationConfiguration(
        namespace="preview",
        name="preview",
        display_name=spec.display_name,
        data_geography=spec.data_geography,
        ehr=spec.ehr,
        public_url=spec.connector.public_url,
        microsoft365=spec.microsoft365,
        sms_notifications=spec.sms_notifications,
        email_notifications=spec.email_notifications,
    )
    return wishes_of(configuration, zone)


def _is_on(occasion: Occasion, channel: Channel, wishes: Wishes, *, enabled: bool) -> bool:
    if occasion is Occasion.LINK:
        return enabled
    wanted = {
        Occasion.BOOKING: wishes.on_booking,
        Occasion.CHANGE: wishes.on_change,
        Occasion.CANCELLATION: wishes.on_cancellation,
        Occasion.REMINDER: bool(wishes.reminders),
    }
    return wishes.channel is channel and wanted[occasion]


def _is_own(templates: Sequence[MessageTemplate | EmailTemplate], kind: MessageKind, locale: Locale) -> bool:
    return any(one.kind is kind and one.locale is locale for one in templates)


def _joined(shown: Sequence[Shown]) -> list[Shown]:
    """Return each message once, with the endpoints of all places that say the very same."""
    names: dict[tuple[object, ...], dict[str, None]] = {}
    for one in shown:
        names.setdefault(_key(one), {}).update(dict.fromkeys(one.endpoints))
    once = {_key(one): one for one in shown}
    return [replace(one, endpoints=tuple(names[key])) for key, one in once.items()]


def _key(one: Shown) -> tuple[object, ...]:
    return one.organization, one.kind, one.channel, one.locale, one.subject, one.text
