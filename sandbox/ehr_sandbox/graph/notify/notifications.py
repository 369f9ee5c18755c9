"""What notifications say, and to whom each event goes."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Literal
from uuid import uuid4

from ehr_sandbox.graph.addresses import issuer_v1
from ehr_sandbox.graph.meeting import Meeting
from ehr_sandbox.graph.notify.courier import Courier, Delivery
from ehr_sandbox.graph.notify.encryption import encrypted
from ehr_sandbox.graph.notify.subscription import CALL_RECORDS, Subscription
from ehr_sandbox.graph.platform import Platform
from ehr_sandbox.graph.times import wire_time

CHANGE_TRACKING = "0bf30f3b-4a52-48df-9a82-234910c4a086"
"""The application that signs for notifications. Source: Graph, "Set up change notifications that include resource data"."""

_TOKEN_LIFE = timedelta(hours=1)

Lifecycle = Literal["reauthorizationRequired", "subscriptionRemoved", "missed"]


class Notifications:
    """All subscriptions, and what is sent to them."""

    def __init__(self, platform: Platform, courier: Courier) -> None:
        self._platform = platform
        self._courier = courier
        self._all: dict[str, Subscription] = {}
        self._of_meeting: defaultdict[str | None, dict[str, Subscription]] = defaultdict(dict)
        """The same by meeting; under None those to call records."""

    @property
    def alive(self) -> list[Subscription]:
        """The subscriptions that have not expired; the others are forgotten."""
        return self._alive_of(self._all)

    def of(self, meeting_id: str | None) -> list[Subscription]:
        """Return those to a meeting, or to call records, that have not expired."""
        return self._alive_of(self._of_meeting[meeting_id])

    def by_id(self, subscription_id: str) -> Subscription | None:
        """Return the subscription of that id, unless it has expired."""
        found = self._all.get(subscription_id)
        return next(iter(self._alive_of({found.id: found})), None) if found is not None else None

    def add(self, subscription: Subscription) -> None:
        """Begin to notify."""
        self._all[subscription.id] = subscription
        self._of_meeting[subscription.meeting_id][subscription.id] = subscription

    def remove(self, subscription: Subscription) -> None:
        """Notify no more."""
        self._all.pop(subscription.id, None)
        self._of_meeting[subscription.meeting_id].pop(subscription.id, None)

    def _alive_of(self, some: Mapping[str, Subscription]) -> list[Subscription]:
        now = self._platform.now()
        everyone = list(some.values())
        for subscription in everyone:
            if subscription.expires <= now:
                self.remove(subscription)
        return [subscription for subscription in everyone if subscription.expires > now]

    def tell_meeting(self, meeting: Meeting, event: dict[str, Any]) -> None:
        """Tell who subscribed to a meeting of an event in it."""
        for subscription in self.of(meeting.id):
            resource = subscription.resource.removeprefix("/")
            data: dict[str, Any] = {
                "@odata.type": "#microsoft.graph.callevent",
                "@odata.id": f"{resource}/{event['id']}",
                "id": event["id"],
            }
            content = {**event, "@odata.id": data["@odata.id"]}
            self._send(subscription, str(event["eventType"]), data, content)

    def tell_call_record(self, tenant: str, record_id: str, change: str) -> None:
        """Tell who subscribed to a tenant's call records."""
        for subscription in self.of(None):
            if subscription.tenant == tenant and change in subscription.change_type.split(","):
                data: dict[str, Any] = {
                    "@odata.type": "#microsoft.graph.callrecord",
                    "@odata.id": f"{CALL_RECORDS}/{record_id}",
                    "id": record_id,
                }
                self._send(subscription, f"callRecord {change}", data, None, change=change)

    def tell_lifecycle(self, subscription: Subscription, event: Lifecycle) -> None:
        """Send a lifecycle notification, where a URL for them was given."""
        if event == "reauthorizationRequired":
            subscription.reauthorization_asked = self._platform.now()
        if event == "subscriptionRemoved":
            self.remove(subscription)
        if subscription.lifecycle_url is not None:
            notification = {**self._common(subscription), "lifecycleEvent": event}
            self._courier.send(
                Delivery(subscription, event, subscription.lifecycle_url, lambda: {"value": [notification]})
            )

    async def watch(self) -> None:
        """Ask for reauthorization before subscriptions end, while that is wanted."""
        while True:
            before = timedelta(seconds=self._platform.behaviour.reauthorize_before_s)
            for subscription in self.alive if before else ():
                if subscription.reauthorization_asked is None and subscription.expires - self._platform.now() <= before:
                    self.tell_lifecycle(subscription, "reauthorizationRequired")
            await asyncio.sleep(0.5)

    def _common(self, subscription: Subscription) -> dict[str, Any]:
        return {
            "subscriptionId": subscription.id,
            "subscriptionExpirationDateTime": wire_time(subscription.expires),
            "clientState": subscription.client_state,
            "tenantId": subscription.tenant,
            "organizationId": subscription.tenant,
            "resource": subscription.resource.removeprefix("/"),
        }

    def _send(
        self,
        subscription: Subscription,
        event: str,
        data: dict[str, Any],
        content: dict[str, Any] | None,
        change: str = "updated",
    ) -> None:
        notification = {**self._common(subscription), "changeType": change, "resourceData": data}
        certificate, certificate_id = subscription.certificate, subscription.certificate_id
        if content is not None and certificate is not None and certificate_id is not None:
            notification["encryptedContent"] = encrypted(content, certificate, certificate_id)

        def body() -> dict[str, Any]:
            answer: dict[str, Any] = {"value": [notification]}
            if "encryptedContent" in notification:
                answer["validationTokens"] = [self._validation_token(subscription)]
            return answer

        self._courier.send(Delivery(subscription, event, subscription.notification_url, body))

    def _validation_token(self, subscription: Subscription) -> str:
        now_s = int(self._platform.now().timestamp())
        return self._platform.signer.sign(
            {
                "aud": subscription.app,
                "iss": issuer_v1(self._platform.settings, subscription.address, subscription.tenant),
                "iat": now_s,
                "nbf": now_s,
                "exp": now_s + int(_TOKEN_LIFE.total_seconds()),
                "appid": CHANGE_TRACKING,
                "azp": CHANGE_TRACKING,
                "appidacr": "2",
                "oid": CHANGE_TRACKING,
                "sub": CHANGE_TRACKING,
                "tid": subscription.tenant,
                "uti": uuid4().hex[:22],
                "ver": "1.0",
            }
        )
