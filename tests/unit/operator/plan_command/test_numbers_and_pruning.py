"""What an apply would do with what Git has no more, and with numbers: kept, bought, adopted, released or held."""

from __future__ import annotations

from typing import Any

import pytest
from unit.operator.conftest import number_body
from unit.operator.plan_command.cluster import NUMBER, Bodies, planned, served, the, told, unlinked, written

from ehr_operator.plan_command.effect import Action


def test_what_the_input_leaves_out_stays_without_prune() -> None:
    effects = planned(written(served(), lamna_sms=None, lamna_production=None), served())

    assert told(effects) == set()


def test_prune_takes_an_endpoint_its_records_and_its_link_away() -> None:
    effects = planned(written(served(), lamna_production=None), served(), prune=True)

    assert told(effects) == {
        *((action, "lamna-production") for action in ("EndpointDeactivated", "LinkRemoved", "SmsLost")),
        *(("RecordRemoved", f"lamna-production-{by}") for by in ("patient", "provider", "device-test", "sms")),
    }
    assert all(effect.destructive for effect in effects if effect.action is not Action.NUMBER_KEPT)


def test_prune_takes_no_object_of_a_namespace_that_the_input_leaves_out() -> None:
    live = served()
    live["elsewhere"] = number_body("elsewhere", namespace="other", status={"phoneNumber": "+18335550199"})

    assert told(planned(written(served()), live, prune=True)) == set()


def test_a_removed_organisation_ends_all_service() -> None:
    effects = planned(written(served(), lamna=None), served(), prune=True)

    assert told(effects) == {
        ("ConfigurationRemoved", "lamna"),
        *(
            (action, name)
            for action in ("EndpointDeactivated", "SmsLost")
            for name in ("lamna-test", "lamna-production")
        ),
    }


@pytest.mark.parametrize(
    ("policy", "action"), [("Release", Action.NUMBER_RELEASED), ("Retain", Action.NUMBER_RETAINED)]
)
def test_a_pruned_number_goes_the_way_of_its_deletion_policy(policy: str, action: Action) -> None:
    live = unlinked(served())
    live["lamna-sms"]["spec"]["deletionPolicy"] = policy

    effect = the(planned(written(live, lamna_sms=None), live, prune=True), action)

    assert NUMBER in effect.message
    assert effect.destructive == (policy == "Release")


def being_bought(state: str, **spec: Any) -> Bodies:
    """Return the organisation while its number is being bought."""
    live = unlinked(served())
    purchase = {"attempt": 1, "reservationID": "r", "objectUID": "u", "startedAt": "2026-03-02T08:50:00Z"}
    live["lamna-sms"]["status"] = {"purchase": {**purchase, "state": state, "phoneNumber": NUMBER}}
    live["lamna-sms"]["spec"] |= spec
    return live


@pytest.mark.parametrize(
    ("policy", "action"), [("Release", Action.NUMBER_RELEASED), ("Retain", Action.NUMBER_RETAINED)]
)
def test_a_pruned_number_that_is_being_bought_goes_the_way_of_its_deletion_policy(policy: str, action: Action) -> None:
    live = being_bought("Submitted", deletionPolicy=policy)

    effect = the(planned(written(live, lamna_sms=None), live, prune=True), action)

    assert f"the number that is being bought ({NUMBER})" in effect.message
    assert effect.destructive == (policy == "Release")


def test_a_pruned_number_for_which_nothing_was_bought_yet_is_no_effect() -> None:
    live = being_bought("Reserved", deletionPolicy="Release")

    effects = told(planned(written(live, lamna_sms=None), live, prune=True))

    assert "lamna-sms" not in {name for _, name in effects}


def test_a_number_is_not_released_while_endpoints_link_to_it() -> None:
    live = served()
    live["lamna-sms"]["spec"]["deletionPolicy"] = "Release"

    effects = planned(written(live, lamna_sms=None), live, prune=True)

    assert "lamna-production, lamna-test" in the(effects, Action.DELETION_HELD).message
    assert ("NumberReleased", "lamna-sms") not in told(effects)


def test_a_deletion_that_links_held_up_releases_the_number_once_they_go() -> None:
    live = served()
    live["lamna-sms"]["spec"]["deletionPolicy"] = "Release"
    live["lamna-sms"]["metadata"]["deletionTimestamp"] = "2026-03-02T08:50:00Z"
    git = written(unlinked(live), lamna_sms=None)

    assert the(planned(git, live), Action.NUMBER_RELEASED).destructive


@pytest.mark.parametrize(
    ("spec", "action", "words"),
    [
        ({}, Action.NUMBER_BOUGHT, "an owned number that matches is adopted; without one, a TollFree number in US"),
        ({"acquire": "Purchase"}, Action.NUMBER_BOUGHT, "a TollFree number in US is bought at any price"),
        (
            {"maxMonthlyCost": {"amount": "5.00", "currency": "USD"}},
            Action.NUMBER_BOUGHT,
            "for at most 5.00 USD a month",
        ),
        ({"acquire": "Adopt"}, Action.NUMBER_ADOPTED, "none is bought"),
        ({"phoneNumber": "+18335550177"}, Action.NUMBER_ADOPTED, "+18335550177 is adopted if"),
        ({"phoneNumber": NUMBER}, Action.NUMBER_WAITS, "the SmsNumber 'lamna/lamna-sms' has"),
        ({"suspend": True}, Action.NUMBER_WAITS, "spec.suspend is true"),
        ({"configRef": {"name": "nobody"}}, Action.NUMBER_WAITS, "waiting for the EHRConnectorConfig 'nobody'"),
    ],
)
def test_a_new_number_is_bought_adopted_or_waits(spec: dict[str, Any], action: Action, words: str) -> None:
    live = served()
    git = written({**live, "second": number_body("second", spec=spec)})

    effect = the(planned(git, live), action)

    assert (effect.key.name, effect.destructive) == ("second", False)
    assert words in effect.message


def test_a_number_renamed_in_git_is_told_to_be_pinned() -> None:
    live = unlinked(served())
    git = written({**live, "renamed": number_body("renamed")}, lamna_sms=None)

    message = the(planned(git, live, prune=True), Action.NUMBER_BOUGHT).message

    assert f"{NUMBER} is not taken over by itself: set spec.phoneNumber to it" in message
