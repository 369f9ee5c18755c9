"""What an apply would do, as a table: a change of the YAML of an organisation in full service, and what is told of it."""

from __future__ import annotations

from typing import Any

import pytest
from unit.operator.conftest import conditions, merged, number_body
from unit.operator.plan_command.cluster import NUMBER, Bodies, planned, production, served, the, told, written

from ehr_operator.plan_command.effect import Action, Change, Effect

RECORDS_OF_BOTH = {
    f"lamna-{environment}-{by}"
    for environment in ("test", "production")
    for by in ("patient", "provider", "device-test")
}
SMS_OF_BOTH = {"lamna-test-sms", "lamna-production-sms"}
CONSENT = {"spec": {"smsNotifications": {"consent": {"attendeesHaveConsented": None}}}}


def changed(records: set[str]) -> set[tuple[str, str]]:
    return {("RecordChanged", name) for name in records}


def test_what_stands_already_changes_nothing_outside() -> None:
    effects = planned(written(served()), served())

    assert told(effects) == set()
    assert the(effects, Action.NUMBER_KEPT).message == f"{NUMBER} is held on"
    assert not any(effect.destructive for effect in effects)


def test_on_an_empty_cluster_everything_is_new_and_nothing_destructive() -> None:
    effects = planned(written(served()), {})

    assert told(effects) == {
        ("ConfigurationSent", "lamna"),
        ("NumberBought", "lamna-sms"),
        *((action, f"lamna-{name}") for action in ("EndpointAdded", "LinkAdded") for name in ("test", "production")),
        *(("RecordCreated", name) for name in RECORDS_OF_BOTH | SMS_OF_BOTH),
    }
    assert not any(effect.destructive for effect in effects)
    assert {effect.organization for effect in effects} == {"lamna/lamna"}


@pytest.mark.parametrize(
    ("change", "expected", "destructive"),
    [
        pytest.param(
            {"lamna": {"spec": {"connector": {"publicURL": "https://join.lamna.example"}}}},
            {("ConfigurationChanged", "lamna"), *changed(RECORDS_OF_BOTH)},
            True,
            id="another public URL changes every record",
        ),
        pytest.param(
            {"lamna": {"spec": {"connector": {"controlURL": "https://other.lamna.example"}}}},
            {("ControlUrlMoved", "lamna")},
            False,
            id="another control URL moves the configuration",
        ),
        pytest.param(
            {"lamna": {"spec": {"visits": {"helpPhone": "+18005550111"}}}},
            {("ConfigurationChanged", "lamna")},
            False,
            id="visit settings are part of the profile, and yet Production that was promoted serves on",
        ),
        pytest.param(
            {"lamna_production": {"spec": {"appointments": {"virtualVisitTypes": ["Video Visit", "Tele"]}}}},
            {("ProfileHeldBack", "lamna-production")},
            False,
            id="a visit type more in Production is held back until it is proved on Test",
        ),
        pytest.param(
            {"lamna_test": {"spec": {"appointments": {"virtualVisitTypes": ["Video Visit", "Tele"]}}}},
            set(),
            False,
            id="what is tried out on Test leaves Production promoted",
        ),
        pytest.param(
            {"lamna_test": {"spec": {"smart": {"clinicianClientID": "another"}}}},
            changed({"lamna-test-provider", "lamna-test-patient"}),
            True,
            id="another clinician client changes both launches",
        ),
        pytest.param(
            {"lamna_test": {"spec": {"smart": {"systemClientID": "another"}}}},
            changed({"lamna-test-provider"}),
            True,
            id="another system client changes the provider's record alone",
        ),
        pytest.param(
            {"lamna_test": {"spec": {"smsNumberRef": None}}},
            {
                ("LinkRemoved", "lamna-test"),
                ("SmsLost", "lamna-test"),
                ("RecordRemoved", "lamna-test-sms"),
            },
            True,
            id="an endpoint without its number texts nobody",
        ),
        pytest.param(
            {"lamna": {"spec": {"smsNotifications": {"enabled": False}}}},
            {
                ("ConfigurationChanged", "lamna"),
                ("SmsLost", "lamna-test"),
                ("SmsLost", "lamna-production"),
            },
            True,
            id="texts switched off are lost at every endpoint",
        ),
        pytest.param(
            {"lamna_sms": {"spec": {"verification": {"state": "Rejected"}}}},
            {("SmsLost", "lamna-test"), ("SmsLost", "lamna-production")},
            True,
            id="a rejected verification silences the endpoints, and their records stay",
        ),
        pytest.param(
            {"lamna_test": {"spec": {"baseURL": "https://fhir-new.lamna.example/r4/x"}}},
            {("Refused", "lamna-test")},
            True,
            id="another base URL is refused, and has no further effect",
        ),
        pytest.param(
            {"lamna": {"spec": {"dataGeography": "Europe", "displayName": "Other"}}},
            {("Refused", "lamna")},
            True,
            id="another geography is refused",
        ),
        pytest.param(
            {"lamna_sms": {"spec": {"phoneNumber": NUMBER}}}, set(), False, id="the pin of the number that is held"
        ),
        pytest.param(
            {"lamna": {"spec": {"suspend": True, "displayName": "Other"}}},
            set(),
            False,
            id="a suspended organisation stays as it is in the connector",
        ),
        pytest.param(
            {"lamna_production": {"spec": {"suspend": True, "smart": {"clinicianClientID": "another"}}}},
            set(),
            False,
            id="a suspended endpoint stays as it is",
        ),
        pytest.param(
            {"lamna_production": {"metadata": {"annotations": {"ehrconnector.io/force-promotion": "go-live"}}}}
            | {"lamna": {"spec": {"visits": {"helpPhone": "+18005550111"}}}},
            {("ConfigurationChanged", "lamna")},
            False,
            id="a forced promotion outlives another profile",
        ),
    ],
)
def test_a_change_of_the_yaml_is_told_by_its_effects(
    change: dict[str, Any], expected: set[tuple[str, str]], destructive: bool
) -> None:
    effects = planned(written(served(), **change), served())

    assert told(effects) == expected
    assert any(effect.destructive for effect in effects) == destructive


