"""What Microsoft Graph tells of call records: written down as to be fetched, before Graph has its answer."""

from __future__ import annotations

from collections.abc import Callable

from ehr_clients.call_records import is_record_id
from ehr_connector.directory import Directory
from ehr_connector.store.call_records import CallRecordsToFetch
from ehr_connector.store.tenant_subscriptions import TenantSubscriptions
from ehr_connector.teams.tenant_subscriptions import tenants_of


class CallRecordNotifications:
    """Takes those of tenants that an organisation is in."""

    def __init__(
        self,
        *,
        to_fetch: CallRecordsToFetch,
        subscriptions: TenantSubscriptions,
        directory: Directory,
        wake_fetching: Callable[[], None],
        wake_subscriptions: Callable[[], None],
    ) -> None:
        self._to_fetch = to_fetch
        self._subscriptions = subscriptions
        self._directory = directory
        self._wake_fetching = wake_fetching
        self._wake_subscriptions = wake_subscriptions

    async def told(self, tenant_id: str, record: str) -> bool:
        """Have a record fetched. False: it is of nobody's tenant, or no record."""
        if not is_record_id(record) or tenant_id not in tenants_of(await self._directory.organizations()):
            return False
        await self._to_fetch.want(tenant_id, [record])
        self._wake_fetching()
        return True

    async def lifecycle(self, tenant_id: str, subscription_id: str, event: str) -> None:
        """Renew what Graph asks to reauthorise, make anew what it removed."""
        if event in {"reauthorizationRequired", "subscriptionRemoved"}:
            removed = event == "subscriptionRemoved"
            if await self._subscriptions.look_now(tenant_id, subscription_id, removed=removed):
                self._wake_subscriptions()
