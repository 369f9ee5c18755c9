"""The next step for the subscription to a tenant's call records."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from ehr_connector.store.tenant_subscriptions import TenantSubscription
from ehr_connector.teams.tenant_subscriptions import Create, Renew, Replace, Step, Wait, Wanted, plan

NOW = datetime(2026, 12, 1, 15, 0, tzinfo=UTC)
WANTED = Wanted("t", "c", "https://x.example/graph/notifications")
STANDS = TenantSubscription("t", "c", WANTED.notification_url, "s", NOW + timedelta(hours=25), NOW, 0)


@pytest.mark.parametrize(
    ("row", "step"),
    [
        (None, Create()),
        (replace(STANDS, subscription_id=None), Create()),
        (replace(STANDS, expires_at=None), Create()),
        (STANDS, Wait()),
        (replace(STANDS, expires_at=NOW + timedelta(hours=24)), Renew("s")),
        (replace(STANDS, expires_at=NOW - timedelta(days=9)), Renew("s")),
        (replace(STANDS, client_id="another"), Replace("s")),
        (replace(STANDS, notification_url="https://y.example"), Replace("s")),
    ],
)
def test_each_state_has_its_next_step(row: TenantSubscription | None, step: Step) -> None:
    assert plan(WANTED, row, NOW) == step