@pytest.mark.parametrize("live", [served(), {}], ids=["changed", "new"])
def test_without_consent_the_api_server_refuses_the_organisation(live: Bodies) -> None:
    effects = planned(written(served(), lamna=CONSENT), live)

    effect = the(effects, Action.CONSENT_MISSING)
    assert effect.destructive
    assert "both consents" in effect.message
    assert {one.key.name for one in effects if one.action is Action.CONFIGURATION_SENT} == set()
    if not live:
        assert "waits for the EHRConnectorConfig 'lamna'" in effects_of(effects, "lamna-test")
        assert "waiting for the EHRConnectorConfig 'lamna'" in the(effects, Action.NUMBER_WAITS).message


def effects_of(effects: list[Effect], name: str) -> str:
    return " ".join(effect.message for effect in effects if effect.key.name == name)


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("nothing", "nobody is texted until there is the SmsNumber 'nothing'"),
        ("foreign", "nobody is texted: the SmsNumber 'foreign', which the endpoint names, is of another"),
    ],
)
def test_a_link_to_nothing_or_to_a_number_of_others_texts_nobody(reference: str, words: str) -> None:
    live = served()
    live["foreign"] = number_body("foreign", spec={"configRef": {"name": "other"}})
    effects = planned(written(live, lamna_test={"spec": {"smsNumberRef": {"name": reference}}}), live)

    assert words in the(effects, Action.LINK_CHANGED).message
    assert ("SmsLost", "lamna-test") in told(effects)


def test_a_changed_record_names_the_fields_with_both_values() -> None:
    live = served()

    effects = planned(written(live, lamna_test={"spec": {"smart": {"systemClientID": "another"}}}), live)

    assert the(effects, Action.RECORD_CHANGED).changes == (Change("spec.systemClientID", "lamna-system", "another"),)


def test_while_the_provider_does_not_answer_a_ready_number_texts_on_and_is_no_reason_for_silence() -> None:
    live = served()
    unknown = conditions(Ready="True", Verified="True", Provisioned="Unknown:ProviderUnavailable")
    for condition in unknown:
        condition["message"] = f"the message of {condition['type']}"
    live["lamna-sms"]["status"]["conditions"] = unknown

    assert told(planned(written(live), live)) == set()
    unlinked_number = planned(written(live, lamna_test={"spec": {"smsNumberRef": None}}), live)
    assert "the message of" not in the(unlinked_number, Action.SMS_LOST).message


def test_a_refusal_has_the_field_and_the_api_servers_words() -> None:
    effects = planned(written(served(), lamna_sms={"spec": {"countryCode": "CA"}}), served())

    message = the(effects, Action.REFUSED).message
    assert "spec.countryCode is immutable: a number stays in its country; create a new SmsNumber instead" in message


def test_a_pin_that_was_set_stays() -> None:
    live = served()
    live["lamna-sms"]["spec"]["phoneNumber"] = NUMBER

    effects = planned(written(live, lamna_sms={"spec": {"phoneNumber": None}}), live)

    assert "spec.phoneNumber is immutable once it is set" in the(effects, Action.REFUSED).message


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


