"""The configuration as one document: equal objects give equal bytes, with a memo or without."""

from __future__ import annotations

import itertools
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from unit.operator.conftest import NAMESPACE, conditions, config_spec, endpoint_body, merged

from ehr_api.control import OrganizationConfiguration
from ehr_api.v1alpha1.ehr_connector_config import EHRConnectorConfigSpec
from ehr_operator.connector_config.document import Memo, configuration
from ehr_operator.runtime.model import Key

KEY = Key("EHRConnectorConfig", NAMESPACE, NAMESPACE)
SPEC = EHRConnectorConfigSpec.model_validate(config_spec())


def document(
    endpoints: list[dict[str, Any]],
    senders: dict[str, str] | None = None,
    memo: Memo | None = None,
    generation: int = 1,
) -> OrganizationConfiguration:
    return configuration(KEY, generation, SPEC, endpoints, senders or {}, {} if memo is None else memo)


def endpoint(name: str, *, ready: str = "True", generation: int = 1, **spec: Any) -> dict[str, Any]:
    return endpoint_body(
        name,
        spec={"baseURL": f"https://{name}.example/r4", **spec},
        status={"conditions": conditions(Validated=ready, Promoted="True")},
        generation=generation,
    )


def bytes_of(made: OrganizationConfiguration) -> str:
    return json.dumps(made.to_api()) + made.digest()


def test_an_endpoint_that_is_promoted_by_force_says_so_and_no_other_does() -> None:
    memo: Memo = {}
    body = endpoint("a")
    [by_evidence] = document([body], memo=memo).endpoints
    body["status"]["conditions"] = conditions(Validated="True", Promoted="True")
    for condition in body["status"]["conditions"]:
        condition["reason"] = "Forced"
    [by_force] = document([body], memo=memo).endpoints
    assert "promotionForced" not in by_evidence.to_api()
    assert by_force.promotion_forced is True


def test_endpoints_stand_sorted_by_name_whatever_their_order() -> None:
    endpoints = [endpoint(name) for name in ("b", "a", "c")]
    made = {bytes_of(document(list(order))) for order in itertools.permutations(endpoints)}
    assert len(made) == 1
    assert [one.name for one in document(endpoints).endpoints] == ["a", "b", "c"]


def test_an_endpoint_is_active_once_it_is_validated_and_promoted() -> None:
    def active(statuses: dict[str, str]) -> bool:
        body = endpoint_body(status={"conditions": conditions(**statuses)})
        [only] = document([body]).endpoints
        return only.active

    assert active({"Validated": "True", "Promoted": "True"})
    assert not active({"Validated": "True", "Promoted": "False"})
    assert not active({"Validated": "False", "Promoted": "True"})
    assert not active({})


def test_an_endpoint_that_is_not_validated_yet_is_in_the_document_for_the_probes() -> None:
    assert [one.active for one in document([endpoint("a", ready="False")]).endpoints] == [False]


def test_an_endpoint_whose_address_is_not_well_formed_is_left_out() -> None:
    assert document([endpoint("a", baseURL="https://user@a.example/r4")]).endpoints == []


def test_the_sender_is_the_number_that_the_endpoint_names() -> None:
    linked, unlinked = endpoint("a", smsNumberRef={"name": "one"}), endpoint("b")
    senders = {"one": "+18335550101", "two": "+18335550102"}
    assert [one.sender_number for one in document([linked, unlinked], senders).endpoints] == ["+18335550101", None]
    assert [one.sender_number for one in document([linked], {}).endpoints] == [None]


def test_the_digest_follows_every_part_of_the_document() -> None:
    base = document([endpoint("a")]).digest()
    others = [
        document([]),
        document([endpoint("b")]),
        document([endpoint("a", ready="False")]),
        document([endpoint("a", appointments={"timeZone": "America/Denver"})]),
        document([endpoint("a", smsNumberRef={"name": "one"})], {"one": "+18335550101"}),
    ]
    assert len({base, *(one.digest() for one in others)}) == 6


_changes = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "c"]),
        st.sampled_from(["ready", "failed", "spec", "suspend", "link", "gone", "replaced"]),
        st.booleans(),
    ),
    max_size=12,
)


@given(changes=_changes)
@settings(max_examples=60, deadline=None, database=None)
def test_a_memo_gives_the_same_bytes_as_none_whatever_changes(changes: list[tuple[str, str, bool]]) -> None:
    memo: Memo = {}
    bodies: dict[str, dict[str, Any]] = {name: endpoint(name) for name in "abc"}
    generation = 1
    for number, (name, change, number_held) in enumerate(changes):
        body = bodies.get(name) or endpoint(name)
        newer = {"metadata": {"generation": body["metadata"]["generation"] + 1}}
        patches: dict[str, dict[str, Any]] = {
            "ready": {"status": {"conditions": conditions(Validated="True", Promoted="True")}},
            "failed": {"status": {"conditions": conditions(Validated="False", Promoted="True")}},
            "spec": {**newer, "spec": {"smart": {"systemClientID": f"client-{number}"}}},
            "suspend": {**newer, "spec": {"suspend": number % 2 == 0}},
            "link": {**newer, "spec": {"smsNumberRef": {"name": "one"}}},
            "replaced": {"metadata": {"uid": f"uid-{number}", "generation": 1}, "spec": {"environment": "Test"}},
        }
        if change == "gone":
            bodies.pop(name, None)
        else:
            bodies[name] = merged(body, patches[change])
        generation += number % 3 == 0
        senders = {"one": "+18335550101"} if number_held else {}
        with_memo = document(list(bodies.values()), senders, memo, generation)
        assert bytes_of(with_memo) == bytes_of(document(list(bodies.values()), senders, None, generation))
