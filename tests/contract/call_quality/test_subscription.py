"""The subscription to a tenant's call records: one, ours, renewed, and made anew whatever happens to it."""

from __future__ import annotations

from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from contract.call_quality.running import LIMIT_S, Hospital, running_hospital
from contract.connector.teams_running import until
from contract.graph_stand_in.running import CLIENT, TENANT, GraphStandIn

from ehr_connector.store.schema import tenant_subscription
from ehr_sandbox.local_ca import LocalCA

RETRY = timedelta(minutes=6)
"""More than the pause after a failure; the simulator's clock stays, and takes no subscription that is too long."""
SUBSCRIPTIONS = "/subscriptions"


async def permit(graph: GraphStandIn, *roles: str) -> None:
    answer = await graph.http.patch(f"/_sandbox/apps/{CLIENT}", json={"appRoles": list(roles)})
    assert answer.is_success, answer.text


async def test_there_is_one_for_a_tenant_with_several_organisations(hospital: Hospital) -> None:
    await hospital.configure("second")
    await hospital.configure("third")

    for _ in range(3):
        await hospital.subscribe()

    (made,) = await hospital.at_graph()
    row = await hospital.subscription()
    assert (row.tenant_id, row.client_id, row.subscription_id) == (TENANT, CLIENT, made["id"])
    assert made["changeType"] == "created,updated"
    assert made["notificationUrl"] == made["lifecycleNotificationUrl"] == f"{hospital.url}/graph/notifications"
    assert hospital.count("call_record_subscriptions", action="create", outcome="ok") == 1


async def test_it_stays_when_the_organisation_that_made_it_goes_and_another_is_there(small: Hospital) -> None:
    await small.configure("second")
    await small.subscribe()
    (made,) = await small.at_graph()

    await small.organizations.delete("lamna", "lamna")
    await small.configure("second")
    await small.subscribe()

    assert [one["id"] for one in await small.at_graph()] == [made["id"]]


async def test_of_two_replicas_one_works_at_it(
    hospital: Hospital,
    graph: GraphStandIn,
    ca: LocalCA,
    keys_dir: Path,
    database_url: str,
    resources: AsyncExitStack,
) -> None:
    other = await resources.enter_async_context(running_hospital(graph, ca, keys_dir, database_url))

    await hospital.subscribe()
    await other.subscribe()

    assert len(await hospital.at_graph()) == 1
    asked = [one.count("call_record_subscriptions", action="create", outcome="ok") for one in (hospital, other)]
    assert asked == [1, 0]


FAULTS: list[dict[str, Any]] = [
    {"action": "status", "status": 429, "retry_after_s": 60},
    {"action": "status", "status": 503},
    {"action": "status", "status": 403},
    {"action": "cut"},
    {"action": "half_answer"},
]
each_fault = pytest.mark.parametrize("fault", FAULTS, ids=[str(one.get("status", one["action"])) for one in FAULTS])


@each_fault
async def test_a_failure_is_tried_again_after_a_pause(small: Hospital, fault: dict[str, Any]) -> None:
    await small.fault(SUBSCRIPTIONS, method="POST", **fault)

    await small.subscribe()
    await small.subscribe()  # not due yet: Graph is left alone
    assert await small.rows(tenant_subscription) != []
    small.ahead += RETRY
    await small.subscribe()

    assert (await small.subscription()).subscription_id in {one["id"] for one in await small.at_graph()}
    assert (await small.subscription()).attempts == 0
    assert small.count("call_record_subscriptions", action="create", outcome="failed") == 1


async def test_entra_that_does_not_answer_is_asked_again(small: Hospital) -> None:
    await small.fault("/oauth2/v2.0/token", action="status", status=503)

    await small.subscribe()
    assert await small.at_graph() == []
    small.ahead += RETRY
    await small.subscribe()

    assert len(await small.at_graph()) == 1


async def test_one_that_stands_already_is_taken_over(small: Hospital) -> None:
    await small.subscribe()
    (made,) = await small.at_graph()
    await small.teams.tenant_subscriptions._rows.remove(TENANT)  # as if the answer had been lost
    await small.fault(f"{SUBSCRIPTIONS}$", method="POST", action="status", status=409)

    await small.subscribe()

    assert (await small.subscription()).subscription_id == made["id"]
    assert len(await small.at_graph()) == 1


