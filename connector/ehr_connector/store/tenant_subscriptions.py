"""Graph's subscriptions to the call records of tenants. Who works at one holds its lease, so rows need no claims."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from ehr_connector.store.database import insert_for, reading
from ehr_connector.store.schema import tenant_subscription


@dataclass(frozen=True, slots=True)
class TenantSubscription:
    """A subscription that there is or was, and when to look at it again."""

    tenant_id: str
    client_id: str
    notification_url: str
    subscription_id: str | None
    expires_at: datetime | None
    due_at: datetime
    attempts: int


class TenantSubscriptions:
    """The table of them."""

    def __init__(self, engine: AsyncEngine, now: Callable[[], datetime]) -> None:
        self._engine = engine
        self._reads = reading(engine)
        self._now = now

    async def get(self, tenant_id: str) -> TenantSubscription | None:
        """Return the row of a tenant."""
        table = tenant_subscription
        async with self._reads.connect() as connection:
            row = (await connection.execute(select(table).where(table.c.tenant_id == tenant_id))).one_or_none()
        return None if row is None else TenantSubscription(*row)

    async def put(self, row: TenantSubscription) -> None:
        """Record how a tenant's subscription stands."""
        values = asdict(row)
        async with self._engine.begin() as connection:
            statement = insert_for(connection)(tenant_subscription).values(**values)
            await connection.execute(statement.on_conflict_do_update(index_elements=["tenant_id"], set_=values))

    async def remove(self, tenant_id: str) -> None:
        """Forget a tenant that has no organisation any more."""
        async with self._engine.begin() as connection:
            await connection.execute(delete(tenant_subscription).where(tenant_subscription.c.tenant_id == tenant_id))

    async def look_now(self, tenant_id: str, subscription_id: str, *, removed: bool) -> bool:
        """Have a subscription seen to at once, because Graph asked, or `removed` it; one of another id is left alone."""
        table, now = tenant_subscription, self._now()
        # Expired is how a worker sees that it must be renewed, or made anew.
        values = {"due_at": now, "expires_at": now} | ({"subscription_id": None} if removed else {})
        async with self._engine.begin() as connection:
            changed = await connection.execute(
                update(table)
                .where(table.c.tenant_id == tenant_id, table.c.subscription_id == subscription_id)
                .values(**values)
                .returning(table.c.tenant_id)
            )
            return changed.first() is not None
