"""What is wrong with an organisation's own words in messages, for whoever has no API server at hand. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ehr_api.v1alpha1.ehr_connector_config import EHRConnectorConfigSpec
from ehr_api.v1alpha1.message_templates import EmailTemplate, MessageTemplate


@dataclass(frozen=True, slots=True)
class TemplateFault:
    """One thing that the API server would refuse."""

    field: str
    remedy: str


def template_faults(spec: EHRConnectorConfigSpec) -> list[TemplateFault]:
    """Return what is wrong with the templates of an organisation, each with its field and the remedy."""
    sms, email = spec.sms_notifications, spec.email_notifications
    sections: list[tuple[str, Sequence[MessageTemplate | EmailTemplate]]] = [
        ("smsNotifications", sms.templates if sms else ()),
        ("emailNotifications", email.templates if email else ()),
    ]
    has_phone = spec.visits is not None and spec.visits.help_phone is not None
    return [fault for section, templates in sections for fault in _faults(section, templates, has_phone=has_phone)]


def _faults(
    section: str, templates: Sequence[MessageTemplate | EmailTemplate], *, has_phone: bool
) -> Iterable[TemplateFault]:
    standing = Counter((one.kind, one.locale) for one in templates)
    for index, one in enumerate(templates):
        place = f"spec.{section}.templates[{index}]"
        for fault in one.faults():
            field, _, remedy = fault.partition(" ")
            yield TemplateFault(f"{place}.{field}", remedy)
        if standing[one.kind, one.locale] > 1:
            yield TemplateFault(place, f"must be the only one of kind {one.kind} and locale {one.locale}: remove one")
        if not has_phone and "{helpPhone}" in one.text:
            yield TemplateFault(
                f"{place}.text", "holds {helpPhone}: set spec.visits.helpPhone, or remove the placeholder"
            )
