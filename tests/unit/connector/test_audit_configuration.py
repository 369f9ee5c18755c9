"""What a new configuration leaves in the audit log."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from unit.api.full_documents import ORGANIZATION_CONFIGURATION

from ehr_api.control import OrganizationConfiguration
from ehr_connector.audit import Action
from ehr_connector.audit_configuration import notes_of

OFFICE = "Compliance office"
_ENDPOINTS: list[dict[str, Any]] = ORGANIZATION_CONFIGURATION["endpoints"]


def configured(consent: dict[str, Any] | None = None, **changes: Any) -> OrganizationConfiguration:
    unforced = [{name: one[name] for name in one if name != "promotionForced"} for one in _ENDPOINTS]
    document: dict[str, Any] = deepcopy(ORGANIZATION_CONFIGURATION) | {"endpoints": unforced} | changes
    document["smsNotifications"]["consent"] |= consent or {}
    return OrganizationConfiguration.model_validate(document)


def actions(new: OrganizationConfiguration, held: OrganizationConfiguration | None) -> list[Action]:
    return [action for action, _ in notes_of(new, held)]


def test_consents_are_acknowledged_when_they_first_stand_there() -> None:
    without = configured({"attendeesHaveConsented": False})
    assert actions(without, None) == [Action.CONFIGURED]
    assert actions(configured(), without) == [Action.CONFIGURED, Action.ACKNOWLEDGED]
    assert actions(configured(), None) == [Action.CONFIGURED, Action.ACKNOWLEDGED]


def test_consents_that_stood_there_before_are_not_acknowledged_again() -> None:
    assert actions(configured(displayName="Lamna Health"), configured()) == [Action.CONFIGURED]


@pytest.mark.parametrize("changed", [{"acknowledgedBy": "The board"}, {"acknowledgedAt": "2026-02-01T09:00:00Z"}])
def test_consents_that_somebody_gives_anew_are_acknowledged_again(changed: dict[str, str]) -> None:
    assert actions(configured(changed), configured()) == [Action.CONFIGURED, Action.ACKNOWLEDGED]


def test_who_gave_the_consents_is_not_named_and_can_be_checked() -> None:
    (_, configuration), (_, consent) = notes_of(configured(), None)
    (_, same) = notes_of(configured(displayName="Lamna Health"), None)[1]
    (_, another) = notes_of(configured({"acknowledgedBy": "The board"}), None)[1]
    assert OFFICE not in configuration + consent
    assert consent.startswith("smsNotifications.consent sha256:")
    assert consent == same != another


def test_only_endpoints_that_were_not_forced_before_are_told() -> None:
    (endpoint, *_) = _ENDPOINTS
    forced = [endpoint | {"promotionForced": True}]
    told = notes_of(configured(endpoints=forced), configured())
    assert told[1:] == [(Action.PROMOTION_FORCED, f"endpoint {endpoint['name']}")]
    assert actions(configured(endpoints=forced), configured(endpoints=forced)) == [Action.CONFIGURED]
