"""What a new configuration of an organisation leaves in the audit log: itself, and what somebody took responsibility for. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from ehr_api.control import OrganizationConfiguration
from ehr_api.digest import digest_of
from ehr_connector.audit import Action
from ehr_connector.notify.decision import both_consents

Noted = tuple[Action, str]
"""What was done, and to what."""


def notes_of(new: OrganizationConfiguration, held: OrganizationConfiguration | None) -> Sequence[Noted]:
    """Return the rows for a configuration that takes the place of `held`."""
    notes: list[Noted] = [(Action.CONFIGURED, f"configuration {new.digest()}")]
    consent = _consent(new)
    if consent is not None and consent != (_consent(held) if held else None):
        notes.append((Action.ACKNOWLEDGED, f"smsNotifications.consent {consent}"))
    forced = _forced(new) - (_forced(held) if held else set[str]())
    return [*notes, *((Action.PROMOTION_FORCED, f"endpoint {endpoint}") for endpoint in sorted(forced))]


def _consent(configuration: OrganizationConfiguration) -> str | None:
    """Return the digest of both consents with who gave them; the name itself stays in the organisation's repository."""
    sms = configuration.sms_notifications
    if sms is None or sms.consent is None or not both_consents(sms.consent):
        return None
    return digest_of(sms.consent.to_api())


def _forced(configuration: OrganizationConfiguration) -> set[str]:
    return {endpoint.name for endpoint in configuration.endpoints if endpoint.promotion_forced}
