"""What an apply would do, one value for each thing that somebody outside would notice."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ehr_operator.runtime.model import Key


class Action(StrEnum):
    """What would happen. The names are API: scripts read them from the JSON."""

    REFUSED = "Refused"
    """The API server would refuse the object."""
    CONSENT_MISSING = "ConsentMissing"
    CONFIGURATION_SENT = "ConfigurationSent"
    CONFIGURATION_CHANGED = "ConfigurationChanged"
    CONFIGURATION_REMOVED = "ConfigurationRemoved"
    CONTROL_URL_MOVED = "ControlUrlMoved"
    NUMBER_BOUGHT = "NumberBought"
    NUMBER_ADOPTED = "NumberAdopted"
    NUMBER_RELEASED = "NumberReleased"
    NUMBER_RETAINED = "NumberRetained"
    """Its SmsNumber goes, the phone number stays in the Communication Services resource."""
    NUMBER_KEPT = "NumberKept"
    NUMBER_WAITS = "NumberWaits"
    """No number is adopted or bought until something else changes; the message says what."""
    DELETION_HELD = "DeletionHeld"
    LINK_ADDED = "LinkAdded"
    LINK_CHANGED = "LinkChanged"
    LINK_REMOVED = "LinkRemoved"
    SMS_LOST = "SmsLost"
    """Patients of an endpoint were texted and would be no more."""
    ENDPOINT_ADDED = "EndpointAdded"
    ENDPOINT_ACTIVATED = "EndpointActivated"
    ENDPOINT_DEACTIVATED = "EndpointDeactivated"
    PROMOTION_LOST = "PromotionLost"
    PROFILE_HELD_BACK = "ProfileHeldBack"
    """Production goes on as it was promoted; what the input asks of it takes effect once that is proved on Test."""
    BASE_URL_CLAIMED = "BaseUrlClaimed"
    RECORD_CREATED = "RecordCreated"
    RECORD_CHANGED = "RecordChanged"
    RECORD_REMOVED = "RecordRemoved"


@dataclass(frozen=True, slots=True)
class Change:
    """One field that would have another value; None where it is absent."""

    field: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class Effect:
    """One thing that an apply would do."""

    organization: str
    """Namespace and name of the EHRConnectorConfig."""
    key: Key
    """The object through which it would happen."""
    action: Action
    message: str
    destructive: bool = False
    """Whether something that works today would stop working, or be lost: exit status 2."""
    changes: tuple[Change, ...] = ()
