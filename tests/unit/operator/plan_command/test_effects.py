"""What an apply would do, as a table: a change of the YAML of an organisation in full service, and what is told of it."""

from __future__ import annotations

from typing import Any

import pytest
from unit.operator.conftest import conditions, merged, number_body
from unit.operator.plan_command.cluster import NUMBER, Bodies, planned, production, served, the, told, unlinked, written

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
