"""What `kubectl describe` shows of a number tells a person on call all: what is wrong, who must act, when the next try is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from unit.operator.conftest import NAMESPACE, START, endpoint_body, finding
from unit.operator.documented import reasons_in_the_way
from unit.operator.sms_number.world import Blow, World

from ehr_api.conditions import Finding, Type
from ehr_api.control import MessagesReport, NumberTrouble
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


async def owned(world: World) -> None:
    await world.control("POST", "state", {"own": [OTHERS]})


def verification(state: str) -> dict[str, Any]:
    return {"verification": {"state": state, "reference": "T-1"}}


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
NEVER = {"behaviour": {"operation_seconds": 1e9}}
UNLISTED = {"behaviour": {"listing_delay_s": 600}}
BEFORE_THE_PURCHASE = 9
"""The moment of the first pass that is the purchase itself."""
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
    "throttled": Mode("ProviderThrottled", "status 429", (NOBODY, AZURE), BACK_OFF, fault(429, "/phoneNumbers")),
    "verification not stated": Mode("VerificationNotStated", "carriers block", (AZURE, AUTHOR), AT_ONCE, owned, {"verification": None}),
    "verification pending": Mode("VerificationPending", "T-1", (AUTHOR,), AT_ONCE, owned, verification("Pending")),
    "verification rejected": Mode("VerificationRejected", "T-1", (AZURE, AUTHOR), AT_ONCE, owned, verification("Rejected")),
}  # fmt: skip


@pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
async def test_each_way_not_to_have_a_number_is_told_with_its_remedy_and_the_next_try(
    mode: Mode, start: Callable[..., World]
) -> None:
    world = start(**mode.world)
    await mode.arrange(world)

    outcome = await world.reconcile(world.add(spec=mode.spec))

    assert outcome is not None
    said_by = Type.VERIFIED if mode.reason.startswith("Verification") else Type.PROVISIONED
    for shown in (outcome, finding(outcome, said_by)):
        tells(shown, mode)
    assert (outcome.failure is not None) == (mode.when == BACK_OFF)


def tells(shown: Outcome[Any] | Finding, mode: Mode | Course) -> None:
    """Assert that the words say what is wrong, who must act, and when the next try is."""
    assert shown.reason == mode.reason
    assert mode.what in shown.message
    assert [one for one in mode.who if one not in shown.message.lower()] == []
    assert shown.message.endswith(mode.when)


async def passes(world: World, spec: dict[str, Any] | None = None, *later_s: float) -> Outcome[Any]:
    """Make a first pass over a new object, and one after each pause."""
    key = world.add(spec=spec or {})
    outcome = await world.reconcile(key)
    for pause_s in later_s:
        world.clock.advance(pause_s)
        outcome = await world.reconcile(key)
    assert outcome is not None
    return outcome


async def failed_operation(world: World) -> Outcome[Any]:
    await world.control("POST", "state", {"fail_operations": [{"operation_type": "reservationPurchase"}]})
    return await passes(world)


async def sold_before_the_hold(world: World) -> Outcome[Any]:
    async def sell() -> None:
        await world.control("POST", "state", {"sell": [f"+183355501{line:02d}" for line in range(100)]})

    world.fate.meanwhile[":browse"] = sell
    return await passes(world, {"areaCode": "833"})


async def hold_ran_out(world: World) -> Outcome[Any]:
    await fault(409, ":purchase")(world)
    return await passes(world)


async def strange_answer(world: World) -> Outcome[Any]:
    world.fate.strange = "/phoneNumbers"
    return await passes(world)


async def held(world: World, **spec: Any) -> Key:
    key = world.add(spec=spec)
    await world.until_held(key)
    return key


async def given_back_by_hand(world: World) -> Outcome[Any]:
    key = await held(world)
    await world.control("POST", "state", {"release": [world.status(key).phone_number]})
    return await looked_at(world, key)


async def resource_changed(world: World) -> Outcome[Any]:
    key = await held(world)
    await organization(communicationServices={"endpoint": "https://elsewhere.example"})(world)
    return await looked_at(world, key)


async def looked_at(world: World, key: Key) -> Outcome[Any]:
    outcome = await world.reconcile(key)
    assert outcome is not None
    return outcome


async def reserved_too_dear(world: World) -> Outcome[Any]:
    key = world.add()
    await world.reconcile(key, (BEFORE_THE_PURCHASE, Blow.DIE_BEFORE))
    world.api.change(key, {"spec": {"maxMonthlyCost": {"amount": "0.01", "currency": "USD"}}})
    return await looked_at(world, key)


async def deleted(world: World, key: Key) -> Outcome[Any]:
    outcome = await world.finalize(key)
    assert isinstance(outcome, Outcome)
    return outcome


async def deleted_while_linked(world: World) -> Outcome[Any]:
    key = await held(world, deletionPolicy="Release")
    world.api.put(endpoint_body(spec={"smsNumberRef": {"name": "lamna-sms"}}))
    return await deleted(world, key)


async def deleted_while_suspended(world: World) -> Outcome[Any]:
    key = await held(world, deletionPolicy="Release")
    world.api.change(key, {"spec": {"suspend": True}})
    return await deleted(world, key)


async def deleted_while_bought(world: World) -> Outcome[Any]:
    key = world.add()
    await world.reconcile(key)
    return await deleted(world, key)


async def released(world: World) -> Outcome[Any]:
    return await deleted(world, await held(world, deletionPolicy="Release"))


async def release_takes_hours(world: World) -> Outcome[Any]:
    key = await held(world, deletionPolicy="Release")
    world.clock.advance(24 * 3600)
    return await deleted(world, key)


async def released_from_nowhere(world: World) -> Outcome[Any]:
    key = await held(world, deletionPolicy="Release")
    world.api.change(key, {"status": {"communicationServicesEndpoint": None}})
    await no_organization(world)
    return await deleted(world, key)


async def released_without_answer(world: World) -> Outcome[Any]:
    key = await held(world, deletionPolicy="Release")
    await fault(503, "/phoneNumbers")(world)
    return await deleted(world, key)


@dataclass(frozen=True)
class Course:
    """What goes wrong later on, and what is to be read of it."""

    reason: str
    what: str
    who: tuple[str, ...]
    when: str
    play: Callable[[World], Awaitable[Outcome[Any]]]
    world: dict[str, Any] = field(default_factory=dict[str, Any])


LATER = {
    "an operation that fails": Course("PurchaseFailed", "ProvisioningFailed", (AZURE,), BACK_OFF, failed_operation),
    "an operation that never ends": Course(
        "PurchaseOverdue", "the reservation ", (AZURE,), TEN_MINUTES, lambda world: passes(world, None, 3700), NEVER
    ),
    "bought and not listed": Course(
        "AwaitingListing", "does not list it yet", (NOBODY,), TEN_MINUTES, lambda world: passes(world, None, 5), UNLISTED
    ),
    "sold to somebody else": Course("NumberNotReserved", "taken in between", (NOBODY,), BACK_OFF, sold_before_the_hold),
    "a hold that ran out": Course("ReservationChanged", "ran out or was used", (NOBODY,), BACK_OFF, hold_ran_out),
    "a limit that was lowered": Course("TooExpensive", "the reserved +1", (AUTHOR,), TEN_MINUTES, reserved_too_dear),
    "a strange answer": Course("UnexpectedAnswer", "list numbers", (PLATFORM,), BACK_OFF, strange_answer),
    "given back by hand": Course("NumberNotOwned", "does not own it", (AZURE, AUTHOR), TEN_MINUTES, given_back_by_hand),
    "another resource": Course("NumberInOtherResource", "https://elsewhere.example", (AUTHOR,), AT_ONCE, resource_changed),
    "deleted while linked": Course("DeletionBlocked", "lamna-test", (AUTHOR,), AT_ONCE, deleted_while_linked),
    "deleted while suspended": Course("Suspended", "nothing is released", (AUTHOR,), AT_ONCE, deleted_while_suspended),
    "deleted while bought": Course("PurchaseUnderWay", "was under way", (NOBODY,), TEN_MINUTES, deleted_while_bought, SLOW),
    "released": Course("ReleasePending", "is releasing", (NOBODY,), TEN_MINUTES, released),
    "a release that never ends": Course(
        "ReleasePending", "more than an hour", (AZURE, AUTHOR), TEN_MINUTES, release_takes_hours
    ),
    "released from nowhere": Course(
        "ReleasePending", "which Communication Services resource", (AUTHOR,), AT_ONCE, released_from_nowhere
    ),
    "released without an answer": Course(
        "ProviderUnavailable", "no usable answer", (AZURE,), BACK_OFF, released_without_answer
    ),
}  # fmt: skip


@pytest.mark.parametrize("course", LATER.values(), ids=LATER)
async def test_what_goes_wrong_later_on_is_told_with_its_remedy_and_the_next_try(
    course: Course, start: Callable[..., World]
) -> None:
    outcome = await course.play(start(**course.world))

    for shown in (outcome, finding(outcome, Type.PROVISIONED)):
        tells(shown, course)
    assert (outcome.failure is not None) == (course.when == BACK_OFF)


async def test_a_number_whose_texts_are_refused_tells_whose_turn_it_is_and_stays_in_use_until_one_arrives(
    world: World,
) -> None:
    key = await held(world)
    trouble = NumberTrouble(number=str(world.status(key).phone_number), code=4010, since=START)
    seen: list[tuple[str, str, str]] = []
    for report in (MessagesReport(troubles=[trouble]), None, MessagesReport()):
        if report is None:
            world.restart()  # nobody has been told anything yet
        else:
            world.refusals.told(CONFIG, report, [])
        outcome = await looked_at(world, key)
        verified = finding(outcome, Type.VERIFIED)
        seen.append((outcome.state.value, verified.status.value, verified.reason))
        if verified.reason == "TextsRefused":
            for words in (
                "4010",
                "Azure: compare",
                "author: correct",
                "ends by itself with the first text that arrives",
            ):
                assert words in verified.message

    refused, well = ("Ready", "Unknown", "TextsRefused"), ("Ready", "True", "VerificationStated")
    assert seen == [refused, refused, well]


def test_every_reason_of_the_page_that_is_in_the_way_is_read_here() -> None:
    told = {one.reason for one in (*MODES.values(), *LATER.values())}

    assert reasons_in_the_way("SmsNumber") - told == {"NotLinked", "TextsRefused"}, "which are in the way of nothing"