def unlinked(live: Bodies) -> Bodies:
    return {
        name: merged(body, {"spec": {"smsNumberRef": None}}) if body["kind"] == "FhirEndpoint" else body
        for name, body in live.items()
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


def test_a_link_to_a_number_that_is_yet_to_come_costs_texts_until_then() -> None:
    live = served()
    git = written({**live, "second": number_body("second")}, lamna_test={"spec": {"smsNumberRef": {"name": "second"}}})

    effects = planned(git, live)

    assert the(effects, Action.LINK_CHANGED).changes == (Change("spec.smsNumberRef.name", "lamna-sms", "second"),)
    assert "until SmsNumber 'second' holds a number" in the(effects, Action.SMS_LOST).message
    record = next(effect for effect in effects if effect.key.name == "lamna-test-sms")
    assert record.changes == (Change("spec.senderNumber", NUMBER, "(of SmsNumber 'second', once it holds one)"),)


@pytest.mark.parametrize(("known", "words"), [(True, ""), (False, ", once SmsNumber 'lamna-sms' holds a number")])
def test_a_new_link_brings_a_record_with_the_number(known: bool, words: str) -> None:
    live = unlinked(served())
    for name in SMS_OF_BOTH:
        del live[name]
    if not known:
        del live["lamna-sms"]["status"]["phoneNumber"]

    effects = planned(written(live, lamna_test={"spec": {"smsNumberRef": {"name": "lamna-sms"}}}), live)

    record = the(effects, Action.RECORD_CREATED)
    assert (record.key.name, record.destructive) == ("lamna-test-sms", False)
    assert record.message == f"it has to be copied into the EHR{words}"


@pytest.mark.parametrize(
    ("overlap", "words"),
    [(None, "stays valid for 336 hours"), ("48h", "stays valid for 48 hours"), ("0s", "the old one is void at once")],
)
def test_a_changed_record_says_how_long_the_old_one_stays_valid(overlap: str | None, words: str) -> None:
    spec = {"smart": {"systemClientID": "another"}, "records": {"overlap": overlap} if overlap else None}

    effects = planned(written(served(), lamna_test={"spec": spec}), served())

    assert words in the(effects, Action.RECORD_CHANGED).message


def test_a_profile_that_is_held_back_is_told_once_with_the_way_out() -> None:
    spec = {"appointments": {"writeBackLinks": False}}
    live = served()

    effect = the(planned(written(live, lamna_production={"spec": spec}), live), Action.PROFILE_HELD_BACK)

    assert "visits go on with the visit types, write-back" in effect.message
    assert "differ from the FhirEndpoint 'lamna-test'. Author: make both alike" in effect.message
    live["lamna-production"] = merged(live["lamna-production"], {"spec": spec})
    assert "ProfileHeldBack" not in {action for action, _ in told(planned(written(live), live))}


def test_a_base_url_is_claimed_once_in_an_organisation() -> None:
    live = served()
    twice = production("again")

    effect = the(planned(written({**live, "again": twice}), live), Action.BASE_URL_CLAIMED)

    assert effect.key.name == "again"
    assert "belongs to FhirEndpoint 'lamna-production' already" in effect.message


def test_a_base_url_is_claimed_once_in_a_connector() -> None:
    live = served()
    others = {
        name: merged(body, {"metadata": {"namespace": "other", "creationTimestamp": None}})
        for name, body in served().items()
    }

    effects = planned(written(others), live)

    claimed = [effect for effect in effects if effect.action is Action.BASE_URL_CLAIMED]
    assert [effect.key.name for effect in claimed] == ["lamna-production", "lamna-test"]
    assert all("'lamna/lamna' of the same connector" in effect.message for effect in claimed)


def test_a_forced_promotion_activates_production() -> None:
    live = served()
    live["lamna-production"]["status"]["conditions"] = conditions(Validated="True", Promoted="False:AwaitingEvidence")
    del live["lamna-production"]["status"]["promotedProfile"]
    annotated = {"metadata": {"annotations": {"ehrconnector.io/force-promotion": "go-live"}}}

    effects = planned(written(live, lamna_production=annotated), live)

    assert told(effects) == {("EndpointActivated", "lamna-production")}


def test_an_annotation_that_git_had_and_has_no_more_goes() -> None:
    live = served()
    forced = '"ehrconnector.io/force-promotion":"go-live"'
    live["lamna-production"]["metadata"]["annotations"] = {
        "ehrconnector.io/force-promotion": "go-live",
        "kubectl.kubernetes.io/last-applied-configuration": f'{{"metadata":{{"annotations":{{{forced}}}}}}}',
    }
    live["lamna-production"]["status"]["conditions"] = conditions(Validated="True", Promoted="True:Forced")
    del live["lamna-production"]["status"]["promotedProfile"]

    assert the(planned(written(live), live), Action.PROMOTION_LOST).destructive
