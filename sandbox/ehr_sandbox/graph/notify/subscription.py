"""A subscription to change notifications."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import uuid4

from cryptography import x509

from ehr_sandbox.graph.times import wire_time

CALL_RECORDS = "communications/callRecords"


@dataclass
class Subscription:
    """Who is told of what, until when."""

    tenant: str
    app: str
    address: str
    """The simulator's, for the issuer in the tokens that come with notifications."""
    resource: str
    """As it was given."""
    meeting_id: str | None
    """None for call records."""
    change_type: str
    notification_url: str
    lifecycle_url: str | None
    client_state: str | None
    expires: datetime
    certificate: x509.Certificate | None = None
    certificate_text: str | None = None
    certificate_id: str | None = None
    id: str = field(default_factory=lambda: str(uuid4()))
    reauthorization_asked: datetime | None = None
    paused: bool = False
    """Nothing is sent until it is reauthorized."""

    def to_wire(self) -> dict[str, Any]:
        """Return the subscription as Graph shows it."""
        return {
            "@odata.context": f"{self.address}/v1.0/$metadata#subscriptions/$entity",
            "id": self.id,
            "resource": self.resource,
            "applicationId": self.app,
            "changeType": self.change_type,
            "clientState": self.client_state,
            "notificationUrl": self.notification_url,
            "notificationQueryOptions": None,
            "lifecycleNotificationUrl": self.lifecycle_url,
            "expirationDateTime": wire_time(self.expires),
            "creatorId": self.app,
            "includeResourceData": self.certificate is not None,
            "latestSupportedTlsVersion": "v1_2",
            "encryptionCertificate": self.certificate_text,
            "encryptionCertificateId": self.certificate_id,
            "notificationUrlAppId": None,
        }
