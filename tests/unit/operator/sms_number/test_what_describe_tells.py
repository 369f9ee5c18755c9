"""What `kubectl describe` shows of a number tells a person on call all: what is wrong, who must act, when the next try is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from unit.operator.conftest import NAMESPACE, endpoint_body, finding
from unit.operator.sms_number.world import World

from ehr_api.conditions import Type
from ehr_operator.runtime.model import Key, Outcome
from ehr_operator.sms_number.budget import Budget

OTHERS, PINNED = "+18335550101", "+18335550102"
CONFIG = Key("EHRConnectorConfig", NAMESPACE, NAMESPACE)
AUTHOR, AZURE, PLATFORM, NOBODY = "author: ", "azure", "platform team: ", "nobody has to act"
TEN_MINUTES = "Looked at again by itself at least every 10 min"
BACK_OFF = "Tried again by itself; when stands in status.retry"
AT_ONCE = "This goes on as soon as that is done"


async def nothing(_: World) -> None:
    """Leave the world as it is."""


def fault(status: int, path: str, code: str = "", **parts: Any) -> Callable[[World], Awaitable[Any]]:
    """Let the provider answer so to requests with this in their path."""
    rule = {"action": "status", "status": status, "path": path, "code": code, **parts}
    return lambda world: world.control("PUT", "faults", [{key: value for key, value in rule.items() if value}])


def organization(**spec: Any) -> Callable[[World], Awaitable[None]]:
    """Let the organisation have another spec."""

    async def arrange(world: World) -> None:
        world.api.change(CONFIG, {"spec": spec})

    return arrange


async def no_organization(world: World) -> None:
    world.api.remove(CONFIG)


async def another_bought(world: World) -> None:
    await world.until_held(world.add("another"))


async def another_being_bought(world: World) -> None:
    await world.reconcile(world.add("another"))


async def another_has_the_pin(world: World) -> None:
    await world.control("POST", "state", {"own": [OTHERS]})
    await world.until_held(world.add("another", spec={"phoneNumber": OTHERS}))


async def lost(world: World) -> None:
    key = world.add("gone")
    await world.reconcile(key)
    world.api.remove(key)


@dataclass(frozen=True)
class Mode:
    """One way not to have a number, and what is to be read of it."""

    reason: str
    what: str
    who: tuple[str, ...]
    when: str
    arrange: Callable[[World], Awaitable[Any]] = nothing
    spec: dict[str, Any] = field(default_factory=dict[str, Any])
    world: dict[str, Any] = field(default_factory=dict[str, Any])


SLOW = {"behaviour": {"operation_seconds": 60}}
NO_CONSENT = organization(smsNotifications={"consent": {"attendeesHaveConsented": False}})
MODES = {
    "no organisation": Mode("ConfigNotFound", f"'{NAMESPACE}'", (AUTHOR,), AT_ONCE, no_organization),
    "no consent": Mode("ConsentMissing", "smsNotifications.consent", (AUTHOR,), AT_ONCE, NO_CONSENT),
    "no resource": Mode(
        "CommunicationServicesMissing",
        "communicationServices.endpoint",
        (AUTHOR,),
        AT_ONCE,
        organization(communicationServices=None),
    ),
    "not trusted": Mode(
        "EndpointNotTrusted",
        "https://elsewhere.example",
        (PLATFORM, AUTHOR),
        AT_ONCE,
        organization(communicationServices={"endpoint": "https://elsewhere.example"}),
    ),
    "suspended": Mode("Suspended", "spec.suspend", (AUTHOR,), AT_ONCE, spec={"suspend": True}),
    "nothing to adopt": Mode("NoNumberToAdopt", "no unclaimed number", (AZURE, AUTHOR), TEN_MINUTES, spec={"acquire": "Adopt"}),
    "pin not owned": Mode(
        "PinnedNumberNotOwned", PINNED, (AZURE, AUTHOR), TEN_MINUTES, spec={"phoneNumber": PINNED}
    ),
    "pin of another": Mode(
        "AlreadyClaimed", "lamna/another", (AUTHOR,), TEN_MINUTES, another_has_the_pin, {"phoneNumber": OTHERS}
    ),
    "kill switch": Mode(
        "PurchasingDisabled", "EHR_OPERATOR_PURCHASING", (PLATFORM, AUTHOR), TEN_MINUTES, world={"purchasing_enabled": False}
    ),
    "budget": Mode(
        "BudgetReached",
        "1 numbers were bought",
        (PLATFORM,),
        TEN_MINUTES,
        another_bought,
        world={"budget": Budget(operator_an_hour=1)},
    ),
    "another first": Mode(
        "PurchaseOfAnother", "lamna/another", (NOBODY,), TEN_MINUTES, another_being_bought, world=SLOW
    ),
    "a purchase of the cluster before": Mode("UnknownPurchase", "no SmsNumber tells of", (NOBODY,), TEN_MINUTES, lost, world=SLOW),
    "under way": Mode("PurchaseSubmitted", "is buying", (NOBODY,), TEN_MINUTES, world=SLOW),
    "too expensive": Mode(
        "TooExpensive", "0.01 USD", (AUTHOR,), BACK_OFF, spec={"maxMonthlyCost": {"amount": "0.01", "currency": "USD"}}
    ),
    "no stock": Mode("OutOfStock", "no number on sale", (AUTHOR,), BACK_OFF, spec={"areaCode": "999"}),
    "quota": Mode("QuotaReached", "one a tenant", (AZURE, AUTHOR), BACK_OFF, world={"behaviour": {"purchase_quota": 0}}),
    "forbidden": Mode("AccessDenied", "status 403", (PLATFORM,), BACK_OFF, fault(403, "/phoneNumbers")),
    "refused": Mode("ProviderRefused", "status 400", (AUTHOR,), BACK_OFF, fault(400, ":browse")),
    "down": Mode("ProviderUnavailable", "no usable answer", (AZURE,), BACK_OFF, fault(503, "/phoneNumbers")),
    "throttled": Mode("ProviderUnavailable", "no usable answer", (AZURE,), BACK_OFF, fault(429, "/phoneNumbers")),
}  # fmt: skip


@pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
async def test_each_way_not_to_have_a_number_is_told_with_its_remedy_and_the_next_try(
    mode: Mode, start: Callable[..., World]
) -> None:
    world = start(**mode.world)
    await mode.arrange(world)

    outcome = await world.reconcile(world.add(spec=mode.spec))

    assert outcome is not None
    for shown in (outcome, finding(outcome, Type.PROVISIONED)):
        assert shown.reason == mode.reason
        assert mode.what in shown.message
        assert [one for one in mode.who if one not in shown.message.lower()] == []
        assert shown.message.endswith(mode.when)
    assert (outcome.failure is not None) == (mode.when == BACK_OFF)


async def test_a_deletion_that_is_held_says_who_lets_it_go_on(world: World) -> None:
    key = world.add(spec={"deletionPolicy": "Release"})
    await world.until_held(key)
    world.api.put(endpoint_body(spec={"smsNumberRef": {"name": "lamna-sms"}}))

    outcome = await world.finalize(key)

    assert isinstance(outcome, Outcome)
    assert outcome.reason == "DeletionBlocked"
    assert "Author: delete them" in outcome.message
    assert outcome.message.endswith(AT_ONCE)