async def test_without_the_permission_graph_is_not_asked_and_with_it_the_subscription_is_made(
    small: Hospital,
) -> None:
    await permit(small.graph, "User.Read.All")
    await small.subscribe()
    assert (await small.subscription()).subscription_id is None
    assert small.count("call_record_subscriptions", action="create", outcome="failed") == 0

    await permit(small.graph, "User.Read.All", "CallRecords.Read.All")
    await small.teams.access.fresh_token(await small.configure())  # as the preflight does
    small.ahead += RETRY
    await small.subscribe()

    assert len(await small.at_graph()) == 1


async def test_another_address_gets_a_subscription_of_its_own(small: Hospital) -> None:
    await small.subscribe()
    (before,) = await small.at_graph()

    await small.configure(publicURL=small.url.replace("127.0.0.1", "localhost"))
    await small.subscribe()

    (after,) = await small.at_graph()
    assert after["id"] != before["id"]
    assert after["notificationUrl"].startswith("https://localhost")
    assert small.count("call_record_subscriptions", action="replace", outcome="ok") == 1


async def test_what_graph_asks_to_reauthorise_is_renewed_and_tells_again(small: Hospital) -> None:
    visit = await small.visit()
    await small.subscribe()
    (made,) = await small.at_graph()
    await lifecycle(small, made["id"], event="reauthorizationRequired", pause=True)

    await small.subscribe()
    await small.played(visit.visit)

    assert len(await small.legs()) == 2
    assert [one["id"] for one in await small.at_graph()] == [made["id"]]
    assert small.count("call_record_subscriptions", action="renew", outcome="ok") == 1


@each_fault
async def test_a_renewal_that_fails_is_tried_again(small: Hospital, fault: dict[str, Any]) -> None:
    await small.subscribe()
    (made,) = await small.at_graph()
    await lifecycle(small, made["id"], event="reauthorizationRequired", pause=True)
    await small.fault(SUBSCRIPTIONS, method="PATCH", **fault)

    await small.subscribe()
    assert small.count("call_record_subscriptions", action="renew", outcome="failed") == 1
    small.ahead += RETRY
    await small.subscribe()

    assert (await small.subscription()).subscription_id == made["id"]
    assert small.count("call_record_subscriptions", action="renew", outcome="ok") == 1


@pytest.mark.parametrize("method", ["DELETE", "POST"])
async def test_an_exchange_that_fails_half_way_ends_with_one_subscription(small: Hospital, method: str) -> None:
    await small.subscribe()
    await small.configure(publicURL=small.url.replace("127.0.0.1", "localhost"))
    await small.fault(SUBSCRIPTIONS, method=method, action="status", status=503)

    await small.subscribe()
    small.ahead += RETRY
    await small.subscribe()

    (after,) = await small.at_graph()
    assert after["notificationUrl"].startswith("https://localhost")
    assert (await small.subscription()).subscription_id == after["id"]


async def test_what_graph_removed_is_made_anew(small: Hospital) -> None:
    await small.subscribe()
    (made,) = await small.at_graph()
    await lifecycle(small, made["id"], event="subscriptionRemoved")

    await small.subscribe()

    (anew,) = await small.at_graph()
    assert anew["id"] != made["id"]


async def test_one_that_is_gone_when_it_is_to_be_renewed_is_made_anew(small: Hospital) -> None:
    await small.subscribe()
    (made,) = await small.at_graph()
    await small.graph.call("DELETE", f"/v1.0/subscriptions/{made['id']}")
    await small.http.post(
        "/graph/notifications",
        json={
            "value": [
                {
                    "subscriptionId": made["id"],
                    "clientState": made["clientState"],
                    "lifecycleEvent": "reauthorizationRequired",
                }
            ]
        },
    )

    await small.subscribe()

    (anew,) = await small.at_graph()
    assert anew["id"] != made["id"]


async def lifecycle(hospital: Hospital, subscription: str, **what: Any) -> None:
    """Have Graph send a lifecycle notification, and wait until it is written down."""
    answer = await hospital.graph.http.post(f"/_sandbox/subscriptions/{subscription}/lifecycle", json=what)
    assert answer.is_success, answer.text

    async def is_due() -> bool:
        return (await hospital.subscription()).due_at <= hospital.now()

    await until(is_due, LIMIT_S)
